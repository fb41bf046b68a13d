"""What images.csv says of one image beside its cells: flags, quality, score.

What is decided by comparison with other images is added in `pipelines.run.judge`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from measurements.batch_light import BATCH_LIGHT, LightSums
from measurements.beta_gal_columns import IMAGE_COLUMNS as BETA_GAL
from measurements.columns import Column, in_physical_units
from measurements.light import IMAGE_LIGHT, UNEVEN_LIGHT, LightLimits, measure_light
from measurements.outliers import IMAGE_OUTLIERS
from measurements.quality import IMAGE_QUALITY, QualityLimits, measure_image_quality
from measurements.regions import Regions
from measurements.spots.columns import IMAGE_COLUMNS as SPOTS
from measurements.transcripts import IMAGE_COLUMNS as TRANSCRIPTS
from pipelines.errors import ImageError
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels
from segmentation.scores import score

Summary = Mapping[str, str | float | int | None]
Lights = Mapping[str, LightSums]
SCORE_THRESHOLDS = (0.5, 0.75)
SCORES = "segmentation.scores: objects matched to annotated nuclei by overlap (IoU)"
NO_CELLS = Column("no_cells", "flag", "bool", "No cell was found in the image.", "n_cells = 0")
OF_THE_IMAGE = (
    Column("height_px", "px", "int64", "Rows of the image.", "image file"),
    Column("width_px", "px", "int64", "Columns of the image.", "image file"),
    Column(
        "pixel_size_um", "µm", "float64", "Edge of a pixel; empty where unknown.",
        "study file, else image file",
    ),
    Column(
        "flags", "key", "str", "Flags that the image carries, with ; between them.",
        "table image_flags",
    ),
    Column("warnings", "key", "str", "What reading the image brought up.", "image file"),
    Column("score_n_truth", "count", "int64", "Annotated nuclei.", "truth_nuclei"),
    Column(
        "score_ap50", "1", "float64", "True positives / (true positives + false positives + "
        "false negatives) at IoU 0.5.", SCORES,
    ),
    Column("score_ap75", "1", "float64", "The same at IoU 0.75.", SCORES),
    Column("score_f1", "1", "float64", "F1 at IoU 0.5.", SCORES),
    NO_CELLS,
)  # fmt: skip


def summary_columns(channels: Sequence[str]) -> list[Column]:
    """All that an image can say of itself: columns of images.csv, and flags (unit ``flag``)."""
    quality = [
        column.bind(channel=name)
        for name in channels
        for column in (*IMAGE_QUALITY, *IMAGE_LIGHT, *BATCH_LIGHT, UNEVEN_LIGHT, *SPOTS)
    ]
    nothing = {column: np.zeros(1) for column in BETA_GAL}
    beta_gal = {**in_physical_units(nothing, 1.0), **in_physical_units(nothing, None)}
    return [*OF_THE_IMAGE, *IMAGE_OUTLIERS, *quality, *beta_gal, *TRANSCRIPTS]


def with_more(summary: Summary, values: Mapping[str, float], warnings: Sequence[str]) -> Summary:
    """An image's columns with further values, and warnings after those that it has."""
    told = [text for text in (summary["warnings"], *warnings) if text]
    return {**summary, **_finite(values), "warnings": ";".join(map(str, told))}


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _quality(pixels: Pixels, labels: Labels) -> tuple[dict[str, float | bool], Lights]:
    foreground = labels.cells > 0
    nuclei = Regions.of(labels.nuclei if labels.nuclei.any() else labels.cells)
    found: dict[str, float | bool] = {}
    lights = {}
    for channel, plane in pixels.planes.items():
        if channel in pixels.stains:
            continue  # its light is the picture's
        light, lights[channel] = measure_light(plane, channel, nuclei, foreground, LightLimits())
        measured = {
            **measure_image_quality(plane, channel, foreground, QualityLimits()),
            **light,
        }
        found |= {column.name: values[0].item() for column, values in measured.items()}
    return found, lights


def summarise_image(
    pixels: Pixels,
    labels: Labels,
    n_cells: int,
    truth: NDArray[np.integer] | None,
) -> tuple[Summary, Lights]:
    """The image's own columns of images.csv, and what it tells of the light of its batch."""
    quality, lights = _quality(pixels, labels)
    flags = [name for name, value in quality.items() if value is True]
    flags += [NO_CELLS.name] if n_cells == 0 else []
    values = {name: value for name, value in quality.items() if not isinstance(value, bool)}
    height, width = labels.cells.shape
    summary = {
        "height_px": height,
        "width_px": width,
        "pixel_size_um": pixels.pixel_size_um,
        "flags": ";".join(flags),
        "warnings": ";".join(pixels.warnings),
        **_finite(values),
        **(_score(truth, labels.nuclei) if truth is not None else {}),
    }
    return summary, lights


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
