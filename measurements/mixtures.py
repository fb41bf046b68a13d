"""A mixture of two normals, fitted to many weightings of the same sample at once.

The sample is given as atoms (places) with weights (how many cells lie there), so that a bootstrap
is a matrix of weights and all its fits run together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from measurements.resampling import atoms_of

Floats = NDArray[np.float64]

START_SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
"""Shares of the upper component that the fits start from."""
SMALLEST_SD = 1e-3
"""Least SD of a component, in SD of all cells, so that none collapses onto one value."""
MIN_ASHMAN_D = 2.0
"""Ashman's D above which two normals are called cleanly separated (Ashman et al. 1994)."""
MIN_SHARE = 0.01
MIN_MINORITY = 5
"""Least cells in either component, as a share and as a number [judgement]."""


@dataclass(frozen=True, slots=True, eq=False)
class Mixtures:
    """Two-component fits, one per row of weights.

    Attributes:
        share: weight of the upper component, shape (fits,).
        means: shape (fits, 2), the lower component first.
        sds: shape (fits, 2).
    """

    share: Floats
    means: Floats
    sds: Floats

    def take(self, rows: NDArray[np.intp]) -> "Mixtures":
        """The fits of these rows."""
        return Mixtures(self.share[rows], self.means[rows], self.sds[rows])

    def logit(self) -> tuple[Floats, Floats, Floats]:
        """Coefficients a, b, c of the upper component's log posterior odds a x² + b x + c."""
        precision = self.sds**-2.0
        a = (precision[:, 0] - precision[:, 1]) / 2
        slopes = self.means * precision
        b = slopes[:, 1] - slopes[:, 0]
        squares = self.means * slopes / 2
        odds = np.log(self.share) - np.log1p(-self.share)
        scale = np.log(self.sds[:, 0] / self.sds[:, 1])
        return a, b, squares[:, 0] - squares[:, 1] + odds + scale

    def crossing(self) -> Floats:
        """Where both posteriors are equal, between the means; NaN where there is no such point.

        Normals of different width cross twice; the root between the means is the one at which
        brighter cells begin to be positive.
        """
        a, b, c = self.logit()
        at_means = a[:, None] * self.means**2 + b[:, None] * self.means + c[:, None]
        separated = (at_means[:, 0] < 0) & (at_means[:, 1] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            q = -(b + np.copysign(np.sqrt(b**2 - 4 * a * c), b)) / 2
            roots = np.stack([q / a, c / q], axis=1)
        within = (roots > self.means[:, :1]) & (roots < self.means[:, 1:])
        root = np.where(within[:, 0], roots[:, 0], roots[:, 1])
        return np.where(separated & within.any(axis=1), root, np.nan)

    def ashman_d(self) -> Floats:
        """Distance of the means in root-mean-square SD (Ashman, Bird & Zepf 1994, AJ 108:2348)."""
        distance: Floats = self.means[:, 1] - self.means[:, 0]
        pooled: Floats = np.sqrt((self.sds**2).mean(axis=1))
        return distance / pooled


def best_split(z: Floats) -> Mixtures | None:
    """The likeliest fit that describes two separate components, each of enough cells."""
    atoms = atoms_of(z)
    fits = fit(atoms.places, atoms.counts[0])
    candidates = fits.take(_separate(fits, z.size))
    if not candidates.share.size:
        return None
    best = refine(atoms.places, atoms.counts, candidates.take(np.array([0])))
    return best if _separate(best, z.size).size else None


def _separate(fits: Mixtures, n_cells: int) -> NDArray[np.intp]:
    """Rows of the fits whose components are apart and large enough."""
    minority = np.minimum(fits.share, 1 - fits.share)
    enough = (minority >= MIN_SHARE) & (minority * n_cells >= MIN_MINORITY)
    apart = np.isfinite(fits.crossing()) & (fits.ashman_d() > MIN_ASHMAN_D)
    return np.flatnonzero(enough & apart)


def fit(atoms: Floats, weights: Floats) -> Mixtures:
    """Fit one sample from every start, the best likelihood first.

    Args:
        atoms: places, shape (atoms,), ascending, not all equal.
        weights: cells at each place, shape (atoms,).

    Returns:
        One fit per start. The best fit of all may lay both components on the same skewed
        population, so the caller picks the best that is a split.
    """
    starts = _starts(atoms, weights)
    rows = np.broadcast_to(weights, (starts.share.size, weights.size))
    fits = refine(atoms, rows, starts, tolerance=1e-4, max_steps=100)
    return fits.take(np.argsort(-_log_likelihood(fits, atoms, weights), kind="stable"))


def refine(
    atoms: Floats,
    weights: Floats,
    start: Mixtures,
    tolerance: float = 1e-6,
    max_steps: int = 500,
) -> Mixtures:
    """Expectation maximisation from `start` (Dempster, Laird & Rubin 1977, JRSS B 39:1).

    Args:
        atoms: places, shape (atoms,).
        weights: cells at each place, shape (fits, atoms).
        start: one mixture per row of weights.
        tolerance: largest change of a share, or of a mean in SD of all cells, at which to stop.
        max_steps: stop after this many steps in any case.
    """
    centre, scale = _moments(atoms, weights.sum(axis=0))
    x = (atoms - centre) / scale
    powers = np.stack([np.ones_like(x), x, x**2], axis=1)
    totals = weights @ powers
    now = Mixtures(start.share, (start.means - centre) / scale, start.sds / scale)
    for _ in range(max_steps):
        coefficients = np.stack(now.logit()[::-1], axis=1)
        upper = (weights * expit(coefficients @ powers.T)) @ powers
        new = _from_sums(totals, upper)
        moved = max(np.abs(new.means - now.means).max(), np.abs(new.share - now.share).max())
        now = new
        if moved < tolerance:
            break
    return Mixtures(now.share, now.means * scale + centre, now.sds * scale)


def _from_sums(totals: Floats, upper: Floats) -> Mixtures:
    """Maximisation step: a mixture from each component's sums of 1, x and x²."""
    sums = np.stack([totals - upper, upper], axis=1)
    counts = np.maximum(sums[..., 0], 1e-9)
    means = sums[..., 1] / counts
    variances = sums[..., 2] / counts - means**2
    share = np.clip(upper[:, 0] / totals[:, 0], 1e-9, 1 - 1e-9)
    return Mixtures(share, means, np.sqrt(np.maximum(variances, SMALLEST_SD**2)))


def _starts(atoms: Floats, weights: Floats) -> Mixtures:
    """Hard splits of the sample at the shares of `START_SHARES`."""
    centre, scale = _moments(atoms, weights)
    x = (atoms - centre) / scale
    powers = np.stack([np.ones_like(x), x, x**2], axis=1) * weights[:, None]
    above = 1 - (np.cumsum(weights) - weights / 2) / weights.sum()
    chosen = above[None, :] < np.array(START_SHARES)[:, None]
    chosen[:, -1], chosen[:, 0] = True, False
    totals = np.broadcast_to(powers.sum(axis=0), (len(START_SHARES), 3))
    splits = _from_sums(totals, chosen @ powers)
    return Mixtures(splits.share, splits.means * scale + centre, splits.sds * scale)


def _moments(atoms: Floats, weights: Floats) -> tuple[float, float]:
    mean = float(np.average(atoms, weights=weights))
    return mean, float(np.sqrt(np.average((atoms - mean) ** 2, weights=weights)))


def _log_likelihood(fits: Mixtures, atoms: Floats, weights: Floats) -> Floats:
    z = (atoms - fits.means[..., None]) / fits.sds[..., None]
    log_density = -0.5 * z**2 - np.log(fits.sds)[..., None] - 0.5 * np.log(2 * np.pi)
    lower = np.log1p(-fits.share)[:, None] + log_density[:, 0]
    upper = np.log(fits.share)[:, None] + log_density[:, 1]
    total: Floats = np.logaddexp(lower, upper) @ weights
    return total
