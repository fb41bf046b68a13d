"""Runs: the stretches of equal label along the rows of a label image.

A region of n pixels has about √n runs, so what can be had from runs (order, shape, moments) costs
a fraction of what pixels cost.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of labelled pixels along the last axis; none goes on into the next row.

    Attributes:
        label: label of each run, above 0, of the label image's type.
        start: int64 flat (C order) index of the first pixel.
        length: int64 number of pixels.
    """

    label: NDArray[Any]
    start: Ints
    length: Ints

    @classmethod
    def of(cls, labels: NDArray[Any]) -> "Runs":
        """Find the runs of a label image, ordered by label, then in raster order.

        Args:
            labels: integer or boolean labels of any shape, 0 is background.
        """
        flat = labels.ravel()
        if not flat.size:
            return cls(flat, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        begins = np.empty(flat.size, dtype=bool)
        begins[0] = True
        np.not_equal(flat[1:], flat[:-1], out=begins[1:])
        begins[:: labels.shape[-1]] = True
        start = np.flatnonzero(begins)
        length = np.diff(start, append=flat.size)
        label = flat[start]
        labelled = np.flatnonzero(label)
        order = labelled[np.argsort(label[labelled], kind="stable")]
        return cls(label[order], start[order], length[order])

    def take(self, chosen: NDArray[Any]) -> "Runs":
        """The runs that an index or a mask names."""
        return Runs(self.label[chosen], self.start[chosen], self.length[chosen])

    def pixels(self) -> Ints:
        """Flat index of every pixel, run by run."""
        return ranges(self.start, self.length)


def ranges(first: Ints, counts: Ints) -> Ints:
    """Concatenate ``arange(first[i], first[i] + counts[i])`` over all i."""
    offsets = np.cumsum(counts) - counts
    positions: Ints = np.repeat(first - offsets, counts)
    positions += np.arange(positions.size)
    return positions
