"""One image field: pixels to labels, labels to rows. Arrays in, arrays out.

This is where µm become pixels (settings) and pixels become µm (columns), and where the study's
settings are turned into calls of `segmentation` and `measurements`.
"""

from pipelines.field.cells import MeasuredField, measure_field
from pipelines.field.labels import Labels, segment_field
from pipelines.field.overlay import overlay
from pipelines.field.pixels import Pixels, read_pixels

__all__ = [
    "Labels",
    "MeasuredField",
    "Pixels",
    "measure_field",
    "overlay",
    "read_pixels",
    "segment_field",
]
