"""What stands out from the rest of a study: images with too few or too many cells, and debris.

One image is too little to know what is usual, so these are decided once all are measured, among
images or cells of one batch. Nothing is left out here; what stands out is flagged.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from measurements.background import robust_sd
from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.regions import Floats

COUNT_Z = Column(
    "cell_count_z",
    "1",
    "float64",
    "Cells of the image for its area, against the images of its batch: distance from their median "
    "in robust SD; empty where the batch has too few images.",
    "counts as 2 sqrt(n + 3/8), whose SD is 1 for Poisson counts (Anscombe 1948, Biometrika "
    "35:246); SD from the MAD, at least 1",
)
TOO_FEW_CELLS = Column(
    "too_few_cells",
    "flag",
    "bool",
    "The image has far fewer cells than those of its batch: out of focus, empty, detached?",
    "[judgement] cell_count_z under -3.5 (Iglewicz & Hoaglin 1993), from 5 images",
)
TOO_MANY_CELLS = Column(
    "too_many_cells",
    "flag",
    "bool",
    "The image has far more cells than those of its batch: overgrown, or noise taken for cells?",
    "[judgement] cell_count_z over 3.5 (Iglewicz & Hoaglin 1993), from 5 images",
)
IMAGE_OUTLIERS = (COUNT_Z, TOO_FEW_CELLS, TOO_MANY_CELLS)
DEBRIS = Column(
    "debris",
    "flag",
    "bool",
    "The nucleus is hardly one: far smaller than those of its batch, or unusual in two of size "
    "(small), outline (not convex) and brightness (dim or bright). Dead cells are among them.",
    "[judgement] area under a quarter of the median, or two of: log area 3.5 robust SD below the "
    "median, solidity under 0.85 with log (1 - solidity) 3.5 above it, log brightness 3.5 from it",
)


@dataclass(frozen=True, slots=True)
class OutlierLimits:
    """Where the unusual begins [judgement].

    Attributes:
        deviations: robust SD from the median.
        smallest_nucleus: share of the median area under which nothing is a nucleus: the smallest
            nuclei of a tissue (lymphocytes beside hepatocytes) are about 0.4 of its largest kind.
        convex: solidity from which an outline is never unusual: pixels make small nuclei ragged.
        images: fewest images that tell what is usual.
        cells: fewest cells that do.
        area_sd: least SD of log area: that of a growing population between G1 and G2.
        outline_sd: least SD of log (1 - solidity).
        brightness_sd: least SD of log brightness.
    """

    deviations: float = 3.5
    smallest_nucleus: float = 0.25
    convex: float = 0.85
    images: int = 5
    cells: int = 50
    area_sd: float = 0.2
    outline_sd: float = 0.3
    brightness_sd: float = 0.2


def count_outliers(
    counts: ArrayLike, areas: ArrayLike, batches: ArrayLike, limits: OutlierLimits
) -> Measured:
    """Compare the images' numbers of cells.

    Args:
        counts: cells of each image.
        areas: of each image, in any unit, above 0.
        batches: of each image; images of different batches are not compared.
        limits: see `OutlierLimits`.
    """
    n, size = np.asarray(counts, dtype=np.float64), np.asarray(areas, dtype=np.float64)
    z = np.full(n.shape, np.nan)
    for members in _groups(batches):
        if members.size >= limits.images:
            of_usual_area = n[members] * np.median(size[members]) / size[members]
            roots = 2 * np.sqrt(of_usual_area + 3 / 8)
            z[members] = (roots - np.median(roots)) / max(robust_sd(roots), 1.0)
    return {
        COUNT_Z: z,
        TOO_FEW_CELLS: z < -limits.deviations,
        TOO_MANY_CELLS: z > limits.deviations,
    }


def find_debris(
    area: ArrayLike,
    solidity: ArrayLike,
    brightness: ArrayLike,
    batches: ArrayLike,
    limits: OutlierLimits,
) -> NDArray[np.bool_]:
    """Find what was segmented and is hardly a nucleus.

    Args:
        area: of each nucleus, in any unit; NaN or 0 without a nucleus, which is no debris.
        solidity: area over that of the convex hull.
        brightness: of the nuclear stain above background.
        batches: of each cell; one with too few cells is compared with the whole study.
        limits: see `OutlierLimits`.

    Raises:
        MeasurementError: the arrays are not of the same cells.
    """
    values = [np.asarray(v, dtype=np.float64) for v in (area, solidity, brightness)]
    if len({v.shape for v in (*values, np.asarray(batches))}) > 1:
        raise MeasurementError("area, solidity, brightness and batches need one value a cell each.")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.stack(
            [
                np.log(np.where(values[0] > 0, values[0], np.nan)),
                np.log(np.maximum(1 - values[1], 1e-3)),
                np.log(np.where(values[2] > 0, values[2], np.nan)),
            ]
        )
    found = np.zeros(values[0].size, dtype=bool)
    for members in _groups(batches):
        usual = logs[:, members] if members.size >= limits.cells else logs
        if usual.shape[1] >= limits.cells:
            found[members] = _unusual(logs[:, members], usual, values[2][members], limits)
    return found


def _unusual(
    logs: Floats, usual: Floats, brightness: Floats, limits: OutlierLimits
) -> NDArray[np.bool_]:
    """Debris among some cells, by what is usual among others."""
    least = (limits.area_sd, limits.outline_sd, limits.brightness_sd)
    known = [row[np.isfinite(row)] for row in usual]
    centres = np.array([np.median(row) if row.size else np.nan for row in known])
    spreads = np.array(
        [
            max(robust_sd(row), sd) if row.size else np.nan
            for row, sd in zip(known, least, strict=True)
        ]
    )
    z = (logs - centres[:, None]) / spreads[:, None]
    small = z[0] < -limits.deviations
    ragged = (z[1] > limits.deviations) & (logs[1] > np.log(1 - limits.convex))
    # A nucleus that is no brighter than the background has no logarithm, and is unusual.
    odd_light = (np.abs(z[2]) > limits.deviations) | (brightness <= 0)
    tiny = logs[0] - centres[0] < np.log(limits.smallest_nucleus)
    unusual: NDArray[np.bool_] = tiny | (small.astype(int) + ragged + odd_light >= 2)
    return unusual


def _groups(labels: ArrayLike) -> list[NDArray[np.intp]]:
    """Positions of the members of each group."""
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if order.size else []
