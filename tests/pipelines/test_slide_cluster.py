"""Workers that are lost, work that fails, a cluster that is not there."""

import os
import signal
import sys
import types
from pathlib import Path

import dask
import distributed  # before its settings are changed: importing it sets their defaults
import pytest

from pipelines.errors import ImageError, StudyError
from pipelines.slide.cluster import here, open_cluster
from pipelines.study.compute import Cluster, Compute


def doubled(item: int) -> int:
    return 2 * item


def doubled_or_killed(item: tuple[Path, int, int]) -> int:
    """Kill the own worker process for item 3, as many times as asked for."""
    folder, number, times = item
    before = len(list(folder.iterdir()))
    if number == 3 and before < times:
        (folder / str(before)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def fails(item: int) -> int:
    if item == 2:
        raise ImageError("block 2 cannot be read")
    return item


def test_in_this_process_one_after_another():
    assert list(here(doubled, [3, 1])) == [6, 2]


@pytest.mark.slow
def test_a_cluster_of_this_machine(tmp_path):
    """One start of workers for all: they take seconds. Here Dask gives up after one loss."""
    said = []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        open_cluster(Compute(memory="2GiB"), 2, said.append) as each,
    ):
        assert sorted(each(doubled, range(20))) == [2 * n for n in range(20)]
        assert list(each(doubled, [])) == []
        with pytest.raises(ImageError, match="block 2 cannot be read"):
            list(each(fails, range(10)))
        lost_once = [(tmp_path, n, 1) for n in range(8)]
        assert sorted(each(doubled_or_killed, lost_once)) == [2 * n for n in range(8)]
        with pytest.raises(ImageError, match="lost its worker process again and again"):
            list(each(doubled_or_killed, [(tmp_path, 3, 99)]))
    assert said[0].startswith("Dask dashboard: http://")


def test_work_is_handed_out_a_few_items_ahead(monkeypatch):
    """The queue does not grow with the slide: items are taken when results are."""
    taken = []

    def items():
        for n in range(50):
            taken.append(n)
            yield n

    monkeypatch.setattr(
        "pipelines.slide.cluster._local",
        lambda *_: distributed.Client(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ),
    )
    with open_cluster(Compute()) as each:
        for done, _ in enumerate(each(doubled, items()), 1):
            assert len(taken) - done <= 2
    assert len(taken) == 50


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("pipelines.slide.cluster._TIMEOUT", "1s")
    with pytest.raises(StudyError, match=r"no Dask cluster from 'tcp://127.0.0.1:9'"):
        open_cluster(Compute(scheduler="tcp://127.0.0.1:9")).__enter__()


def test_a_cluster_whose_package_is_missing():
    settings = Compute(scheduler=Cluster(kind="slurm"))
    with pytest.raises(StudyError, match="pip install dask-jobqueue"):
        open_cluster(settings).__enter__()


def test_jobs_and_options_reach_the_cluster(monkeypatch):
    seen = {}

    class SLURMCluster(distributed.LocalCluster):
        def __init__(self, queue, cores):
            seen.update(queue=queue, cores=cores)
            super().__init__(n_workers=0, processes=False, dashboard_address=None)

        def scale(self, n=0, jobs=0):
            if jobs:
                seen["jobs"] = jobs
            return super().scale(jobs or n)

    module = types.SimpleNamespace(SLURMCluster=SLURMCluster)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", module)
    settings = Cluster(kind="slurm", jobs=2, options={"queue": "normal", "cores": 1})
    with open_cluster(Compute(scheduler=settings)) as each:
        assert sorted(each(doubled, [1, 2, 3])) == [2, 4, 6]
    assert seen == {"queue": "normal", "cores": 1, "jobs": 2}


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"block_px": 3000}, "multiple of 2048"), ({"memory": "8MB"}, "give a size such as 8GiB")],
)
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(ValueError, match=message):
        Compute(**setting)
