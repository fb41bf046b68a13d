"""Slopes of all channels on one, over the cells of a control, as stray cells cannot move them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from measurements.errors import MeasurementError

Floats = NDArray[np.float64]

LEVEL = 0.95
MAX_PAIRED = 1000
"""Most cells of which Theil and Sen's slope compares every two."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """The chance in an interval.

    Attributes:
        n_boot: resamples of the cells; 0 for no interval.
        seed: of the random generator.
    """

    n_boot: int = 500
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """How much each channel gains for 1 in a dye's own channel.

    Attributes:
        values: (channels,), 1 in the own channel.
        intervals: 95 % intervals, (channels, 2), NaN where not asked for.
        n_cells: cells that they come from.
    """

    values: Floats
    intervals: Floats
    n_cells: int


def slopes_through_zero(above: Floats, own: int, resampling: Resampling) -> Slopes:
    """Lines of least absolute deviation through 0.

    Σ |y - b x| = Σ |x| |y/x - b|, so the slope is the median of the ratios y/x weighted by |x|:
    bright cells count more, and half of the weight may stray.

    Args:
        above: finite values above autofluorescence, (cells, channels).
        own: channel that the others are regressed on.
        resampling: of the cells, for a percentile interval.

    Raises:
        MeasurementError: no cell differs from 0 in its own channel.
    """
    kept = above[above[:, own] != 0]
    if not len(kept):
        raise MeasurementError("No control cell is above autofluorescence: no slope can be taken.")
    weights = np.abs(kept[:, own])
    values, intervals = _trivial(above.shape[1])
    for channel in _others(above.shape[1], own):
        ratios = kept[:, channel] / kept[:, own]
        order = np.argsort(ratios, kind="stable")
        ordered, heavy = ratios[order], weights[order]
        values[channel] = weighted_median(ordered, heavy)
        intervals[channel] = _interval(ordered, heavy, resampling)
    return Slopes(values, intervals, len(kept))


def free_slopes(cells: Floats, own: int) -> Slopes:
    """Lines with a free intercept: the median slope of all pairs of cells (Sen 1968, JASA 63:1379).

    Args:
        cells: finite values, (cells, channels); thinned evenly to 1000.
        own: channel that the others are regressed on.

    Raises:
        MeasurementError: all cells are equally bright in their own channel.
    """
    thinned = cells[:: -(-len(cells) // MAX_PAIRED)]
    x = thinned[:, own]
    if np.ptp(x) == 0:
        raise MeasurementError("All control cells are equally bright: no slope can be taken.")
    values, intervals = _trivial(cells.shape[1])
    for channel in _others(cells.shape[1], own):
        fit = theilslopes(thinned[:, channel], x, alpha=LEVEL)
        values[channel], intervals[channel] = fit.slope, (fit.low_slope, fit.high_slope)
    return Slopes(values, intervals, len(thinned))


def weighted_median(ordered: Floats, weights: Floats) -> float:
    """Value that halves the weights of ascending values; the middle where two of them do."""
    cumulated = np.cumsum(weights)
    half = cumulated[-1] / 2
    low, high = (np.searchsorted(cumulated, half, side) for side in ("left", "right"))
    last = ordered.size - 1
    return float((ordered[min(low, last)] + ordered[min(high, last)]) / 2)


def _trivial(n_channels: int) -> tuple[Floats, Floats]:
    return np.ones(n_channels), np.ones((n_channels, 2))


def _others(n_channels: int, own: int) -> list[int]:
    return [channel for channel in range(n_channels) if channel != own]


def _interval(ordered: Floats, weights: Floats, resampling: Resampling) -> tuple[float, float]:
    """Percentile bootstrap interval of the weighted median."""
    if resampling.n_boot < 1:
        return np.nan, np.nan
    rng = np.random.default_rng(resampling.seed)
    shares = np.full(weights.size, 1 / weights.size)
    found = [
        weighted_median(ordered, weights * rng.multinomial(weights.size, shares))
        for _ in range(resampling.n_boot)
    ]
    low, high = np.quantile(found, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
