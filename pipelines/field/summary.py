"""What images.csv says of one image beside its cells: flags, quality, score."""

import numpy as np
from numpy.typing import NDArray

from measurements.quality import QualityLimits, measure_image_quality
from pipelines.errors import ImageError
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels
from segmentation.scores import score

SCORE_THRESHOLDS = (0.5, 0.75)


def _quality(pixels: Pixels, labels: Labels) -> dict[str, float | bool]:
    foreground = labels.cells > 0
    return {
        column.name: values[0].item()
        for channel, plane in pixels.planes.items()
        for column, values in measure_image_quality(
            plane, channel, foreground, QualityLimits()
        ).items()
    }


def summarise_image(
    pixels: Pixels,
    labels: Labels,
    n_cells: int,
    truth: NDArray[np.integer] | None,
) -> dict[str, str | float | int | None]:
    """The image's own columns of images.csv."""
    quality = _quality(pixels, labels)
    flags = [name for name, value in quality.items() if value is True]
    flags += ["no_cells"] if n_cells == 0 else []
    values = {name: value for name, value in quality.items() if not isinstance(value, bool)}
    height, width = labels.cells.shape
    return {
        "height_px": height,
        "width_px": width,
        "pixel_size_um": pixels.pixel_size_um,
        "flags": ";".join(flags),
        "warnings": ";".join(pixels.warnings),
        **{
            k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()
        },
        **(_score(truth, labels.nuclei) if truth is not None else {}),
    }


def _score(truth: NDArray[np.integer], nuclei: NDArray[np.uint32]) -> dict[str, float | int]:
    """The segmentation against annotated nuclei."""
    if truth.shape != nuclei.shape:
        raise ImageError(
            f"the annotation has {truth.shape} pixels (y, x) and the image {nuclei.shape}"
        )
    scores = score(truth, nuclei, SCORE_THRESHOLDS)
    return {
        "score_n_truth": scores[0].true_positives + scores[0].false_negatives,
        **{f"score_ap{round(100 * s.threshold)}": s.average_precision for s in scores},
        "score_f1": scores[0].f1,
    }
