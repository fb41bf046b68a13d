"""One Prefect task an image: seconds of work, never a tile or a cell."""

from prefect import task

from pipelines.run.image import process_image
from pipelines.run.task import ImageOutcome, ImageTask


@task(name="measure image", task_run_name="{image.row.image_id}", persist_result=False)
def measure_image(image: ImageTask) -> ImageOutcome:
    """Segment and measure one image and write its part; a bad image is an outcome, no exception.

    Nothing is retried: a corrupt image does not mend, and the next run tries it again.
    """
    return process_image(image)
