"""Edge-corrected statistics of two types of cells: cross-K, pair correlation, nearest neighbour."""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, spatial

from measurements.errors import MeasurementError
from measurements.regions import Floats, divide
from measurements.spread.sections import Bools
from measurements.spread.window import Window


@dataclass(frozen=True)
class CrossType:
    """One value a distance.

    Attributes:
        r: distances, px: upper edges of the bins.
        k: cross-K: expected cells of the second type within r of one of the first, over their
            density, px²; π r² without interaction.
        g: pair correlation in the bin that ends at r; 1 without interaction.
        nearest: share of cells of the second type with one of the first within r, Kaplan-Meier.
    """

    r: Floats
    k: Floats
    g: Floats
    nearest: Floats


def cross_type(
    positions: Floats, first: Bools, second: Bools, window: Window, r: Floats
) -> CrossType:
    """Measure how cells of a second type lie about those of a first.

    K and g have the rigid motion correction (Ohser & Stoyan 1981, Biometrical Journal 23:523):
    pairs by distance over the number that the same densities would give in this window, which
    comes from the window's own set covariance, whatever its outline. Both assume the density of
    cells to be the same all over the tissue. The nearest distance is censored by the edge and
    estimated as a survival time (Baddeley & Gill 1997, Ann. Stat. 25:263).

    Args:
        positions: (n, 2) cells, px.
        first: (n,) cells such as sources.
        second: (n,) cells such as responding ones; no cell may be of both types.
        window: where cells were looked for.
        r: rising distances above 0, px.

    Returns:
        NaN where a type has no cell.

    Raises:
        MeasurementError: a cell is of both types, or r does not rise from above 0.
    """
    if (first & second).any():
        raise MeasurementError(f"{int((first & second).sum())} cells are of both types.")
    edges = np.concatenate([[0.0], np.asarray(r, dtype=np.float64)])
    if (np.diff(edges) <= 0).any():
        raise MeasurementError(f"The distances are {r}; expected them to rise from above 0.")
    n, m = int(first.sum()), int(second.sum())
    if not n or not m:
        return CrossType(edges[1:], *(np.full(edges.size - 1, np.nan) for _ in range(3)))
    one, other = (spatial.cKDTree(positions[flag]) for flag in (first, second))
    pairs = one.count_neighbors(other, edges[1:], cumulative=False).astype(np.float64)
    share = _set_covariance(window, edges) / window.area
    rings = np.pi * np.diff(edges**2)
    g = divide(pairs * window.area, n * m * share * rings)
    nearest = one.query(positions[second])[0]
    kept = _kaplan_meier(nearest, window.to_edge(positions[second]), edges[1:])
    return CrossType(edges[1:], np.cumsum(g * rings), g, kept)


def _set_covariance(window: Window, edges: Floats) -> Floats:
    """Mean area that the window shares with itself moved by the distances of each bin, px²."""
    coarse = max(1, int(np.diff(edges).min() / 4 / window.step))
    inside = ndimage.zoom(window.inside.astype(np.float32), 1 / coarse, order=0)
    step = window.step * np.array(window.inside.shape) / np.array(inside.shape)
    reach = [int(np.ceil(edges[-1] / s)) + 1 for s in step]
    size = [fft.next_fast_len(n + k, real=True) for n, k in zip(inside.shape, reach, strict=True)]
    power = np.abs(fft.rfft2(inside, size)) ** 2
    shared = fft.irfft2(power, size) * step.prod()
    rows, columns = (np.arange(-k, k + 1) for k in reach)
    near = shared[np.ix_(rows, columns)]
    away = np.hypot(rows[:, None] * step[0], columns[None, :] * step[1])
    middles = (edges[1:] + edges[:-1]) / 2
    bins = np.digitize(away, np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2]))
    means = ndimage.mean(near, bins, np.arange(1, middles.size + 1))
    radii = ndimage.mean(away, bins, np.arange(1, middles.size + 1))
    known = np.isfinite(means)
    return np.asarray(np.interp(middles, radii[known], means[known]))


def _kaplan_meier(distance: Floats, edge: Floats, r: Floats) -> Floats:
    """Share of cells with a neighbour within r, distances beyond the edge being censored."""
    times, seen = np.minimum(distance, edge), distance <= edge
    order = np.argsort(times, kind="stable")
    at_risk = times.size - np.arange(times.size)
    survival = np.cumprod(1 - seen[order] / at_risk)
    before = np.searchsorted(times[order], r, side="right")
    return np.asarray(1 - np.concatenate([[1.0], survival])[before])
