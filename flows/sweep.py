"""A sweep over a watched folder as a Prefect flow: the same function as `senescope sweep`."""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.hands import open_hands
from flows.page import Progress, show_outcome
from flows.parameters import How
from flows.states import of_run
from pipelines.errors import BusyError
from pipelines.run.layout import results_of
from pipelines.run.steps import Plan
from pipelines.run.task import ImageOutcome
from pipelines.run.workers import warm_up
from pipelines.study.model import load_study
from pipelines.watch.sweep import Swept, sweep

HOW = How()


@flow(name="senescope-sweep", flow_run_name="{study}", persist_result=False)
def sweep_flow(study: Path, output: Path | None = None, how: How = HOW) -> State:
    """Measure what is whole and new in the folder that a study watches.

    Args:
        study: the study file, best as a whole path: workers start in folders of their own.
        output: folder of the results; by default beside the study file.
        how: workers, size of a task, limits.

    Returns:
        See `flows.states`.
    """
    warm_up()
    settings, root = load_study(study), output or results_of(study)
    progress = Progress()
    with open_hands(settings.compute, how) as hands:

        def measure(plan: Plan) -> list[ImageOutcome]:
            for problem in plan.checked.problems:
                get_run_logger().warning("%s: %s", problem.where, problem.message)
            progress.total = len(plan.tasks)
            return hands.measure(plan.tasks, progress.say)

        try:
            swept = sweep(study, root, measure, hands.draw)
        except BusyError as busy:
            return Completed(name="Busy", message=str(busy))
    notes = swept.sentences()
    for note in notes:
        get_run_logger().info(note)
    show_outcome(root, swept.summary, swept.failed, notes)
    return _state(swept)


def _state(swept: Swept) -> State:
    if swept.summary is not None:
        return of_run(swept.summary)
    message = " ".join(swept.sentences())
    if swept.held_back:
        return Failed(name="Held", message=message)
    return Completed(name="NothingNew", message=message)
