"""A study as a Prefect flow: the same functions as `senescope run`, the same tables."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from flows.hands import open_hands
from flows.page import Progress, show_outcome
from flows.parameters import How
from flows.states import of_run
from pipelines.run.layout import results_of
from pipelines.run.lock import only_run
from pipelines.run.steps import finish, prepare
from pipelines.run.workers import warm_up
from pipelines.study.model import load_study

HOW = How()


@flow(name="senescope-study", flow_run_name="{study}", persist_result=False)
def study_flow(
    study: Path,
    output: Path | None = None,
    only: str | None = None,
    restart: bool = False,
    how: How = HOW,
) -> State:
    """Measure a study.

    Args:
        study: the study file, best as a whole path: workers start in folders of their own.
        output: folder of the results; by default beside the study file.
        only: pattern of image ids; the others are left as they are.
        restart: forget what an earlier run left in `output`.
        how: workers, size of a task, limits.

    Returns:
        See `flows.states`.
    """
    warm_up()
    settings = load_study(study)
    progress, logger = Progress(), get_run_logger()
    with only_run(output or results_of(study)) as root, open_hands(settings.compute, how) as hands:
        plan = prepare(study, root, only=only, restart=restart)
        for problem in plan.checked.problems:
            logger.warning("%s: %s", problem.where, problem.message)
        progress.total = len(plan.tasks)
        outcomes = hands.measure(plan.tasks, progress.say)
        summary = finish(plan, outcomes, hands.draw)
    for lost in summary.lost_pictures:
        logger.warning("no picture of %s: %s", lost.image_id, lost.error)
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    show_outcome(root, summary, failed, summary.warnings)
    return of_run(summary)
