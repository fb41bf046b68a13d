"""`senescope serve` says what is wrong before it starts anything."""

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tests.studies import write_settings, write_study


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cron", "every night"], "five fields"),
        (["--timezone", "Mars/Olympus"], "Europe/Lisbon"),
    ],
)
def test_times_that_make_no_sense(tmp_path, options, message):
    study = write_study(tmp_path, images=1)
    result = CliRunner().invoke(app, ["serve", str(study), *options])
    assert result.exit_code == 2
    assert message in result.output


def test_a_wrong_study(tmp_path):
    study = write_settings(tmp_path, more="watch: {settle: 5}")
    result = CliRunner().invoke(app, ["serve", str(study)])
    assert result.exit_code == 2
    assert "did you mean 'settle_s'?" in result.output


def test_the_command_line_is_that_of_the_pipelines_and_serve():
    said = CliRunner().invoke(app, ["--help"]).output
    for command in ("run", "check", "sweep", "serve", "report"):
        assert f"  {command} " in said
