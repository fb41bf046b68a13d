"""Where tissue was looked at: a grid over a section, and the place of each cell on it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.spread.sections import Bools

MAX_GRID = 30_000_000


@dataclass(frozen=True)
class Window:
    """Part of the plane in which cells were seen.

    Attributes:
        inside: (rows, columns) tissue, lumens included: they were looked at and held no cell.
        corner: (2,) y and x of the first grid point, px.
        step: distance of grid points, px.
    """

    inside: Bools
    corner: Floats
    step: float

    def index(self, positions: Floats) -> NDArray[np.int64]:
        """(n, 2) row and column of the nearest grid point."""
        return np.asarray(np.rint((positions - self.corner) / self.step), dtype=np.int64)

    @property
    def area(self) -> float:
        """Area, px²."""
        return float(self.inside.sum()) * self.step**2

    def to_edge(self, positions: Floats) -> Floats:
        """Distance from each place to the window's outer edge, px."""
        rows, columns = self.index(positions).T
        away = ndimage.distance_transform_edt(self.inside, sampling=self.step)
        return np.asarray(away[rows, columns])

    def to_nearest(self, positions: Floats) -> Floats:
        """(rows, columns) distance from each grid point to the nearest of the places, px."""
        empty = np.ones(self.inside.shape, dtype=bool)
        empty[tuple(self.index(positions).T)] = False
        return np.asarray(ndimage.distance_transform_edt(empty, sampling=self.step))


def find_window(positions: Floats, spacing: float) -> Window:
    """Outline the tissue that cells fill.

    Grid points within 3 spacings of a cell are tissue, less a rim of 2.5, so that gaps between
    cells close and half a spacing is left around the outermost ones; holes are filled. An edge
    of the tissue cannot be told from an edge of the image: beyond both nothing is known.

    Args:
        positions: (n, 2) cells, px; two or more.
        spacing: distance of neighbouring cells, px.

    Raises:
        MeasurementError: the cells are too few, or so few for their area that a grid fine enough
            would not fit into memory.
    """
    if len(positions) < 2 or spacing <= 0:
        raise MeasurementError(
            f"{len(positions)} cells with a spacing of {spacing:g} px span no section; expected "
            "cells at two places or more."
        )
    step, rim = spacing / 2, 4 * spacing
    corner = positions.min(axis=0) - rim
    shape = np.ceil((positions.max(axis=0) + rim - corner) / step).astype(int) + 1
    if np.prod(shape.astype(float)) > MAX_GRID:
        raise MeasurementError(
            f"{len(positions)} cells {spacing:.3g} px apart are spread over {shape[0]} x "
            f"{shape[1]} steps: the section is mostly empty. Split it into its pieces."
        )
    window = Window(np.ones(tuple(shape), dtype=bool), corner, step)
    grown = window.to_nearest(positions) <= 3 * spacing
    inside = ndimage.distance_transform_edt(grown, sampling=step) > 2.5 * spacing
    inside[tuple(window.index(positions).T)] = True
    return Window(np.asarray(ndimage.binary_fill_holes(inside)), corner, step)
