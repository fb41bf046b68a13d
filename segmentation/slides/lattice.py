"""The network's tiles: one lattice for the whole slide, in the frame the network sees.

The tiles are those that Cellpose would cut from the whole slide (cellpose.core.run_net and
transforms.make_tiles: zeros around it to a multiple of 16, tiles that overlap by a tenth or more,
starts spread evenly from edge to edge). Stock Cellpose run on a part starts its tiles at the corner
of that part; networks that pool over a tile then answer differently for the same pixel, and no halo
helps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segmentation.slides.grid import Box, Shape
from segmentation.slides.resample import Taps, taps

# Objects have this diameter in the images that Cellpose's networks learned from.
NETWORK_DIAMETER_PX = 30.0
# As in cellpose.core.run_net: least share by which tiles overlap, and zeros around the slide.
_OVERLAP = 0.1
_MULTIPLE = 16


@dataclass(frozen=True)
class Lattice:
    """Tiles over a slide.

    Attributes:
        shape: rows and columns of the slide at full resolution.
        scale: pixels of the network's frame in a pixel of the slide.
        tile: rows and columns of a tile.
    """

    shape: Shape
    scale: float
    tile: int

    @cached_property
    def scaled_shape(self) -> Shape:
        """Rows and columns of the slide in the network's frame."""
        return int(self.shape[0] * self.scale), int(self.shape[1] * self.scale)

    @cached_property
    def _starts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        y, x = (_tile_starts(length, self.tile) for length in self.scaled_shape)
        return y, x

    def to_network(self, box: Box) -> tuple[Taps, Taps]:
        """Taps that sample the slide for a box of the network's frame."""
        return (
            taps(box.top, box.bottom, self.scaled_shape[0], self.shape[0]),
            taps(box.left, box.right, self.scaled_shape[1], self.shape[1]),
        )

    def to_slide(self, box: Box) -> tuple[Taps, Taps]:
        """Taps that sample the network's frame for a box of the slide."""
        return (
            taps(box.top, box.bottom, self.shape[0], self.scaled_shape[0]),
            taps(box.left, box.right, self.shape[1], self.scaled_shape[1]),
        )

    def tiles_over(self, box: Box) -> Iterator[Box]:
        """Whole tiles that share a pixel with a box of the network's frame, row by row.

        Tiles at the slide's edges may reach beyond it.
        """
        for top in self._starts[0]:
            if top + self.tile <= box.top or top >= box.bottom:
                continue
            for left in self._starts[1]:
                if left + self.tile > box.left and left < box.right:
                    yield Box(top, left, top + self.tile, left + self.tile)


def _tile_starts(length: int, tile: int) -> tuple[int, ...]:
    """Starts of the tiles along an axis of `length` pixels, the first ones before pixel 0."""
    more = -length % _MULTIPLE if length >= tile else max(0, tile - length - _MULTIPLE)
    padded = length + _MULTIPLE + more
    before = _MULTIPLE // 2 + more // 2
    n = 1 if padded <= tile else int(np.ceil((1 + 2 * _OVERLAP) * padded / tile))
    starts = np.linspace(0, padded - tile, n).astype(int) - before
    return tuple(int(start) for start in starts)
