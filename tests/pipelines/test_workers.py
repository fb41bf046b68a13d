"""The pool outlives its workers; the functions below run in them."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.run.workers import Lent, Workers
from tests.studies import write_study

pytestmark = pytest.mark.slow  # every pool imports the engine


def double(task: int) -> int:
    return 2 * task


def double_or_die(task: tuple[Path, int]) -> int:
    """Kill the own process for task 3, always; for task 5 the first time only."""
    folder, number = task
    first = not (folder / f"tried{number}").exists()
    (folder / f"tried{number}").touch()
    if number == 3 or (number == 5 and first):
        time.sleep(0.5)  # the other tasks get under way
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def process_of(_: int) -> int:
    return os.getpid()


def lost(task: tuple[Path, int], why: str) -> int:
    return -task[1]


def test_every_task_gives_one_result():
    with Workers(double, lambda task, why: -task, 2) as pool:
        assert sorted(pool.map(range(7))) == [0, 2, 4, 6, 8, 10, 12]
        assert list(pool.map([])) == []


def test_processes_lent_to_threads_stay_and_are_replaced_when_they_die(tmp_path):
    with (
        Lent(double_or_die, lost, 2, limit_s=60, stop=threading.Event()) as lent,
        ThreadPoolExecutor(4) as threads,
    ):
        chunks = [[(tmp_path, number), (tmp_path, number + 8)] for number in range(8)]
        found = [sorted(results) for results in threads.map(lent.map, chunks)]
    assert found == [[-3, 22] if n == 3 else [2 * n, 2 * n + 16] for n in range(8)]


def test_a_lent_process_serves_one_thread_after_another():
    with Lent(process_of, lambda task, why: 0, 1, limit_s=60, stop=threading.Event()) as lent:
        assert len({*lent.map([1, 2]), *lent.map([3])}) == 1


def test_a_dying_worker_loses_its_own_task_only(tmp_path):
    with Workers(double_or_die, lost, 2) as pool:
        results = sorted(pool.map([(tmp_path, i) for i in range(8)]))
    assert results == sorted([0, 2, 4, -3, 8, 10, 12, 14])


def test_no_worker_outlives_a_killed_run(tmp_path):
    study = write_study(tmp_path, images=8)
    command = [sys.executable, "-m", "pipelines", "run", str(study), "-o", str(tmp_path / "out")]
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while not any((tmp_path / "out").glob("parts/*/image.json")):
        assert run.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    run.kill()
    run.wait()
    deadline = time.monotonic() + 30
    while group_is_alive(run.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not group_is_alive(run.pid)
    resumed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "untouched from before" in resumed.stderr


def group_is_alive(group: int) -> bool:
    """Whether any process of the group is still there, the reaped ones left out."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
