"""Prefect tasks of some images each: seconds of work, never a tile or a cell.

A task has no cache of Prefect's: what was measured lies in the run's folder, under a key of
the settings that matter, the version and the content of the files, and is looked at again by
whoever works on the image next (`pipelines.run.image`). A second cache could only disagree.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import task_run
from prefect.tasks import exponential_backoff

from pipelines.run.task import (
    ImageOutcome,
    ImageTask,
    PictureOutcome,
    PictureTask,
    draw,
    lost_image,
    lost_picture,
    work_on,
)
from pipelines.run.workers import Lent, Workers, within
from pipelines.slide.cluster import open_cluster
from pipelines.study.compute import Compute

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3
FIRST_DELAY_S = 5


class PassingError(Exception):
    """A disk or a network failed in a way that may be over in a moment."""


class Chunk(Generic[Item, Result]):
    """What one task works on, and where.

    No tuple, dataclass or model: Prefect and Dask look through those for results of other tasks,
    and Dask gives them back as something else.

    Attributes:
        items: images, or pictures.
        limit_s: time for one of them.
        lent: processes of this machine that do the work; None where the task runs in a worker of
            a Dask cluster.
    """

    def __init__(
        self, items: Sequence[Item], limit_s: float, lent: Lent[Item, Result] | None
    ) -> None:
        """Take them as they are."""
        self.items, self.limit_s, self.lent = items, limit_s, lent


def _may_pass(state: State[Any]) -> bool:
    """Whether a task failed so that another try may help; not where it was told to stop."""
    return isinstance(state.result(raise_on_failure=False), PassingError)


@task(
    name="measure images",
    task_run_name="{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_condition_fn=lambda _task, _run, state: _may_pass(state),
    retry_delay_seconds=exponential_backoff(FIRST_DELAY_S),
    retry_jitter_factor=0.5,
)
def measure_images(
    name: str,  # noqa: ARG001  shown by Prefect
    chunk: Chunk[ImageTask, ImageOutcome],
) -> list[ImageOutcome]:
    """Segment and measure images and write their parts; a bad image is an outcome, no exception.

    Tried again, some seconds later each time, where a disk or a network failed. Nothing else is: a
    corrupt image does not mend, and the next run tries it anyway. What the first try measured is
    found by the second.

    Args:
        name: shown by Prefect.
        chunk: the images.
    """
    outcomes = list(_apart(work_on, lost_image, chunk))
    passing = [o for o in outcomes if o.may_pass and o.failure is not None]
    if passing and task_run.run_count <= RETRIES:
        first = passing[0].failure
        raise PassingError(f"{passing[0].image_id}: {first.error if first else ''}")
    return outcomes


@task(name="draw pictures", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def draw_pictures(
    name: str,  # noqa: ARG001  shown by Prefect
    chunk: Chunk[PictureTask, PictureOutcome],
) -> list[PictureOutcome]:
    """Draw pictures with their positive cells; see `measure_images`."""
    return list(_apart(draw, lost_picture, chunk))


@task(name="measure slide", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def measure_slide(
    name: str,  # noqa: ARG001  shown by Prefect
    slide: ImageTask,
    compute: Compute,
    workers: int,
) -> ImageOutcome:
    """Segment and measure a slide, whose blocks are Dask's work, and write its part.

    Runs in the flow's own process: blocks go straight to the cluster, and no task there waits for
    others that need its place.
    """
    # Imported here: a deployment that is looked at needs no engine.
    from pipelines.run.slide import process_slide

    with open_cluster(compute, workers) as each:
        return process_slide(slide, each)


def _apart(
    work: Callable[[Item], Result],
    lost: Callable[[Item, str], Result],
    chunk: Chunk[Item, Result],
) -> Iterable[Result]:
    """Work in a process that may die or hang and be ended.

    A worker of Dask is usually such a process, may have no other below it, and is started again
    by its nanny; where it has none, it gets a process of its own.
    """
    if chunk.lent is not None:
        return chunk.lent.map(chunk.items)
    if multiprocessing.current_process().daemon:
        return [within(chunk.limit_s, work, item) for item in chunk.items]
    with Workers(work, lost, 1, limit_s=chunk.limit_s) as alone:
        return list(alone.map(chunk.items))
