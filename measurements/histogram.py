"""How often each grey value occurs: what a slide is known by without ever being held whole.

Histograms of parts of an image add up to the histogram of the whole, in any order and whatever the
parts, so what is taken from one (`measurements.background.mode`,
`measurements.quality.saturation_level`, medians) is the same number for an image in one piece.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Bits of a float's mantissa that are kept: a value is then known to 8 millionths of itself, finer
# than 16-bit grey values scaled to 1, and an octave of values takes 65,536 bins at most.
MANTISSA = 16
FLOAT32_MANTISSA = 23


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Grey values and how many pixels have them.

    Attributes:
        values: float64, distinct and ascending; NaN is left out.
        counts: int64, above 0.
    """

    values: Floats
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> "Histogram":
        """Count the values of an array.

        Args:
            pixels: any shape and real dtype. Integers of up to 16 bits and booleans are counted as
                they are, all others cut to `MANTISSA` bits, towards 0.
        """
        flat = pixels.ravel()
        if flat.dtype.kind == "b":
            flat = flat.view(np.uint8)
        if flat.dtype.kind in "ui" and flat.dtype.itemsize <= 2:
            lowest = int(np.iinfo(flat.dtype).min)
            counts = np.bincount(flat.astype(np.int64) - lowest if lowest else flat)
            found = np.flatnonzero(counts)
            return cls((found + lowest).astype(np.float64), counts[found].astype(np.int64))
        values, counts = np.unique(_cut(flat), return_counts=True)
        return cls(values.astype(np.float64), counts.astype(np.int64))

    def __add__(self, other: "Histogram") -> "Histogram":
        """Histogram of both arrays together."""
        values, place = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        both = np.concatenate([self.counts, other.counts])
        # Counts are far below 2⁵³, so that adding them as floats is exact.
        return Histogram(values, np.bincount(place, both, minlength=values.size).astype(np.int64))

    @property
    def total(self) -> int:
        """Number of pixels."""
        return int(self.counts.sum())

    def where(self, chosen: NDArray[np.bool_]) -> "Histogram":
        """The part of it whose values are chosen."""
        return Histogram(self.values[chosen], self.counts[chosen])

    def finite(self) -> "Histogram":
        """It without infinite values."""
        return self.where(np.isfinite(self.values))

    def quantile(self, fraction: float) -> float:
        """Quantile, linear between order statistics as `numpy.quantile`; NaN of nothing."""
        if not self.counts.size:
            return float("nan")
        place = fraction * (self.total - 1)
        until = np.cumsum(self.counts)
        low, high = (
            float(self.values[np.searchsorted(until, at, side="right")])
            for at in (np.floor(place), np.ceil(place))
        )
        return low if low == high else low + (place - np.floor(place)) * (high - low)

    def median(self) -> float:
        """Median; NaN of nothing."""
        return self.quantile(0.5)

    def robust_sd(self) -> float:
        """Standard deviation of a normal distribution with the values' median absolute deviation.

        NaN of nothing.
        """
        deviations = np.abs(self.values - self.median())
        order = np.argsort(deviations, kind="stable")
        return Histogram(deviations[order], self.counts[order]).median() / MAD_OF_NORMAL


@dataclass(frozen=True, slots=True, eq=False)
class GreyLevels:
    """What one channel of a slide is known by; parts of it add up.

    Attributes:
        everywhere: all grey values.
        outside: those outside cells (`measurements.background.outside_cells`).
        dtype: of the pixels.
        sampled: those of every fourth row and column (`measurements.foci_scale.sampled`).
        brightest: the largest absolute one (`measurements.foci_scale.brightest`).
    """

    everywhere: Histogram
    outside: Histogram
    dtype: np.dtype[Any]
    sampled: Histogram
    brightest: float

    def __add__(self, other: "GreyLevels") -> "GreyLevels":
        """Levels of both parts together."""
        return GreyLevels(
            self.everywhere + other.everywhere,
            self.outside + other.outside,
            self.dtype,
            self.sampled + other.sampled,
            max(self.brightest, other.brightest),
        )


# Median absolute deviation of a normal distribution of SD 1.
MAD_OF_NORMAL = 0.6744897501960817


def _cut(values: NDArray[Any]) -> NDArray[np.float32]:
    """Values as float32, cut towards 0 to `MANTISSA` bits; without NaN, and with one zero."""
    values = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    single += np.float32(0)
    bits = single.view(np.uint32)
    # Sign and magnitude: one less is the next number towards 0.
    bits -= np.abs(single) > np.abs(values)
    bits &= np.uint32(2**32 - 2 ** (FLOAT32_MANTISSA - MANTISSA))
    return single
