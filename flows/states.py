"""The states that flows end in. Partly done is not done.

| state | type | when |
| --- | --- | --- |
| Completed | COMPLETED | every image is in the tables |
| NothingNew | COMPLETED | a sweep found no image that is ready |
| Busy | COMPLETED | a sweep found another run at work, which does the work |
| Partial | FAILED | the tables are written, and some images are in failures.csv instead |
| Held | FAILED | measured images are gone: all tables were left as they were |
| Failed | FAILED | the study is wrong, or a disk or a server failed; the message says which |
| Crashed | CRASHED | the process was stopped or killed; the next run goes on where it was |
"""

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from pipelines.run.steps import RunSummary


def of_run(summary: RunSummary) -> State:
    """The state of a run that wrote its tables."""
    done = f"{summary.n_images} images and {summary.n_cells} cells in {summary.output}"
    if summary.n_failed:
        message = f"{summary.n_failed} images failed, see failures.csv; {done}"
        return Failed(name="Partial", message=message)
    return Completed(message=done)
