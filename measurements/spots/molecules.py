"""From light to molecules: the light of a single one, and how many a clump of spots has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.errors import MeasurementError
from measurements.regions import Floats

Ints = NDArray[np.int64]
# Fewer isolated spots do not show where their light piles up.
LEAST_SPOTS = 30
# Isolated spots within these times the mode are single molecules; half of it is a dim one, nearly
# twice it two that are not resolved.
SINGLE = 0.45, 1.7
# SD of the kernel and width of its bins, in natural logarithms of the light.
SMOOTHING, BIN = 0.12, 0.01


def single_intensity(integrated: Floats) -> float:
    """Integrated light of one molecule, from isolated spots.

    Most isolated spots are one molecule. The mode of the logarithms of their light (kernel density:
    Parzen 1962, Ann Math Stat 33:1065) says where that is, whatever the few unresolved pairs and
    clusters have. The mean of the spots around the mode is what light divides by: the light of
    several molecules is on average their number times the mean of one, not times its mode.

    Args:
        integrated: light of isolated spots that are no autofluorescence, of all images judged
            together.

    Returns:
        Grey values times pixels; NaN where there are fewer than 30 spots.
    """
    bright = np.sort(integrated[np.isfinite(integrated) & (integrated > 0)])
    if bright.size < LEAST_SPOTS:
        return float("nan")
    mode = float(np.exp(_mode(np.log(bright))))
    low, high = SINGLE
    single = bright[(bright > low * mode) & (bright < high * mode)]
    return float(single.mean())


@dataclass(frozen=True, slots=True, eq=False)
class ClumpTotals:
    """What clumps hold; totals of parts of an image add up.

    Attributes:
        clump: numbers, increasing.
        spots: number of spots.
        light: of all spots.
        excess: what the light of each spot is above that of one molecule, in such.
    """

    clump: Ints
    spots: Floats
    light: Floats
    excess: Floats

    @classmethod
    def of(cls, integrated: Floats, clump: Ints, single: float) -> "ClumpTotals":
        """Of spots, from their light and the number of their clump."""
        excess = np.maximum(integrated / single - 1, 0)
        return cls._summed(clump, np.ones(clump.size), integrated, excess)

    @classmethod
    def _summed(cls, clump: Ints, spots: Floats, light: Floats, excess: Floats) -> "ClumpTotals":
        numbers, own = np.unique(clump, return_inverse=True)
        sums = (np.bincount(own, each, numbers.size) for each in (spots, light, excess))
        return cls(numbers, *(each.astype(np.float64) for each in sums))

    def __add__(self, other: "ClumpTotals") -> "ClumpTotals":
        """Totals of both parts."""
        fields = ("clump", "spots", "light", "excess")
        both = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in fields]
        return self._summed(*both)

    def where(self, chosen: NDArray[np.bool_]) -> "ClumpTotals":
        """Those of the chosen clumps."""
        return ClumpTotals(
            self.clump[chosen], self.spots[chosen], self.light[chosen], self.excess[chosen]
        )


def count_molecules(
    integrated: Floats, clump: Ints, single: float, across: ClumpTotals | None = None
) -> Floats:
    """Molecules of every spot.

    A clump has its light over that of one molecule, to the nearest whole number, and never fewer
    than its spots. What it has more than spots is shared out by how much each spot's light exceeds
    that of one molecule.

    Args:
        integrated: light of each spot; autofluorescent ones are left out before.
        clump: clump of each spot.
        single: light of one molecule.
        across: of clumps that have spots elsewhere, too: all that they hold. Default: there are
            none.

    Returns:
        1 or more a spot, NaN where `single` is not known.

    Raises:
        MeasurementError: the light of one molecule is 0 or below.
    """
    if np.isnan(single):
        return np.full(integrated.shape, np.nan)
    if single <= 0:
        raise MeasurementError(f"A single molecule's light must be above 0, not {single}.")
    totals = ClumpTotals.of(integrated, clump, single)
    if across is not None:
        totals = across + totals.where(~np.isin(totals.clump, across.clump))
    own = np.searchsorted(totals.clump, clump)
    molecules = np.maximum(totals.spots, np.rint(totals.light / single))
    excess, total = np.maximum(integrated / single - 1, 0), totals.excess[own]
    share = np.divide(excess, total, out=1 / totals.spots[own], where=total > 0)
    counted: Floats = 1 + (molecules - totals.spots)[own] * share
    return counted


def is_cluster(molecules: Floats) -> NDArray[np.bool_]:
    """Whether a spot holds two molecules or more that are not resolved."""
    clustered: NDArray[np.bool_] = molecules >= 1.5
    return clustered


def _mode(logs: Floats) -> float:
    """Where the density of values is highest, smoothed by a Gaussian."""
    edges = np.arange(logs.min() - 4 * SMOOTHING, logs.max() + 4 * SMOOTHING, BIN)
    counts, _ = np.histogram(logs, edges)
    density = ndimage.gaussian_filter1d(counts.astype(np.float64), SMOOTHING / BIN)
    return float(edges[int(np.argmax(density))] + BIN / 2)
