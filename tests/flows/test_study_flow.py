"""The flows are the functions of `senescope run` and `sweep`: their tables are the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.run.image import process_image
from pipelines.run.layout import Layout
from pipelines.run.lock import only_run
from pipelines.run.task import Failure, ImageOutcome, ImageTask
from tests.studies import run_here, write_study

pytestmark = [pytest.mark.slow, pytest.mark.minutes]  # a Prefect server starts


@pytest.fixture(scope="module", autouse=True)
def prefect_server():
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


def how(**options):
    from flows.parameters import How

    return How(**options)


def artifacts() -> dict[str, object]:
    """The newest of each key in Prefect's page."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.request("POST", "/artifacts/latest/filter", json={}).json()
    return {artifact["key"]: artifact["data"] for artifact in found}


def assert_same_tables(one: Layout, other: Layout) -> None:
    names = sorted(path.name for path in one.cells.parent.iterdir())
    assert names == sorted(path.name for path in other.cells.parent.iterdir())
    for name in names:
        assert (one.cells.parent / name).read_bytes() == (other.cells.parent / name).read_bytes()
    assert one.failures.read_bytes() == other.failures.read_bytes()


def test_the_flow_gives_the_same_tables_as_the_run_and_tells_the_truth(tmp_path):
    from flows.study import study_flow

    study = write_study(tmp_path, images=3)
    (tmp_path / "field1.tif").write_bytes(b"not an image <script>alert(1)</script>")
    run_here(study, tmp_path / "plain")
    state = study_flow(
        study, tmp_path / "flow", how=how(workers=2, images_per_task=2), return_state=True
    )
    assert state.is_failed()
    assert state.name == "Partial"
    assert "1 images failed" in state.message
    assert_same_tables(Layout(tmp_path / "plain"), Layout(tmp_path / "flow"))
    shown = artifacts()
    assert "field1" in shown["failures"]
    assert "D0" in shown["samples"]
    assert "report.html" in shown["report"]
    assert float(shown["images"]) == 100
    (tmp_path / "field1.tif").write_bytes((tmp_path / "field0.tif").read_bytes())
    assert study_flow(study, tmp_path / "flow", return_state=True).name == "Completed"


def test_on_dask_the_tables_are_the_same(tmp_path):
    pytest.importorskip("prefect_dask", reason="how.dask needs the extra `dask`")
    from flows.study import study_flow

    study = write_study(tmp_path, images=3)
    (tmp_path / "field1.tif").write_bytes(b"not an image")
    run_here(study, tmp_path / "plain")
    state = study_flow(
        study,
        tmp_path / "flow",
        how=how(dask=True, workers=2, images_per_task=2),
        return_state=True,
    )
    assert state.name == "Partial"
    assert_same_tables(Layout(tmp_path / "plain"), Layout(tmp_path / "flow"))


def test_a_wrong_study_and_wrong_parameters_say_what_is_wrong(tmp_path):
    from prefect.exceptions import ParameterTypeError

    from flows.study import study_flow

    study = write_study(tmp_path, images=1)
    study.write_text(study.read_text().replace("channel: dna", "channel: dan"))
    state = study_flow(study, tmp_path / "out", return_state=True)
    assert state.is_failed()
    assert "no channel 'dan'; did you mean 'dna'?" in state.message
    with pytest.raises(ParameterTypeError, match=r"how\.workers: .*greater than or equal to 1"):
        study_flow(study, how={"workers": 0})
    with pytest.raises(ParameterTypeError, match=r"how\.worker: Extra inputs"):
        study_flow(study, how={"worker": 2})


def test_sweeps_say_what_they_found(tmp_path):
    from flows.sweep import sweep_flow

    study = write_study(tmp_path, images=2, more="watch: {settle_s: 0}")
    files = [tmp_path / f"field{i}.tif" for i in range(2)]
    away = [path.rename(tmp_path / f"away{i}") for i, path in enumerate(files)]
    out = tmp_path / "out"
    assert sweep_flow(study, out, return_state=True).name == "NothingNew"
    away[0].rename(files[0])
    assert sweep_flow(study, out, return_state=True).name == "Completed"
    with only_run(out):
        busy = sweep_flow(study, out, return_state=True)
    assert (busy.name, busy.is_completed()) == ("Busy", True)
    files[0].rename(away[0])
    away[1].rename(files[1])
    held = sweep_flow(study, out, return_state=True)
    assert (held.name, held.is_failed()) == ("Held", True)
    assert "field0" in artifacts()["failures"]
    away[0].rename(files[0])
    assert sweep_flow(study, out, return_state=True).name == "Completed"
    run_here(study, tmp_path / "plain")
    assert_same_tables(Layout(tmp_path / "plain"), Layout(out))


def test_the_report_is_written_again(tmp_path):
    from flows.report import report_flow

    study = write_study(tmp_path, images=1)
    run_here(study, tmp_path / "out")
    report = Layout(tmp_path / "out").report
    assert not report.exists()
    assert report_flow(tmp_path / "out", return_state=True).is_completed()
    assert report.is_file()
    wrong = report_flow(tmp_path, return_state=True)
    assert "is not the folder of a run" in wrong.message


def back_at_the_second_try(task: ImageTask) -> ImageOutcome:
    """A network folder that fails once for every image."""
    tried = task.folder / f"tried-{task.row.image_id}"
    if not tried.exists():
        tried.touch()
        failure = Failure(task.row.image_id, "read", "Stale file handle")
        return ImageOutcome(task.row.image_id, "failed", 0, 0.0, failure, may_pass=True)
    return process_image(task)


def test_a_network_folder_that_comes_back_costs_a_retry(tmp_path, monkeypatch):
    from flows import hands, tasks
    from flows.study import study_flow

    again = tasks.measure_images.with_options(retry_delay_seconds=0)
    monkeypatch.setattr(hands, "measure_images", again)
    monkeypatch.setattr(hands, "work_on", back_at_the_second_try)
    study = write_study(tmp_path, images=2)
    assert study_flow(study, tmp_path / "out", return_state=True).is_completed()
    run_here(study, tmp_path / "plain")
    assert_same_tables(Layout(tmp_path / "plain"), Layout(tmp_path / "out"))


def slow(task: ImageTask) -> ImageOutcome:
    """An image that takes a minute, after it was announced."""
    (task.folder / "begun").touch()
    time.sleep(60)
    return process_image(task)


SLOW_FLOW = """
import sys
from flows import hands
from flows.study import study_flow
from tests.flows.test_study_flow import slow

hands.work_on = slow
study_flow(sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_flow_in_seconds_and_the_next_goes_on(tmp_path, number):
    from prefect.settings import PREFECT_API_URL

    from flows.study import study_flow

    study, out = write_study(tmp_path, images=2), tmp_path / "out"
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW_FLOW, str(study), str(out)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "begun").exists():
        assert run.poll() is None, "the flow ended before its first image"
        time.sleep(0.05)
    run.send_signal(number)
    start = time.monotonic()
    assert run.wait(60) != 0
    assert time.monotonic() - start < 30  # an image takes a minute
    assert study_flow(study, out, return_state=True).is_completed()
