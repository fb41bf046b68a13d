"""Which block of a slide measures which cell.

A slide is measured in blocks, each read with a margin around it. A cell belongs to the block whose
own box holds the cell's first pixel in raster order (the topmost row, there the leftmost pixel),
so every cell is measured once, by whatever grid of boxes covers the slide. Its block measures it
where the block sees it whole, with as much around it as the measurements reach. A cell that comes
too near to the margin's edge is handed back as spilling over: it is measured from a larger view of
its own, and no cell is ever measured in part.

Nothing here needs a table of all cells, only labels that are unique over the slide.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.regions import Floats, Regions


@dataclass(frozen=True, slots=True)
class Box:
    """Part of a slide in px, half open: rows `top` to `bottom` - 1.

    Attributes:
        top: first row.
        left: first column.
        bottom: row behind the last.
        right: column behind the last.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def grown(self, margin: int, within: "Box") -> "Box":
        """It with a margin on all sides, as far as `within` goes."""
        return Box(
            max(self.top - margin, within.top),
            max(self.left - margin, within.left),
            min(self.bottom + margin, within.bottom),
            min(self.right + margin, within.right),
        )

    def slices(self, view: "Box") -> tuple[slice, slice]:
        """Where it lies in an array that shows `view`."""
        return (
            slice(self.top - view.top, self.bottom - view.top),
            slice(self.left - view.left, self.right - view.left),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ownership:
    """What a block has to do with the cells in its view.

    Attributes:
        ids: uint32, increasing: cells that are the block's and seen whole, with their surroundings.
        spilling: uint32, increasing: cells in the block's own box that are not seen so, and are or
            may be the block's.
    """

    ids: NDArray[np.uint32]
    spilling: NDArray[np.uint32]


def ownership(labels: NDArray[Any], own: Box, view: Box, slide: Box, reach: int) -> Ownership:
    """Decide which cells of a view its block measures.

    Args:
        labels: (y, x) cells in `view`, ids unique over the slide.
        own: the block's own box.
        view: what was read: the box with its margin.
        slide: the whole slide, from (0, 0).
        reach: px around a cell that its measurements look at.

    Raises:
        MeasurementError: the labels are not those of `view`, or the box is not in it.
    """
    if labels.shape != view.shape or own != own.grown(0, view):
        raise MeasurementError(
            f"Expected labels of {view.shape} px around the box {own}, got {labels.shape} for the "
            f"view {view}."
        )
    inside = Regions.of(labels[own.slices(view)]).ids
    cells = Regions.of(labels, inside, origin=(view.top, view.left))
    boxes = _boxes(cells)
    first = cells.pixels[cells.starts[:-1]]
    y, x = first // view.shape[1] + view.top, first % view.shape[1] + view.left
    begins = (y >= own.top) & (y < own.bottom) & (x >= own.left) & (x < own.right)
    seen = _lies_in(boxes, _trusted(view, slide, reach))
    # A cell that does not touch the view's edge is whole, so where it begins is known.
    whole = _lies_in(boxes, _trusted(view, slide, 1))
    return Ownership(inside[seen & begins], inside[~seen & (begins | ~whole)])


def touches_edge(cells: Regions, slide: Box) -> NDArray[np.bool_]:
    """Whether each cell reaches the edge of the slide, so that part of it may be missing."""
    return ~_lies_in(
        _boxes(cells), Box(slide.top + 1, slide.left + 1, slide.bottom - 1, slide.right - 1)
    )


def _trusted(view: Box, slide: Box, margin: int) -> Box:
    """The part of a view that has `margin` px around it, or the slide's own edge."""
    return Box(
        view.top + margin if view.top > slide.top else view.top,
        view.left + margin if view.left > slide.left else view.left,
        view.bottom - margin if view.bottom < slide.bottom else view.bottom,
        view.right - margin if view.right < slide.right else view.right,
    )


def _boxes(cells: Regions) -> tuple[Floats, Floats, Floats, Floats]:
    y, x = np.divmod(cells.runs.start, cells.shape[1])
    return (
        cells.per_run(np.minimum, y) + cells.origin[0],
        cells.per_run(np.minimum, x) + cells.origin[1],
        cells.per_run(np.maximum, y) + cells.origin[0] + 1,
        cells.per_run(np.maximum, x + cells.runs.length) + cells.origin[1],
    )


def _lies_in(boxes: tuple[Floats, Floats, Floats, Floats], box: Box) -> NDArray[np.bool_]:
    top, left, bottom, right = boxes
    inside: NDArray[np.bool_] = (
        (top >= box.top) & (left >= box.left) & (bottom <= box.bottom) & (right <= box.right)
    )
    return inside
