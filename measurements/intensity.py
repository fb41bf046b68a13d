"""How bright a channel is in the nucleus, the cytoplasm and the cell, and how it is shared."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.background import Background, measure_background
from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.regions import Floats, Regions, divide

PIXEL_STATISTIC = "statistic of the pixels' grey values, as numpy"


def _grey(suffix: str, meaning: str, source: str = PIXEL_STATISTIC, unit: str = "a.u.") -> Column:
    return Column("{channel}_{compartment}_" + suffix, unit, "float64", meaning, source)


MEAN = _grey("mean", "Mean grey value of {channel} in the {compartment}.")
MEDIAN = _grey("median", "Median grey value of {channel} in the {compartment}.")
SD = _grey("sd", "Standard deviation (divisor n) of {channel} over the {compartment}'s pixels.")
MINIMUM = _grey("min", "Smallest grey value of {channel} in the {compartment}.")
MAXIMUM = _grey("max", "Largest grey value of {channel} in the {compartment}.")
P95 = _grey("p95", "95th percentile of {channel}'s grey values in the {compartment}.")
INTEGRATED = _grey(
    "integrated",
    "Sum of {channel}'s grey values in the {compartment}, background included.",
    unit="a.u.·px",
)
ABOVE_BACKGROUND = _grey(
    "mean_above_background",
    "Mean grey value of {channel} in the {compartment} less the cell's background.",
    "mean - background",
)
CTCF = _grey(
    "ctcf",
    "Corrected total fluorescence of {channel} in the {compartment}: its sum less the background "
    "of as many pixels.",
    "integrated - area x background; Burgess et al. 2010 (PNAS 107:12564)",
    unit="a.u.·px",
)
SATURATED = _grey(
    "saturated_fraction",
    "Share of the {compartment}'s pixels at which {channel} is at the camera's limit.",
    "pixels >= saturation level / pixels; see measurements.quality",
    unit="1",
)
RATIO = Column(
    "{channel}_nucleus_cytoplasm_ratio",
    "1",
    "float64",
    "Mean {channel} in the nucleus over mean {channel} in the cytoplasm, both less the cell's "
    "background; NaN where the cytoplasm is not above background.",
    "[judgement] means, since a median of a thin ring follows its quantised grey values",
)
TRANSLOCATION_INDEX = Column(
    "{channel}_translocation_index",
    "1",
    "float64",
    "(nucleus - cytoplasm) / (nucleus + cytoplasm) of mean {channel} above background: -1 all "
    "outside, 0 even, 1 all in the nucleus; NaN where neither is above background.",
    "[judgement] (ratio - 1) / (ratio + 1), bounded: a faint cytoplasm neither explodes it nor "
    "drops the cell",
)


def measure_intensity(
    image: NDArray[Any],
    channel: str,
    compartments: Mapping[str, Regions],
    background: Background,
    saturation: float = np.inf,
) -> Measured:
    """Measure one channel in every compartment of every cell.

    Args:
        image: one channel, any real dtype.
        channel: the channel's name in the columns.
        compartments: regions by name, e.g. nucleus, cytoplasm, cell; all with the same ids.
        background: of this channel, one level for each of those ids.
        saturation: grey value from which a pixel counts as saturated
            (`measurements.quality.saturation_level`); infinite where nothing is.

    Returns:
        One value a cell and column; NaN where a cell lacks the compartment. The ratio and the
        translocation index are there when both nucleus and cytoplasm are.

    Raises:
        MeasurementError: compartments and background are not about the same cells.
    """
    measured = dict(measure_background(background, channel))
    above: dict[str, Floats] = {}
    for name, regions in compartments.items():
        _check_alignment(name, regions, compartments, background)
        values = _compartment(image, regions, background.level, saturation)
        above[name] = values[ABOVE_BACKGROUND]
        measured |= {c.bind(channel=channel, compartment=name): v for c, v in values.items()}
    if {"nucleus", "cytoplasm"} <= above.keys():
        ratio, index = translocation(above["nucleus"], above["cytoplasm"])
        measured[RATIO.bind(channel=channel)] = ratio
        measured[TRANSLOCATION_INDEX.bind(channel=channel)] = index
    return measured


def translocation(nucleus: Floats, cytoplasm: Floats) -> tuple[Floats, Floats]:
    """Ratio and index of two means above background.

    Args:
        nucleus: mean above background in the nucleus, a value a cell.
        cytoplasm: the same in the cytoplasm.

    Returns:
        `RATIO` and `TRANSLOCATION_INDEX`. In the index a mean below background counts as 0.
    """
    inside, outside = np.maximum(nucleus, 0), np.maximum(cytoplasm, 0)
    return divide(nucleus, cytoplasm), divide(inside - outside, inside + outside)


def _compartment(
    image: NDArray[Any], regions: Regions, level: Floats, saturation: float
) -> dict[Column, Floats]:
    as_read = regions.read(image)
    median, p95 = regions.quantiles(as_read, (0.5, 0.95))
    pixels = as_read.astype(np.float64)
    total = regions.sum(pixels)
    mean, maximum = divide(total, regions.areas), regions.maximum(as_read)
    return {
        MEAN: mean,
        MEDIAN: median,
        SD: regions.sd(pixels),
        MINIMUM: regions.minimum(as_read),
        MAXIMUM: maximum,
        P95: p95,
        INTEGRATED: total,
        ABOVE_BACKGROUND: mean - level,
        CTCF: total - regions.areas * level,
        SATURATED: _saturated(pixels, regions, maximum, saturation),
    }


def _saturated(pixels: Floats, regions: Regions, maximum: Floats, saturation: float) -> Floats:
    """Share of each region's pixels at the limit; few images have any."""
    if not (maximum >= saturation).any():
        return np.where(regions.areas > 0, 0.0, np.nan)
    return regions.mean((pixels >= saturation).astype(np.float64))


def _check_alignment(
    name: str, regions: Regions, all_regions: Mapping[str, Regions], background: Background
) -> None:
    first = next(iter(all_regions.values()))
    if not np.array_equal(regions.ids, first.ids) or background.level.size != len(regions):
        raise MeasurementError(
            f"The {name} compartment has {len(regions)} regions that do not match the other "
            f"compartments ({len(first)}) or the background ({background.level.size}): make all "
            "with Regions.of(labels, ids=the cells' ids)."
        )
