"""Texture of every region at once: co-occurrence of grey levels (Haralick et al. 1973).

One table of counts for all regions, filled by a single pass over the pairs of pixels; nothing
loops over regions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.regions import Floats, Regions, divide

LEVELS = 16
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
REGIONS_AT_ONCE = 4096
"""Regions whose tables are held at a time: 8 MB of counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """Haralick's measures, one value a region; NaN for a region without a pair of pixels.

    Attributes:
        contrast: Σ p(i, j) (i - j)², in squared grey levels.
        correlation: of the grey levels of both pixels of a pair; NaN where they do not vary.
        entropy: -Σ p(i, j) log2 p(i, j), bits.
    """

    contrast: Floats
    correlation: Floats
    entropy: Floats


def cooccurrence_texture(levels: NDArray[np.integer], regions: Regions, distance: int) -> Texture:
    """Measure the texture of every region.

    Pairs of pixels that lie `distance` px apart along a row, a column or a diagonal count in both
    orders, and only where both lie in the same region; the four directions are taken together, so
    that turning the image by a right angle changes nothing.

    Args:
        levels: (y, x) grey levels from 0 to `LEVELS` - 1.
        regions: regions of a 2D label image of that shape.
        distance: in px, at least 1.
    """
    index = regions.index_image()
    n = len(regions)
    pieces = [
        _texture(_counts(levels, index, distance, first, min(first + REGIONS_AT_ONCE, n)))
        for first in range(0, n, REGIONS_AT_ONCE)
    ]
    if not pieces:
        return Texture(np.zeros(0), np.zeros(0), np.zeros(0))
    return Texture(
        *(np.concatenate([getattr(piece, name) for piece in pieces])
          for name in ("contrast", "correlation", "entropy"))
    )  # fmt: skip


def _counts(
    levels: NDArray[np.integer], index: NDArray[np.int32], distance: int, first: int, last: int
) -> Floats:
    """Symmetric tables of pairs, shape (regions, levels, levels), of regions first to last."""
    table = np.zeros((last - first) * LEVELS * LEVELS, dtype=np.int64)
    for down, right in DIRECTIONS:
        here, there = _shifted(index.shape, distance * down, distance * right)
        of = index[here]
        pair = (of == index[there]) & (of > first) & (of <= last)
        row = of[pair].astype(np.int64) - 1 - first
        code = (row * LEVELS + levels[here][pair]) * LEVELS + levels[there][pair]
        table += np.bincount(code, minlength=table.size)
    counts = table.reshape(-1, LEVELS, LEVELS)
    symmetric: Floats = (counts + counts.transpose(0, 2, 1)).astype(np.float64)
    return symmetric


def _shifted(
    shape: tuple[int, ...], down: int, right: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the pixels that have a partner so far down and right (or left), and of those."""
    rows, columns = shape
    if right >= 0:
        return (
            (slice(0, max(rows - down, 0)), slice(0, max(columns - right, 0))),
            (slice(down, rows), slice(right, columns)),
        )
    return (
        (slice(0, max(rows - down, 0)), slice(-right, columns)),
        (slice(down, rows), slice(0, max(columns + right, 0))),
    )


def _texture(counts: Floats) -> Texture:
    total = counts.sum(axis=(1, 2))
    p = divide(counts, total[:, None, None])
    i = np.arange(LEVELS, dtype=np.float64)
    contrast = np.einsum("rij,ij->r", p, (i[:, None] - i) ** 2)
    marginal = p.sum(axis=2)
    # No matrix product: its last bit depends on how many regions there are.
    mean = (marginal * i).sum(axis=1)
    variance = np.einsum("ri,ri->r", marginal, (i - mean[:, None]) ** 2)
    product = np.einsum("rij,ij->r", p, i[:, None] * i)
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    entropy = -np.einsum("rij,rij->r", p, logs)
    return Texture(contrast, divide(product - mean**2, variance), entropy)
