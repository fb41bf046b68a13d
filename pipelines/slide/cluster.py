"""Where the blocks of a slide are computed: in this process, on this machine or on a cluster.

Work is handed out a few blocks ahead of the workers, so that neither the scheduler nor a worker
holds more the larger the slide is, and what a block finds goes to disk, never through here. A
block whose worker was lost is given to another one; Dask gives up on a block that loses its
worker four times.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pipelines.errors import ImageError, StudyError
from pipelines.run.workers import warm_up
from pipelines.study.compute import Cluster, Compute

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

# Blocks that are handed out for each worker: one under way, one waiting.
_AHEAD = 2
# How long a scheduler that was named may take to answer.
_TIMEOUT = "60s"
_KINDS = {
    "slurm": ("dask_jobqueue", "SLURMCluster"),
    "pbs": ("dask_jobqueue", "PBSCluster"),
    "sge": ("dask_jobqueue", "SGECluster"),
    "lsf": ("dask_jobqueue", "LSFCluster"),
    "cuda": ("dask_cuda", "LocalCUDACluster"),
}


class Each(Protocol):
    """Does something with every item, anywhere, and yields results in the order they end in."""

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Work on the items."""
        ...


def here(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Work on one item after another in this process."""
    return map(work, items)


@contextmanager
def open_cluster(
    compute: Compute, workers: int | None = None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Each]:
    """Start or find the workers that a study asks for.

    Args:
        compute: the study's settings.
        workers: instead of the study's number, on this machine.
        say: is told where the dashboard is.

    Raises:
        StudyError: the cluster cannot be reached or started.
    """
    with connect(compute, workers or compute.workers) as client:
        say(f"Dask dashboard: {client.dashboard_link}")

        def each(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
            return _bounded(client, work, items)

        yield each


def _bounded(
    client: "Client", work: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result]:
    from distributed import KilledWorker, as_completed

    waiting = iter(items)
    running: set[Any] = set()
    ended = as_completed([])

    def hand_out() -> None:
        ahead = _AHEAD * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        for item in waiting:
            future = client.submit(work, item, pure=False)
            running.add(future)
            ended.add(future)
            if len(running) >= ahead:
                break

    try:
        hand_out()
        for future in ended:
            result = future.result()
            running.discard(future)
            hand_out()
            yield result
    except KilledWorker as error:
        raise ImageError(
            "a block lost its worker process again and again, most likely because memory ran "
            "out: give compute.memory more, or fewer workers, or a smaller compute.block_px"
        ) from error
    finally:
        client.cancel(list(running))


@contextmanager
def connect(compute: Compute, workers: int) -> "Iterator[Client]":
    """A client of the workers that a study asks for; see `open_cluster`."""
    import dask
    from distributed import Client

    # Blocks report through files; a worker that is busy in C for a minute is not lost.
    dask.config.set({"distributed.admin.tick.limit": "10m"})
    try:
        if compute.scheduler is None:
            client = _local(compute, workers)
        elif isinstance(compute.scheduler, Cluster):
            client = Client(_started(compute.scheduler))
        elif os.path.exists(compute.scheduler):
            client = Client(scheduler_file=compute.scheduler, timeout=_TIMEOUT)
        else:
            client = Client(compute.scheduler, timeout=_TIMEOUT)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise StudyError(
            f"compute.scheduler: no Dask cluster from {compute.scheduler!r}: {error}"
        ) from error
    cluster = client.cluster
    try:
        yield client
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _local(compute: Compute, workers: int) -> "Client":
    import dask
    from dask.utils import parse_bytes
    from distributed import Client, LocalCluster

    limit = "auto" if compute.memory is None else parse_bytes(compute.memory) // workers
    forked = sys.platform == "linux"
    if forked:
        # From the server that has the engine imported: a worker starts at once, and what was
        # imported is there once, not in every worker.
        warm_up()
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=limit,
        dashboard_address="localhost:0",
        silence_logs="CRITICAL",
    )
    client = Client(cluster)
    if forked:
        from pipelines.slide.forked import AsIfStarted

        client.register_plugin(AsIfStarted())
    return client


def _started(settings: Cluster) -> Any:  # noqa: ANN401  any Dask cluster
    import importlib

    package, name = _KINDS[settings.kind]
    try:
        made = getattr(importlib.import_module(package), name)
    except ImportError as error:
        raise StudyError(
            f"compute.scheduler: kind: {settings.kind} needs the package {package}: install it "
            f"beside senescope (pip install {package.replace('_', '-')})"
        ) from error
    cluster = made(**settings.options)
    if settings.jobs is not None:
        cluster.scale(jobs=settings.jobs)
    return cluster
