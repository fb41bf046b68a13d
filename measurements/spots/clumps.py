"""Clumps of spots that blocks of a slide cut: which of their parts are one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from measurements.spots.molecules import Ints

Numbers = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Rim:
    """What a block's neighbours need to know of its clumps.

    Attributes:
        n: number of clumps in the block.
        top: 1 + number of the clump on each pixel of the first row, 0 for none.
        bottom: the same of the last row.
        left: the same of the first column.
        right: the same of the last column.
    """

    n: int
    top: Numbers
    bottom: Numbers
    left: Numbers
    right: Numbers

    @classmethod
    def of(cls, clumps: Numbers, n: int) -> "Rim":
        """From (y, x) 1 + number of the clump, 0 for none, of `n` clumps; no axis is empty."""
        edges = clumps[0], clumps[-1], clumps[:, 0], clumps[:, -1]
        return cls(n, *(edge.copy() for edge in edges))


@dataclass(frozen=True, slots=True, eq=False)
class Numbering:
    """Numbers of clumps that are unique over a slide, and the same for all parts of one.

    Attributes:
        starts: number of each block's first clump.
        cut: numbers that are in several blocks, or next to another part of their clump; increasing.
        first: lowest number of the clump that each of these is of.
    """

    starts: Sequence[int]
    cut: Ints
    first: Ints

    def of(self, block: int, clump: Ints) -> Ints:
        """Numbers on the slide of a block's clumps.

        Args:
            block: which one, row by row.
            clump: numbers within the block, from 0.
        """
        numbers = clump + self.starts[block]
        at = np.minimum(np.searchsorted(self.cut, numbers), max(self.cut.size - 1, 0))
        if not self.cut.size:
            return numbers
        return np.where(self.cut[at] == numbers, self.first[at], numbers)


def join_clumps(rows: Iterable[Sequence[Rim]]) -> Numbering:
    """Join clumps whose pixels touch, corners too, across the borders of blocks.

    Args:
        rows: rims of the blocks, row by row; one row is looked at at a time.
    """
    starts, pairs, above = [0], [np.zeros((0, 2), np.int64)], np.zeros(0, np.int64)
    for row in rows:
        own = [*accumulate((rim.n for rim in row), initial=starts[-1])]
        named = list(zip(row, own[:-1], strict=True))
        pairs.append(_touching(above, np.concatenate([_named(r.top, at) for r, at in named])))
        pairs += [
            _touching(_named(one.right, at), _named(other.left, then))
            for (one, at), (other, then) in pairwise(named)
        ]
        above = np.concatenate([_named(rim.bottom, at) for rim, at in named])
        starts += own[1:]
    cut, ends = np.unique(np.concatenate(pairs), return_inverse=True)
    a, b = ends.reshape(-1, 2).T
    graph = sparse.coo_array((np.ones(a.size), (a, b)), (cut.size, cut.size))
    _, component = sparse.csgraph.connected_components(graph, directed=False)
    _, lowest = np.unique(component, return_index=True)
    return Numbering(starts, cut, cut[lowest[component]])


def _named(edge: Numbers, start: int) -> Ints:
    """Numbers on the slide; -1 for none."""
    return np.where(edge > 0, edge.astype(np.int64) - 1 + start, -1)


def _touching(one: Ints, other: Ints) -> Ints:
    """Pairs of clumps on two lines of pixels that lie next to each other."""
    n = min(one.size, other.size)
    found = [
        np.stack([one[max(0, -by) : n - max(0, by)], other[max(0, by) : n + min(0, by)]], axis=1)
        for by in (-1, 0, 1)
        if n
    ]
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *found])
    return np.unique(pairs[(pairs >= 0).all(axis=1)], axis=0)
