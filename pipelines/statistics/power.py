"""How large a next experiment must be, from how much this one's units, images and cells vary.

The variance of a unit's mean is that between units plus each lower level's, divided by its members
in a unit. Two groups of n units then differ detectably by what a two-sided t-test at 0.05 with
2(n - 1) degrees of freedom finds with the wanted power (noncentral t; Cohen 1988, ch. 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student

ALPHA = 0.05
MOST_UNITS = 500


@dataclass(frozen=True)
class Components:
    """How much each level varies, and how many members it had.

    Attributes:
        variances: level, from the unit down to the image -> its variance.
        cells: variance between cells of one image.
        members: level below the unit -> its members in a unit, the median over units.
        cells_per_image: median over images.
        logs: whether variances are of natural logarithms.
    """

    variances: Mapping[str, float]
    cells: float
    members: Mapping[str, float]
    cells_per_image: float
    logs: bool

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


def power(difference: float, sd: float, units: int) -> float:
    """Probability to find a difference between two groups of `units` units each."""
    if sd == 0:
        return 1.0 if difference else ALPHA
    df = 2 * (units - 1)
    shift = abs(difference) / (sd * np.sqrt(2 / units))
    limit = student.ppf(1 - ALPHA / 2, df)
    return float(nct.sf(limit, df, shift) + nct.cdf(-limit, df, shift))


def detectable(sd: float, units: int, wanted: float = 0.8) -> float:
    """Smallest difference that is found with probability `wanted`; needs at least 2 units."""
    if sd == 0:
        return 0.0
    enough = sd
    while power(enough, sd, units) < wanted:
        enough *= 2
    return float(brentq(lambda d: power(d, sd, units) - wanted, 0.0, enough))


def units_needed(difference: float, sd: float, wanted: float = 0.8) -> int | None:
    """Units a group to find a difference; None where more than `MOST_UNITS` would be needed."""
    for units in range(2, MOST_UNITS + 1):
        if power(difference, sd, units) >= wanted:
            return units
    return None
