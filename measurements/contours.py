"""Perimeter and convex hull of every region at once, from the pixels of the label image.

A region's neighbours count as background, also where they touch it: every value is what the
region would give alone in an empty image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.regions import Floats, Regions
from measurements.runs import ranges

Ints = NDArray[np.int64]


def perimeters(regions: Regions) -> Floats:
    """Perimeter of every region in px; NaN for a region without pixels.

    Crofton's formula in 4 directions: along the rows, the columns (pixel spacing 1) and the two
    diagonals (line spacing 1/√2), every change between region and background on a line adds
    π/8 times the line spacing. Rivollier 2010 (thesis, ENSM Saint-Étienne), chapter 4; the same
    numbers as `skimage.measure.perimeter_crofton` with 4 directions. Changes into the region are
    counted, each with twice the weight: pixels whose neighbour on the line is not of the region.

    Against the true perimeter of discs and ellipses of 3 to 40 px radius its mean error is 1.5 %
    at most, where the border-pixel estimator of Benkrid & Crookes (`skimage.measure.perimeter`)
    runs from -11 % to +5 % and would make the form factor depend on the size of a nucleus. Holes
    and islands add their own outline.

    Args:
        regions: regions of a 2D label image.
    """
    straight, falling, rising = _neighbours_above(regions, row_stretches(regions))
    areas = regions.areas
    along_rows = np.diff(regions.run_starts)
    axes = along_rows + (areas - straight)
    diagonals = (areas - falling) + (areas - rising)
    lengths = np.pi / 4 * (axes + diagonals / np.sqrt(2))
    return np.where(areas > 0, lengths, np.nan)


def convex_areas(regions: Regions) -> Floats:
    """Number of pixels in the convex hull of every region; NaN for a region without pixels.

    The hull is taken over the middles of the pixels' edges, (y ± 1/2, x) and (y, x ± 1/2), and a
    pixel counts where its centre is in the hull or on its outline: the definition of
    `skimage.measure.regionprops` (``area_convex``), here in exact integers.

    Args:
        regions: regions of a 2D label image.
    """
    rows = _row_extents(row_stretches(regions))
    queries, heights = _all_rows(rows, len(regions))
    left = _hull_edge(rows, rows.first, queries)
    right = -_hull_edge(rows, -rows.last, queries)
    counts = np.bincount(queries[0], right - left + 1, minlength=len(regions))
    return np.where(heights > 0, counts, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class RowStretches:
    """The runs of every region of a 2D label image, by row and column.

    Attributes:
        region: int64 row of the region.
        y: int64 row of the image.
        x: int64 column of the first pixel.
        end: int64 column behind the last pixel.
    """

    region: Ints
    y: Ints
    x: Ints
    end: Ints


def row_stretches(regions: Regions) -> RowStretches:
    """Place every run of a 2D label image, in the order of the runs."""
    y, x = np.divmod(regions.runs.start, max(1, regions.shape[1]))
    region = np.repeat(np.arange(len(regions)), np.diff(regions.run_starts))
    return RowStretches(region, y, x, x + regions.runs.length)


def _neighbours_above(regions: Regions, stretches: RowStretches) -> tuple[Ints, Ints, Ints]:
    """Pixels of each region whose neighbour in the row above is of the region too.

    Returns:
        Counts for the neighbour straight above, above to the left and above to the right.
    """
    region, y, x, end = stretches.region, stretches.y, stretches.x, stretches.end
    # One key orders all places: by region, then row, then column.
    row = region * (regions.shape[0] + 1) + y
    width = regions.shape[1] + 1
    above = (row - 1) * width
    first = np.searchsorted(row * width + end, above + x, side="left")
    last = np.searchsorted(row * width + x, above + end, side="right")
    counts = last - first
    here, there = np.repeat(np.arange(x.size), counts), ranges(first, counts)
    totals = []
    for shift in (0, 1, -1):
        common = np.minimum(end[here], end[there] + shift) - np.maximum(x[here], x[there] + shift)
        found = np.bincount(region[here], np.maximum(common, 0), minlength=len(regions))
        totals.append(found.astype(np.int64))
    return totals[0], totals[1], totals[2]


@dataclass(frozen=True, slots=True, eq=False)
class _RowExtents:
    """First and last pixel of each image row of each region, ordered by region, then row.

    `follows` tells where the row directly below the one before is.
    """

    region: Ints
    y: Ints
    first: Ints
    last: Ints
    follows: NDArray[np.bool_]


def _row_extents(stretches: RowStretches) -> _RowExtents:
    region, y = stretches.region, stretches.y
    new = np.ones(y.size, dtype=bool)
    new[1:] = (y[1:] != y[:-1]) | (region[1:] != region[:-1])
    begins = np.flatnonzero(new)
    ends = np.append(begins[1:], y.size)[: begins.size] - 1
    region, y = region[begins], y[begins]
    follows = np.zeros(y.size, dtype=bool)
    follows[1:] = (y[1:] == y[:-1] + 1) & (region[1:] == region[:-1])
    return _RowExtents(region, y, stretches.x[begins], stretches.end[ends] - 1, follows)


def _all_rows(rows: _RowExtents, n_regions: int) -> tuple[tuple[Ints, Ints], Ints]:
    """Every row (region, y) from a region's top to its bottom, gaps included, and the heights."""
    bounds = np.searchsorted(rows.region, np.arange(n_regions + 1))
    filled = bounds[1:] > bounds[:-1]
    heights = np.zeros(n_regions, dtype=np.int64)
    heights[filled] = rows.y[bounds[1:][filled] - 1] - rows.y[bounds[:-1][filled]] + 1
    region = np.repeat(np.arange(n_regions), heights)
    return (region, ranges(rows.y[bounds[:-1][filled]], heights[filled])), heights


def _hull_edge(rows: _RowExtents, x: Ints, queries: tuple[Ints, Ints]) -> Ints:
    """First pixel of the hull in each queried row.

    Args:
        rows: rows of the regions.
        x: first pixel of the region in each of them.
        queries: (region, y) of the rows asked for.
    """
    region, y, x = _envelope(*_edge_middles(rows, x))
    stride = int(y.max(initial=0)) + 3
    start = (
        np.searchsorted(region * stride + y, queries[0] * stride + 2 * queries[1], side="right") - 1
    )
    dy, dx = y[start + 1] - y[start], x[start + 1] - x[start]
    numerator = x[start] * dy + dx * (2 * queries[1] - y[start])
    edge: Ints = -(-numerator // (2 * dy))
    return edge


def _edge_middles(rows: _RowExtents, x: Ints) -> tuple[Ints, Ints, Ints]:
    """Middles of the low-x pixels' edges as (region, 2y, 2x), ordered, the lowest x of each 2y.

    Twice the coordinates, so that they are integers.
    """
    below = x.copy()
    joined = np.flatnonzero(rows.follows)
    below[joined - 1] = np.minimum(x[joined - 1], x[joined])
    region = np.repeat(rows.region, 3)
    places = np.stack([2 * rows.y - 1, 2 * rows.y, 2 * rows.y + 1], axis=1).ravel()
    edges = np.stack([2 * x, 2 * x - 1, 2 * below], axis=1).ravel()
    # What lies between two rows is given by the upper one.
    kept = np.ones(region.size, dtype=bool)
    kept[3 * joined] = False
    return region[kept], places[kept], edges[kept]


def _envelope(region: Ints, y: Ints, x: Ints) -> tuple[Ints, Ints, Ints]:
    """Drop the points that are no vertices of their region's hull on the low-x side.

    A point on or above the chord of its two neighbours is no vertex, whatever else goes, so all
    such points can go at once; when none is left the chain is convex.
    """
    while True:
        dy, dx = np.diff(y), np.diff(x)
        turn = (dx[:-1] + dx[1:]) * dy[:-1] - dx[:-1] * (dy[:-1] + dy[1:])
        drop = (turn <= 0) & (region[:-2] == region[2:])
        if not drop.any():
            return region, y, x
        keep = np.ones(region.size, dtype=bool)
        keep[1:-1] = ~drop
        region, y, x = region[keep], y[keep], x[keep]
