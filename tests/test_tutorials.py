"""The tutorials run as written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
SMALLEST_PICTURE = 20_000  # bytes of a report with its figures
# Studies that are simulated have fewer images.
SHIM = """#!/bin/sh
PYTHONPATH={root} exec {python} -P -m tests.fewer_images "$@"
"""


def commands(page):
    """The lines of a page's console blocks that a reader types."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_every_tutorial_simulates_checks_and_runs():
    assert [page.stem for page in TUTORIALS] == ["beta-gal", "foci", "reporters", "slide"]
    for page in TUTORIALS:
        verbs = [command.split()[1] for command in commands(page)]
        assert all(command.startswith("senescope ") for command in commands(page))
        assert [v for v in ("simulate", "check", "run") if v in verbs] == verbs[:1] + [
            v for v in verbs if v in ("check", "run")
        ]


@pytest.mark.slow
@pytest.mark.minutes
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs_exactly_as_written(page, tmp_path, monkeypatch):
    shim = tmp_path / "bin" / "senescope"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m tests.fewer_images "$@"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent), prepend=":")
    folder = tmp_path / "reader"
    folder.mkdir()
    shell = shutil.which("sh")
    assert shell is not None
    for command in commands(page):
        done = subprocess.run([shell, "-c", command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    [report] = folder.glob("*-results/report.html")
    assert report.stat().st_size > SMALLEST_PICTURE
    assert list(folder.glob("*-results/tables/cells.parquet"))
