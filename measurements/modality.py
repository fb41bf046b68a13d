"""Whether a sample has a valley at a cut: Hartigan's dip test on a window around it.

A criterion of fit (BIC, likelihood ratio) prefers two normals to one for any skewed population
once there are enough cells. Two populations are believed here only where the density falls and
rises again, which no transformation of a single-peaked population's tail imitates.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

Floats = NDArray[np.float64]

ATOM_SHARE = 0.01
ATOM_EXCESS = 10.0
"""A value at an end of the range that holds over 1 % of the cells and over ten times as many as
its five neighbours is a clipped one (saturated camera, negatives set to 0), no population
[judgement]."""

_SIZES = np.array([10, 20, 50, 100, 200, 500, 1000, 2000, 20000], dtype=np.float64)
_ROOT_N_DIP = np.array([0.530, 0.568, 0.597, 0.615, 0.629, 0.650, 0.655, 0.655, 0.655])
"""99.5th percentile of sqrt(n) x dip of n uniform values, from 10,000 to 20,000 simulated samples
each (1,500 for the largest). The uniform is the reference of Hartigan & Hartigan 1985: its dip is
asymptotically the largest of the unimodal distributions, so any other is refused more often."""


def has_valley(values: Floats, cut: float) -> bool:
    """Whether the density falls before the cut and rises again after it, dip test at 0.5 %.

    The test looks at as many cells on the larger side of the cut, those nearest to it, as there
    are on the smaller one. Cut to an interval a unimodal density stays unimodal, so the null
    hypothesis is untouched, while a few positive cells are no longer drowned by the negatives:
    the dip of the whole sample cannot exceed half their share. The cut was chosen by looking at
    the sample, which raises the error; the level is set so that it stays under 5 % for the worst
    family in ``tests/benchmarks/gating.py``.

    Args:
        values: finite, 1-D, in any order, on the scale where the populations should be apart.
        cut: the supposed valley.
    """
    z = spread_ties(values)
    above = int((z > cut).sum())
    below = z.size - above
    side = min(above, below)
    if side < 2:
        return False
    window = z[below - side : below + side]
    critical = np.interp(np.log(window.size), np.log(_SIZES), _ROOT_N_DIP)
    return dip(window) > float(critical) / float(np.sqrt(window.size))


def spread_ties(values: Floats) -> Floats:
    """Sorted values, equal ones spread evenly over the interval that rounding drew them from.

    The interval reaches half way to the neighbouring values. Without this the steps of rounded
    grey values or of counts would look like many peaks.
    """
    places, counts = np.unique(values, return_counts=True)
    if places.size < 2:
        return np.sort(values)
    half = np.diff(places) / 2
    before, after = np.append(half[0], half), np.append(half, half[-1])
    rank = np.arange(values.size) - np.repeat(np.cumsum(counts) - counts, counts)
    within = (rank + 0.5) / np.repeat(counts, counts)
    width = np.where(counts > 1, before + after, 0.0)
    start = np.where(counts > 1, places - before, places)
    spread: Floats = np.repeat(start, counts) + within * np.repeat(width, counts)
    return spread


def clipped_end(values: Floats) -> str | None:
    """``smallest`` or ``largest`` where that value is shared by so many cells that it is clipped.

    Clipped means over `ATOM_SHARE` of the cells and over `ATOM_EXCESS` times the mean number at
    the five neighbouring values.
    """
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    if counts.size < 2:
        return None
    ends = {"smallest": counts[:6], "largest": counts[::-1][:6]}
    for name, near in ends.items():
        many = near[0] > max(ATOM_SHARE * values.size, 4)
        if many and near[0] > ATOM_EXCESS * near[1:].mean():
            return name
    return None


def dip(values: Floats) -> float:
    """Largest distance between the sample's distribution function and the nearest unimodal one.

    Hartigan & Hartigan 1985, Ann. Stat. 13:70; algorithm of AS 217 (Hartigan 1985, Appl. Stat.
    34:320): the convex minorant and the concave majorant are compared on a modal interval that
    shrinks until their distance no longer exceeds the misfit outside it.

    Args:
        values: 1-D, finite, all different (see `spread_ties`), any order.

    Returns:
        The dip, between 1/(2n) and 1/4; 0 for fewer than two values.
    """
    x = np.sort(values)
    n = x.size
    if n < 2:
        return 0.0
    upper = np.arange(1, n + 1) / n
    low, high, misfit = 0, n - 1, 1.0 / n
    while True:
        part = slice(low, high + 1)
        convex = _convex_minorant(x[part], upper[part] - 1.0 / n)
        concave = -_convex_minorant(x[part], -upper[part])
        left, right, gap = _modal_interval(convex, concave, upper[part], 1.0 / n)
        if gap <= misfit:
            return misfit / 2
        outside_left = np.abs(upper[part] - convex)[: left + 1].max()
        outside_right = np.abs(concave - upper[part] + 1.0 / n)[right:].max()
        misfit = max(misfit, float(outside_left), float(outside_right))
        if left == 0 and right == high - low:
            return misfit / 2
        low, high = low + left, low + right


def _convex_minorant(x: Floats, y: Floats) -> Floats:
    """Greatest convex function below the points (x, y), at x."""
    if x.size < 3:
        return y
    steps = np.diff(x)
    slopes = isotonic_regression(np.diff(y) / steps, weights=steps).x
    return np.concatenate([y[:1], y[0] + np.cumsum(slopes * steps)])


def _modal_interval(
    convex: Floats, concave: Floats, upper: Floats, step: float
) -> tuple[int, int, float]:
    """Ends of the interval between touching points where the two hulls are farthest apart."""
    touch_convex = np.flatnonzero(np.isclose(convex, upper - step, rtol=0, atol=1e-3 * step))
    touch_concave = np.flatnonzero(np.isclose(concave, upper, rtol=0, atol=1e-3 * step))
    gaps = concave - convex
    at_convex = touch_convex[np.argmax(gaps[touch_convex])]
    at_concave = touch_concave[np.argmax(gaps[touch_concave])]
    if gaps[at_concave] > gaps[at_convex]:
        left = touch_convex[touch_convex <= at_concave][-1]
        return int(left), int(at_concave), float(gaps[at_concave])
    right = touch_concave[touch_concave >= at_convex][0]
    return int(at_convex), int(right), float(gaps[at_convex])
