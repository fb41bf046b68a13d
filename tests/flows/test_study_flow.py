"""The flow and `senescope run` are the same functions: their tables are the same bytes."""

import pytest

from pipelines.run.layout import Layout
from tests.studies import run_here, write_study

pytestmark = pytest.mark.slow  # a Prefect server starts


@pytest.fixture(scope="module")
def prefect_server():
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def test_the_flow_gives_the_same_tables_as_the_run(prefect_server, tmp_path):
    from flows.study import with_workers

    study = write_study(tmp_path, images=3)
    (tmp_path / "field1.tif").write_bytes(b"not an image")
    run_here(study, tmp_path / "plain")
    state = with_workers(2)(str(study), str(tmp_path / "flow"), return_state=True)
    assert state.is_failed()
    assert "1 images failed" in state.message
    plain, flow = Layout(tmp_path / "plain"), Layout(tmp_path / "flow")
    names = sorted(path.name for path in plain.cells.parent.iterdir())
    assert names == sorted(path.name for path in flow.cells.parent.iterdir())
    for name in names:
        assert (plain.cells.parent / name).read_bytes() == (flow.cells.parent / name).read_bytes()
    assert plain.failures.read_bytes() == flow.failures.read_bytes()


def test_a_sound_study_completes_and_a_wrong_one_fails(prefect_server, tmp_path):
    from flows.study import study_flow

    study = write_study(tmp_path, images=1)
    assert study_flow(str(study), str(tmp_path / "out"), return_state=True).is_completed()
    study.write_text(study.read_text().replace("channel: dna", "channel: dan"))
    state = study_flow(str(study), str(tmp_path / "out"), return_state=True)
    assert state.is_failed()
