"""RNAscope's semi-quantitative score of a cell, from its molecules.

ACD (Advanced Cell Diagnostics), Dark Side of Scoring / RNAscope data analysis guide SOP 45-006:
0 no or under 1 dot in 10 cells, 1 1-3 dots a cell, 2 4-9 and few clusters, 3 10-15 and under 10 %
of the dots in clusters, 4 over 15 and over 10 % in clusters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.regions import Floats


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Lower bounds of the scores.

    Attributes:
        bounds: fewest molecules of score 1, 2, 3 and so on, rising.
        clustered: share of molecules in clusters above which a cell with the last score but one has
            the last; None to score by number alone.
    """

    bounds: tuple[float, ...] = (1, 4, 10, 16)
    clustered: float | None = 0.1

    def __post_init__(self) -> None:
        """Refuse a table that does not rise."""
        rising = all(a < b for a, b in zip(self.bounds, self.bounds[1:], strict=False))
        if not self.bounds or not rising or self.bounds[0] <= 0:
            raise MeasurementError(f"Bounds of scores must rise from above 0, not {self.bounds}.")


def score_cells(molecules: Floats, in_clusters: Floats, table: ScoreTable) -> NDArray[np.uint8]:
    """Score every cell.

    Args:
        molecules: of each cell.
        in_clusters: share of them in clusters; NaN in a cell without any.
        table: the bounds.
    """
    score = np.searchsorted(np.asarray(table.bounds), np.rint(molecules), side="right")
    if table.clustered is not None:
        clustered = np.nan_to_num(in_clusters) > table.clustered
        score = np.where(clustered & (score == len(table.bounds) - 1), score + 1, score)
    return score.astype(np.uint8)
