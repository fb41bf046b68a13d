"""How far each cell is from the nearest source, and whether one beyond the edge may be nearer."""

from dataclasses import dataclass

import numpy as np
from scipy import spatial

from measurements.regions import Floats
from measurements.spread.sections import Bools, Section
from measurements.spread.window import Window


@dataclass(frozen=True)
class Distances:
    """One value a cell.

    Attributes:
        to_source: distance to the nearest other source, px; infinite without one.
        to_edge: distance to the window's edge, px.
    """

    to_source: Floats
    to_edge: Floats

    @property
    def certain(self) -> Bools:
        """Cells to which no source beyond the edge can be nearer: the border method.

        Ripley 1988, Statistical Inference for Spatial Processes, chapter 3.
        """
        return np.asarray(self.to_source <= self.to_edge)


def source_distances(section: Section, window: Window) -> Distances:
    """Measure each cell's distance to the nearest source other than itself.

    Args:
        section: the cells.
        window: where cells were looked for, see `window.find_window`.
    """
    sources = section.positions[section.source]
    to_source = np.full(len(section.positions), np.inf)
    if len(sources):
        tree = spatial.cKDTree(sources)
        to_source = tree.query(section.positions)[0]
    if len(sources) > 1:
        to_source[section.source] = tree.query(sources, k=2)[0][:, 1]
    elif len(sources):
        to_source[section.source] = np.inf
    return Distances(to_source, window.to_edge(section.positions))
