"""A server that goes away in the middle of a run and comes back costs no image and no table."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipelines.run.task import ImageOutcome, ImageTask
from tests.cheap import cheap_work, lost_and_doubled, run_cheap, tables, write_cheap_study
from tests.flows.test_schedule_page import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FLOW = """
import sys
from flows import hands
from flows.study import study_flow
from tests.flows.test_server_restart import unhurried

hands.work_on = unhurried
study_flow(sys.argv[1], sys.argv[2], how={"images_per_task": 1})
"""


def unhurried(task: ImageTask) -> ImageOutcome:
    """Half a second an image, so that there is a middle of the run."""
    time.sleep(0.5)
    return cheap_work(task)


def start_server(port: int, environment: dict[str, str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5).close()
            return server
        except OSError:
            time.sleep(0.3)
    raise AssertionError("no server started")


def test_a_server_that_is_started_again_loses_nothing(tmp_path):
    study, out, port = write_cheap_study(tmp_path / "study", 12), tmp_path / "out", free_port()
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    server = start_server(port, environment)
    try:
        flow = subprocess.Popen(
            [sys.executable, "-c", FLOW, str(study), str(out)], cwd=ROOT, env=environment
        )
        while len(list(out.glob("parts/*/image.json"))) < 3:
            assert flow.poll() is None, "the flow ended before its third image"
            time.sleep(0.05)
        server.terminate()
        server.wait(60)
        assert flow.poll() is None
        server = start_server(port, environment)
        assert flow.wait(180) == 0
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/flow_runs/filter",
            b"{}",
            {"Content-Type": "application/json"},
        )
        runs = json.loads(urllib.request.urlopen(asked, timeout=30).read())
    finally:
        server.terminate()
        server.wait(60)
    assert [run["state_name"] for run in runs] == ["Completed"]
    run_cheap(study, tmp_path / "plain")
    assert tables(out) == tables(tmp_path / "plain")
    assert lost_and_doubled(out, tmp_path / "plain") == (0, 0)
