"""Bootstrap intervals of a threshold, by cells or by the units that the cells come from.

A sample is condensed to at most 512 atoms, places with a number of cells at each, so
that all resamples are one matrix of weights and a statistic is computed for all of them at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm, t

Floats = NDArray[np.float64]
Thresholds = Callable[[Floats, Floats], Floats]
"""From places (atoms,) and weights (resamples, atoms) to one threshold a resample."""

MAX_ATOMS = 512
LEVEL = 0.95
FEW_UNITS = 10
LOST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Draws:
    """The chance in a bootstrap.

    Attributes:
        seed: of the random generator.
        number: resamples; 0 for no interval.
    """

    seed: int
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """A condensed sample.

    Attributes:
        places: shape (atoms,), strictly ascending: the distinct values, or means of neighbours.
        counts: cells at each place by unit, shape (units, atoms); one row where units are unknown.
    """

    places: Floats
    counts: Floats


def atoms_of(values: Floats, units: NDArray[np.intp] | None = None) -> Atoms:
    """Condense a sample.

    Up to `MAX_ATOMS` distinct values are kept as they are. More are grouped by rank, in steps that
    are even on the logit of the rank, so that a group near an extreme percentile holds one cell.

    Args:
        values: finite, shape (cells,), at least one.
        units: code of each cell's unit, from 0 on.
    """
    places, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if places.size > MAX_ATOMS:
        reach = np.log(values.size)
        steps = expit(np.linspace(-reach, reach, MAX_ATOMS - 1))
        ranks = (np.cumsum(counts) - counts / 2) / values.size
        groups = np.unique(np.searchsorted(steps, ranks), return_inverse=True)[1]
        places = np.bincount(groups, places * counts) / np.bincount(groups, counts)
        inverse = groups[inverse]
    codes = np.zeros(values.size, dtype=np.intp) if units is None else units
    cells = np.ravel_multi_index((codes, inverse), (int(codes.max()) + 1, places.size))
    table = np.bincount(cells, minlength=(int(codes.max()) + 1) * places.size)
    return Atoms(places, table.reshape(-1, places.size).astype(np.float64))


def interval(
    values: Floats, units: NDArray[np.intp] | None, thresholds: Thresholds, draws: Draws
) -> tuple[float, float, list[str]]:
    """95 % bootstrap interval of a threshold, expanded percentile method.

    The percentile interval is too narrow by sqrt((n - 1) / n) and by a normal quantile in place of
    Student's; Hesterberg 2015 (Am. Stat. 69:371) takes wider percentiles to mend both.

    Args:
        values: finite, shape (cells,), at least one.
        units: code of each cell's unit; given, whole units are drawn, else cells.
        thresholds: the statistic, for all resamples at once; NaN where a resample has none.
        draws: how many resamples, from which seed.

    Returns:
        Both ends, NaN where there is no interval, and notes on what limits it.
    """
    n_units = values.size if units is None else np.unique(units).size
    if draws.number < 1:
        return np.nan, np.nan, []
    if n_units < 2:
        return np.nan, np.nan, ["one cell or unit: no interval"]
    notes = [f"interval from only {n_units} units"] if n_units < FEW_UNITS else []
    atoms = atoms_of(values, units)
    found = thresholds(atoms.places, _resampled(atoms, units is not None, draws))
    lost = float(np.mean(np.isnan(found)))
    if lost > LOST_SHARE:
        notes.append(f"{lost:.0%} of the resamples gave no threshold")
    if lost >= 0.5:
        return np.nan, np.nan, notes
    tail = float(norm.cdf(np.sqrt(n_units / (n_units - 1)) * t.ppf((1 - LEVEL) / 2, n_units - 1)))
    low, high = np.nanquantile(found, (tail, 1 - tail))
    return float(low), float(high), notes


def _resampled(atoms: Atoms, by_unit: bool, draws: Draws) -> Floats:
    """Cells at each atom in every resample, shape (resamples, atoms)."""
    rng = np.random.default_rng(draws.seed)
    if by_unit:
        n_units = len(atoms.counts)
        drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=draws.number)
        by_units: Floats = drawn @ atoms.counts
        return by_units
    counts = atoms.counts.sum(axis=0)
    cells = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=draws.number)
    return cells.astype(np.float64)


def weighted_quantile(places: Floats, weights: Floats, share: float) -> Floats:
    """Quantile of every row of weights, interpolated like `numpy.percentile` does by default.

    Args:
        places: ascending, shape (atoms,).
        weights: whole numbers of cells, shape (rows, atoms), no row empty.
        share: between 0 and 1.
    """
    cumulated = np.cumsum(weights, axis=1)
    rank = share * (cumulated[:, -1] - 1)
    below = np.floor(rank)
    last = places.size - 1
    lower = places[np.minimum((cumulated <= below[:, None]).sum(axis=1), last)]
    upper = places[np.minimum((cumulated <= below[:, None] + 1).sum(axis=1), last)]
    quantile: Floats = lower + (rank - below) * (upper - lower)
    return quantile


def largest_contrast(places: Floats, weights: Floats) -> Floats:
    """Otsu's threshold of every row of weights: the middle of the best gap between places.

    Args:
        places: strictly ascending, shape (atoms,), at least two.
        weights: cells at each place, shape (rows, atoms).

    Returns:
        Shape (rows,); NaN for a row that has cells at one place only.
    """
    below = np.cumsum(weights, axis=1)
    sums = np.cumsum(weights * places, axis=1)
    total, mean = below[:, -1:], sums[:, -1:] / below[:, -1:]
    product = below * (total - below)
    distance = (mean * below - sums) ** 2
    contrast = np.divide(distance, product, out=np.zeros_like(distance), where=product > 0)
    best = np.argmax(contrast[:, :-1], axis=1)
    middle = (places[best] + places[best + 1]) / 2
    return np.where((product > 0).any(axis=1), middle, np.nan)
