"""What the flow costs on top of the work, an image: plain, in threads, on Dask.

    python -m tests.benchmarks.overhead --images 200 [--images-per-task 4] [--workers 2]
        [--seconds 0.1] [--on plain threads dask]

The work is a sleep, so that what is left of the time is the overhead: wall time less the work of
one worker, over the images. `plain` is the pool of `senescope run`; `threads` and `dask` are the
flow's hands, with a Prefect server that this process starts. share_at_5_s is the overhead of an
image over 5 s of work. `--images 10000 --images-per-task 1` is the load test of 10,000 tasks: with
work of a tenth of a second it says how many tasks Prefect takes in a second, since workers wait for
it; `--seconds 5` says what it costs beside that work, where they do not.
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import dask
from prefect import flow
from prefect.testing.utilities import prefect_test_harness

from flows.hands import open_hands
from flows.parameters import How
from pipelines.run.task import ImageOutcome, ImageTask, lost_image
from pipelines.run.workers import Workers
from pipelines.study.compute import Compute
from pipelines.study.model import parse_study
from pipelines.study.samples import ImageRow
from tests.cheap import STUDY
from tests.fake_image import SECONDS, fake_work

ON = ("plain", "threads", "dask")


def main() -> None:
    arguments = _arguments()
    tasks = _tasks(arguments.images, arguments.seconds)
    importlib.import_module("tests.fake_work")
    dask.config.set({"distributed.worker.preload": ["tests.fake_work"]})
    result = {}
    if "plain" in arguments.on:
        result["plain"] = _measured(_plain, tasks, arguments)
    with prefect_test_harness(server_startup_timeout=180):
        for name in (name for name in ON[1:] if name in arguments.on):
            result[name] = _measured(_flow(on_dask=name == "dask"), tasks, arguments)
    chosen = {
        name: getattr(arguments, name)
        for name in ("images", "images_per_task", "workers", "seconds")
    }
    print(json.dumps({**chosen, **result}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--images-per-task", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.1, help="work of an image")
    parser.add_argument("--on", nargs="+", choices=ON, default=ON, help="dask: needs prefect-dask")
    return parser.parse_args()


Run = Callable[[Sequence[ImageTask], argparse.Namespace], Iterable[ImageOutcome]]


def _measured(run: Run, tasks: Sequence[ImageTask], arguments: argparse.Namespace) -> dict:
    few = tasks[: arguments.workers * arguments.images_per_task]  # a chunk each
    list(run(few, arguments))  # imports, servers and clusters start
    start = time.perf_counter()
    done = len(list(run(few, arguments)))
    fixed = time.perf_counter() - start - done * arguments.seconds / arguments.workers
    start = time.perf_counter()
    assert len(list(run(tasks, arguments))) == len(tasks)
    seconds = time.perf_counter() - start
    work = len(tasks) * arguments.seconds / arguments.workers
    ms = 1000 * arguments.workers * (seconds - work - fixed) / len(tasks)
    print(f"{run.__name__}: {seconds:.1f} s, {fixed:.1f} s of them to start, {ms:.1f} ms an image")
    return {
        "ms_per_image": round(ms, 2),
        "share_at_5_s": round(ms / 5000, 5),
        "start_s": round(fixed, 2),
    }


def _plain(tasks: Sequence[ImageTask], arguments: argparse.Namespace) -> Iterable[ImageOutcome]:
    with Workers(fake_work, lost_image, arguments.workers) as pool:
        yield from pool.map(tasks)


def _flow(*, on_dask: bool) -> Run:
    def run(tasks: Sequence[ImageTask], arguments: argparse.Namespace) -> list[ImageOutcome]:
        how = How(
            workers=arguments.workers, images_per_task=arguments.images_per_task, dask=on_dask
        )
        return _measuring(len(tasks), arguments.seconds, how)

    run.__name__ = "dask" if on_dask else "threads"
    return run


@flow(name="overhead")
def _measuring(images: int, seconds: float, how: How) -> list[ImageOutcome]:
    """The tasks are made here: what a flow is given, Prefect sends along with each of its tasks."""
    with open_hands(Compute(), how) as hands:
        return hands.measure(_tasks(images, seconds), lambda _: None)


def _tasks(count: int, seconds: float) -> list[ImageTask]:
    study = parse_study(STUDY, "overhead")
    rows = [ImageRow(f"f{i:05d}", {}, None, {SECONDS: seconds}) for i in range(count)]
    return [ImageTask(row, study, Path("."), Path("."), "", "") for row in rows]


if __name__ == "__main__":
    main()
