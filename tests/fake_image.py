"""An image that is a sleep; light to import, as the work of a real image is in a worker."""

import time

from pipelines.run.task import ImageOutcome, ImageTask

# The column of the sample that says how long, in seconds.
SECONDS = "seconds"


def fake_work(task: ImageTask) -> ImageOutcome:
    """An image that takes as long as its row says and no processor."""
    seconds = float(str(task.row.sample[SECONDS]))
    time.sleep(seconds)
    return ImageOutcome(task.row.image_id, "measured", 0, seconds)
