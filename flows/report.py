"""The report of a run, written again, as a Prefect flow: what `senescope report` does."""

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from pipelines.run.layout import Layout, run_folder
from pipelines.run.lock import only_run


@flow(name="senescope-report", flow_run_name="{output}", persist_result=False)
def report_flow(output: Path) -> State:
    """Write the report of a run again, from its tables.

    Args:
        output: folder of the run.
    """
    # Imported here: a deployment that is looked at draws nothing.
    from pipelines.report import build_report

    folder = run_folder(output)
    with only_run(folder) as root:
        report = build_report([root], Layout(root).report)
    return Completed(message=str(report))
