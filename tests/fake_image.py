"""An image that is a sleep; light to import, as the work of a real image is in a worker."""

import time

from pipelines.run.task import ImageOutcome, ImageTask

WORK_S = 0.1


def fake_work(task: ImageTask) -> ImageOutcome:
    """An image that takes a tenth of a second and no processor."""
    time.sleep(WORK_S)
    return ImageOutcome(task.row.image_id, "measured", 0, WORK_S)
