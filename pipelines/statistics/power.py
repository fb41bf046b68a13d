"""How large a next experiment must be, from how much this one's units, images and cells vary.

The variance of a unit's mean is that between units plus each lower level's, divided by its members
in a unit. A test of two groups of n units then finds a difference as often as a noncentral t says
(Cohen 1988, ch. 2), with the degrees of freedom of Welch (1947, Biometrika 34:28); n blocks that
hold both sides, with n - 1.

Groups whose means differ rarely vary alike: donors differ in intensity by factors, so that twice
the mean is twice the SD. A plan that takes the reference's SD for both groups promised to find 84 %
of simulated differences in intensity of which 44 % were found. Fractions vary by the number of
their cells as well, as √(m(1 - m)/cells), which for rare cells is more than donors do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import logit
from scipy.stats import chi2, nct
from scipy.stats import t as student

ALPHA = 0.05
CAUTION = 0.8
ONE_SIDED = 5.0
"""Noncentrality above which a difference of the wrong sign is found in fewer than 1 of 10⁸ studies;
SciPy's lower tail of the noncentral t is not a number further up."""
MOST_FOLD = 1e3
"""A group that many times the reference is as far away as can be asked for."""

Growth = Literal["none", "mean", "odds"]
"""How the SD between units follows their mean m: not at all; like m; or, for fractions whose log
odds vary alike, like m(1 - m)."""


@dataclass(frozen=True)
class Components:
    """How much each level varies, and how many members it had.

    Attributes:
        variances: level, from the unit down to the image -> its variance.
        cells: variance between cells of one image.
        members: level below the unit -> its members in a unit, the mean over units.
        cells_per_image: mean over images.
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
        cells = self.cells / (images * cells_per_image)
        return float(np.sqrt(self.sd_between(images) ** 2 + cells))

    def sd_between(self, images: float) -> float:
        """The same without what the cells bring."""
        unit, *below = self.variances
        variance = self.variances[unit]
        for level in below:
            n = images if level == "image_id" else min(self.members[level], images)
            variance += self.variances[level] / n
        return float(np.sqrt(variance))

    @property
    def cautious(self) -> float:
        """Factor to the upper 80 % limit of the SD, to plan with where few units gave it.

        √(df / χ²₀.₂(df)), after Browne 1995 (Stat. Med. 14:1933): planning with the SD as it was
        estimated gives too few units in half of all cases.
        """
        return float(np.sqrt(self.df / chi2.ppf(1 - CAUTION, self.df)))


@dataclass(frozen=True)
class Plan:
    """A reference group, how units vary, and by which test another group is compared with it.

    Attributes:
        mean: of the reference.
        spread: SD between means of units: absolute, or in units of what it grows with.
        growth: how the SD follows the mean.
        paired: whether both groups are compared within blocks, by Student's t of the differences.
        gate: factors to the SD of the reference and of the other group that the error of a gate of
            control cells brings; None where there is none.
        chance: of a fraction m, what counting the cells of a unit adds to its variance, over
            m(1 - m): 1 / cells; 0 where `spread` holds it.
    """

    mean: float
    spread: float
    growth: Growth = "none"
    paired: bool = False
    gate: tuple[float, float] | None = None
    chance: float = 0.0

    def sd(self, mean: float) -> float:
        """SD between units of a group with that mean."""
        chance = self.chance * mean * (1 - mean) if self.chance else 0.0
        return float(np.sqrt((self.spread * grown(mean, self.growth)) ** 2 + chance))

    def varying(self, factor: float) -> "Plan":
        """The same plan with units that vary that many times as much."""
        return replace(self, spread=self.spread * factor, chance=self.chance * factor**2)


def grown(mean: float, growth: Growth) -> float:
    """What the SD of a group is proportional to: 1, its mean m, or m(1 - m)."""
    return {"none": 1.0, "mean": abs(mean), "odds": mean * (1 - mean)}[growth]


def power(plan: Plan, other: float, units: int) -> float:
    """Probability that a two-sided test at 0.05 tells a group of mean `other` from the reference.

    Means are compared as they are; unpaired fractions as angles asin √m, or with a gate's error as
    logits, as the tests of `unit_fractions` do.

    Args:
        plan: the reference and how units vary.
        other: mean of the other group.
        units: of each group; blocks that hold both sides, where paired.
    """
    (a, sd_a), (b, sd_b) = _on_scale_of_test(plan, plan.mean, 0), _on_scale_of_test(plan, other, 1)
    first, second = sd_a**2 / units, sd_b**2 / units
    if first + second == 0:
        return 1.0 if other != plan.mean else ALPHA
    df = units - 1.0
    if not plan.paired:
        df *= (first + second) ** 2 / (first**2 + second**2)
    shift = abs(a - b) / np.sqrt(first + second)
    limit = student.ppf(1 - ALPHA / 2, df)
    wrong_sign = nct.cdf(-limit, df, shift) if shift < ONE_SIDED else 0.0
    return float(nct.sf(limit, df, shift) + wrong_sign)


def _on_scale_of_test(plan: Plan, mean: float, side: int) -> tuple[float, float]:
    """Where a group lies on the scale of the test, and the SD of its units there (delta method)."""
    factor = plan.gate[side] if plan.gate else 1.0
    if plan.growth != "odds" or plan.paired:
        return mean, plan.sd(mean) * factor
    if plan.gate:
        return float(logit(mean)), plan.spread * factor
    sd = np.sqrt(plan.spread**2 * mean * (1 - mean) + plan.chance) / 2
    return float(np.arcsin(np.sqrt(mean))), float(sd)


def detectable(plan: Plan, units: int, wanted: float = 0.8) -> float | None:
    """Smallest difference from the reference that is found with probability `wanted`.

    Args:
        plan: the reference and how units vary.
        units: of each group, at least 2.
        wanted: the probability.

    Returns:
        An increase; of a fraction above one half, a decrease, as a positive number. None where
        even the largest is found less often: with few units that vary in proportion to their mean,
        the higher group's own SD hides any increase.
    """
    if plan.spread == plan.chance == 0:
        return 0.0
    direction = -1 if plan.growth == "odds" and plan.mean > 0.5 else 1
    most = _largest(plan)
    if power(plan, plan.mean + direction * most, units) < wanted:
        return None

    def lacking(difference: float) -> float:
        return power(plan, plan.mean + direction * difference, units) - wanted

    return float(brentq(lacking, 0.0, most, xtol=1e-9 * most))


def _largest(plan: Plan) -> float:
    """A difference as large as can be."""
    if plan.growth == "odds":
        return max(plan.mean, 1 - plan.mean) * (1 - 1e-9)
    return MOST_FOLD * (plan.mean if plan.growth == "mean" else plan.spread)
