"""Places in a field, from -1 to 1 along each side, the tiles that they lie in, smooth terms."""

import numpy as np
from numpy.typing import NDArray

from measurements.regions import Floats, Regions

TILES = 12
"""Tiles along each side."""


def places(cells: Regions) -> tuple[Floats, Floats]:
    """Rows and columns of the cells' centroids, from -1 to 1 along each side of the image."""
    at = np.divmod(cells.pixels, cells.shape[1])
    y, x = (
        2 * (cells.mean(axis.astype(np.float64)) + 0.5) / size - 1
        for axis, size in zip(at, cells.shape, strict=True)
    )
    return y, x


def tile_centres() -> tuple[Floats, Floats]:
    """Rows and columns of all tiles' centres, row by row."""
    centres = (np.arange(TILES) + 0.5) / TILES * 2 - 1
    y, x = np.meshgrid(centres, centres, indexing="ij")
    return y.ravel(), x.ravel()


def block_of(y: Floats, x: Floats, side: int) -> NDArray[np.intp]:
    """Which of side x side blocks of the field each place lies in, row by row."""
    row, column = (np.clip(((at + 1) / 2 * side).astype(np.intp), 0, side - 1) for at in (y, x))
    return row * side + column


def second_order(y: Floats, x: Floats) -> Floats:
    """1, y, x, y², yx and x² of places, in the last axis."""
    return np.stack([np.ones_like(y), y, x, y**2, y * x, x**2], axis=-1)
