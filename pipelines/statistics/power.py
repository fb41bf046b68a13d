"""How large a next experiment must be, from how much this one's units, images and cells vary.

The variance of a unit's mean is that between units plus each lower level's, divided by its members
in a unit. Two groups of n units then differ detectably by what a two-sided t-test at 0.05 with
2(n - 1) degrees of freedom finds with the wanted power (noncentral t; Cohen 1988, ch. 2); n blocks
that hold both sides, by what the paired test with n - 1 finds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, nct
from scipy.stats import t as student

ALPHA = 0.05
CAUTION = 0.8
MOST_UNITS = 500


@dataclass(frozen=True)
class Components:
    """How much each level varies, and how many members it had.

    Attributes:
        variances: level, from the unit down to the image -> its variance.
        cells: variance between cells of one image.
        members: level below the unit -> its members in a unit, the median over units.
        cells_per_image: median over images.
        df: units minus groups (and blocks): how well the variances are known.
        paired: whether the comparison is within blocks; the variances are then those left over
            after the differences between blocks.
    """

    variances: Mapping[str, float]
    cells: float
    members: Mapping[str, float]
    cells_per_image: float
    df: int
    paired: bool = False

    def sd_of_unit_means(self, images: float, cells_per_image: float) -> float:
        """SD between the means of units that have so many images and cells in each.

        Levels between unit and image keep the members they had, at most one an image.
        """
        unit, *below = self.variances
        variance = self.variances[unit]
        for level in below:
            n = images if level == "image_id" else min(self.members[level], images)
            variance += self.variances[level] / n
        return float(np.sqrt(variance + self.cells / (images * cells_per_image)))

    @property
    def cautious(self) -> float:
        """Factor to the upper 80 % limit of the SD, to plan with where few units gave it.

        √(df / χ²₀.₂(df)), after Browne 1995 (Stat. Med. 14:1933): planning with the SD as it was
        estimated gives too few units in half of all cases.
        """
        return float(np.sqrt(self.df / chi2.ppf(1 - CAUTION, self.df)))


def power(difference: float, sd: float, units: int, *, paired: bool = False) -> float:
    """Probability to find a difference between two groups of `units` units each.

    Args:
        difference: between the means of the groups.
        sd: between the means of units of one group.
        units: of each group; blocks that hold both sides, where `paired`.
        paired: whether `sd` is what blocks leave over, and the test is the paired one.
    """
    if sd == 0:
        return 1.0 if difference else ALPHA
    df = (units - 1) * (1 if paired else 2)
    shift = abs(difference) / (sd * np.sqrt(2 / units))
    limit = student.ppf(1 - ALPHA / 2, df)
    return float(nct.sf(limit, df, shift) + nct.cdf(-limit, df, shift))


def detectable(sd: float, units: int, wanted: float = 0.8, *, paired: bool = False) -> float:
    """Smallest difference that is found with probability `wanted`; needs at least 2 units."""
    if sd == 0:
        return 0.0
    enough = sd
    while power(enough, sd, units, paired=paired) < wanted:
        enough *= 2
    found = brentq(lambda d: power(d, sd, units, paired=paired) - wanted, 0.0, enough)
    return float(found)


def units_needed(
    difference: float, sd: float, wanted: float = 0.8, *, paired: bool = False
) -> int | None:
    """Units a group to find a difference; None where more than `MOST_UNITS` would be needed."""
    for units in range(2, MOST_UNITS + 1):
        if power(difference, sd, units, paired=paired) >= wanted:
            return units
    return None
