"""A study as a Prefect flow: the same functions as `senescope run`, the same tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import Flow, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.futures import wait
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.tasks import draw_again, measure_image
from pipelines.run.steps import RunSummary, finish, prepare
from pipelines.run.task import ImageOutcome, PictureOutcome, PictureTask


@flow(name="senescope study", validate_parameters=True, persist_result=False)
def study_flow(study: str, output: str, only: str | None = None, restart: bool = False) -> State:
    """Measure a study.

    The number of images worked on at a time is the task runner's: see `with_workers`.

    Args:
        study: path of the study file.
        output: folder of the results.
        only: pattern of image ids; the others are left as they are.
        restart: forget what an earlier run left in `output`.

    Returns:
        Completed where every image is in the tables. Failed where some are in failures.csv
        instead: the tables of the others are written, but partly done is not done.
    """
    logger = get_run_logger()
    plan = prepare(Path(study), Path(output), only=only, restart=restart)
    for problem in plan.checked.problems:
        logger.warning("%s: %s", problem.where, problem.message)
    futures = [measure_image.submit(image) for image in plan.tasks]
    wait(futures)
    outcomes: list[ImageOutcome] = [future.result() for future in futures]
    for outcome in outcomes:
        if outcome.failure is not None:
            logger.error("%s failed: %s", outcome.image_id, outcome.failure.error)
    summary = finish(plan, outcomes, _draw_all)
    for lost in summary.lost_pictures:
        logger.warning("no picture of %s: %s", lost.image_id, lost.error)
    return _state(summary)


def with_workers(workers: int) -> Flow[..., State]:
    """The flow with so many images under way at a time, in threads of the flow's process."""
    runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=workers)
    return study_flow.with_options(task_runner=runner)


def _draw_all(tasks: Sequence[PictureTask]) -> list[PictureOutcome]:
    futures = [draw_again.submit(picture) for picture in tasks]
    wait(futures)
    return [future.result() for future in futures]


def _state(summary: RunSummary) -> State:
    done = f"{summary.n_images} images and {summary.n_cells} cells in {summary.output}"
    if summary.n_failed:
        return Failed(message=f"{summary.n_failed} images failed, see failures.csv; {done}")
    return Completed(message=done)
