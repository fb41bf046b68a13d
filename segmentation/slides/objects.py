"""Who an object belongs to and how it is named, from what one block sees.

An object is named by its first pixel in the slide, row by row, which no two objects share, and
belongs to the block whose core holds the centre of its bounding box. Both are whole numbers that
every block that sees the object whole works out alike. An object that reaches the edge of a window
where the slide goes on may be cut: if it also touches the core it is larger than the halo allows,
belongs to no block, and `joining` brings its pieces together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.slides.grid import Block, Box, Shape

# Objects this near to a window's edge were segmented without part of their surroundings: the
# reach of a seed (segmentation.dynamics) on either side.
_EDGE_PX = 10


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of a block's window, 1 to n.

    Attributes:
        key: (n,) int64, ascending: row x columns of the slide + column of the first pixel.
        box: (n, 4) int64, top, left, bottom, right in the slide, half-open.
        area: (n,) int64, pixels.
        in_core: (n,) int64, pixels in the block's core.
        cut: (n,) bool, near an edge of the window where the slide goes on.
        owned: (n,) bool, whole and with the centre of its box in the core.
    """

    key: NDArray[np.int64]
    box: NDArray[np.int64]
    area: NDArray[np.int64]
    in_core: NDArray[np.int64]
    cut: NDArray[np.bool_]
    owned: NDArray[np.bool_]


def objects_of(labels: NDArray[np.uint32], block: Block, shape: Shape) -> Objects:
    """Describe the objects of a window.

    Args:
        labels: (y, x) of the block's window, 1 to n in the order of their first pixel.
        block: the block.
        shape: rows and columns of the slide.
    """
    pixels = np.flatnonzero(labels)
    owner = labels.flat[pixels].astype(np.int64) - 1
    n = int(labels.max(initial=0))
    row, column = np.divmod(pixels, labels.shape[1])
    row, column = row + block.window.top, column + block.window.left
    first = np.full(n, pixels.size)
    first[owner[::-1]] = np.arange(pixels.size)[::-1]
    box = _boxes(row, column, owner, n)
    cut = _near_edge(box, block.window, shape)
    centre = (box[:, :2] + box[:, 2:] - 1) // 2
    return Objects(
        key=row[first] * shape[1] + column[first],
        box=box,
        area=np.bincount(owner, minlength=n),
        in_core=np.bincount(owner[_inside(row, column, block.core)], minlength=n),
        cut=cut,
        owned=~cut & _inside(centre[:, 0], centre[:, 1], block.core),
    )


def _boxes(
    row: NDArray[np.int64], column: NDArray[np.int64], owner: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    large = np.iinfo(np.int64).max
    box = np.full((n, 4), large)
    box[:, 2:] = 0
    np.minimum.at(box[:, 0], owner, row)
    np.minimum.at(box[:, 1], owner, column)
    np.maximum.at(box[:, 2], owner, row + 1)
    np.maximum.at(box[:, 3], owner, column + 1)
    return box


def _near_edge(box: NDArray[np.int64], window: Box, shape: Shape) -> NDArray[np.bool_]:
    """Whether a box comes near an edge of the window that is not the slide's."""
    return (
        ((window.top > 0) & (box[:, 0] < window.top + _EDGE_PX))
        | ((window.left > 0) & (box[:, 1] < window.left + _EDGE_PX))
        | ((window.bottom < shape[0]) & (box[:, 2] > window.bottom - _EDGE_PX))
        | ((window.right < shape[1]) & (box[:, 3] > window.right - _EDGE_PX))
    )


def _inside(row: NDArray[np.int64], column: NDArray[np.int64], box: Box) -> NDArray[np.bool_]:
    return (box.top <= row) & (row < box.bottom) & (box.left <= column) & (column < box.right)
