"""One Prefect task an image: seconds of work, never a tile or a cell."""

from prefect import task

from pipelines.run.image import process_image
from pipelines.run.picture import draw_picture
from pipelines.run.slide import process_slide
from pipelines.run.task import ImageOutcome, ImageTask, PictureOutcome, PictureTask
from pipelines.slide.cluster import open_cluster


@task(name="measure image", task_run_name="{image.row.image_id}", persist_result=False)
def measure_image(image: ImageTask) -> ImageOutcome:
    """Segment and measure one image and write its part; a bad image is an outcome, no exception.

    The blocks of a slide are Dask's work, on the workers that the study names.

    Nothing is retried: a corrupt image does not mend, and the next run tries it again.
    """
    if not image.is_slide:
        return process_image(image)
    with open_cluster(image.study.compute) as each:
        return process_slide(image, each)


@task(name="draw picture", task_run_name="{picture.row.image_id}", persist_result=False)
def draw_again(picture: PictureTask) -> PictureOutcome:
    """Draw one image's picture with its positive cells; an error is an outcome, no exception."""
    return draw_picture(picture)
