"""Does a response spread from source cells to their neighbours, how far, and how sure is that.

`sections` says what is measured, `distance` how far each cell is from the nearest source,
`shifts` what chance brings, `effect` compares the two for one animal, `decay` fits the range, and
`cross` gives the edge-corrected cross-type statistics.
"""

from measurements.spread.cross import CrossType, cross_type
from measurements.spread.decay import Decay, fit_decay
from measurements.spread.distance import Distances, source_distances
from measurements.spread.effect import RingResponse, Spread, measure_rings, measure_spread
from measurements.spread.sections import Section, SpreadSettings
from measurements.spread.shifts import ShiftedCounts, shifted_counts
from measurements.spread.window import Window, find_window

__all__ = [
    "CrossType",
    "Decay",
    "Distances",
    "RingResponse",
    "Section",
    "ShiftedCounts",
    "Spread",
    "SpreadSettings",
    "Window",
    "cross_type",
    "find_window",
    "fit_decay",
    "measure_rings",
    "measure_spread",
    "shifted_counts",
    "source_distances",
]
