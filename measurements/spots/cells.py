"""RNA of every cell: spots, molecules by compartment, clusters, score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured
from measurements.regions import Floats, divide
from measurements.spots.columns import (
    CLUSTERED,
    COUNTS,
    H_SCORE,
    INTEGRATED,
    REJECTED,
    SCORE,
    SPOT_COUNT,
)
from measurements.spots.molecules import ClumpTotals, Ints, count_molecules, is_cluster
from measurements.spots.score import ScoreTable, score_cells

# What is summed up of the spots of every cell; see `sums_in_cells`.
SUMS = 7


@dataclass(frozen=True, slots=True, eq=False)
class SpotValues:
    """Spots of one channel of an image, or of a block of it; one value each.

    Attributes:
        cell: label of the cell that it lies in; 0 for none.
        in_nucleus: whether it lies on a nucleus.
        integrated: light, grey values times pixels.
        clump: number of its clump.
        autofluorescent: whether it is left out.
    """

    cell: NDArray[np.uint32]
    in_nucleus: NDArray[np.bool_]
    integrated: Floats
    clump: Ints
    autofluorescent: NDArray[np.bool_]

    def clumps(self, single: float) -> ClumpTotals:
        """Totals of its clumps without what is autofluorescent, for `molecules_of`."""
        kept = ~self.autofluorescent
        return ClumpTotals.of(self.integrated[kept], self.clump[kept], single)


def molecules_of(spots: SpotValues, single: float, across: ClumpTotals | None = None) -> Floats:
    """Molecules of every spot: 0 where autofluorescent, 1 where the light of one is not known.

    Args:
        spots: of the image, or of a block of it.
        single: light of one molecule.
        across: of clumps that lie in several blocks; see `count_molecules`.
    """
    kept = ~spots.autofluorescent
    molecules = np.zeros(kept.size)
    molecules[kept] = (
        1.0
        if np.isnan(single)
        else count_molecules(spots.integrated[kept], spots.clump[kept], single, across)
    )
    return molecules


def sums_in_cells(spots: SpotValues, molecules: Floats, ids: NDArray[np.uint32]) -> Floats:
    """Sum up the spots of every cell, for `count_in_cells`; sums of blocks of an image add up.

    Args:
        spots: of the image, or of a block of it.
        molecules: of each spot; see `molecules_of`.
        ids: labels of the cells, increasing.

    Returns:
        (SUMS, cells): spots, molecules, those in the nucleus, those outside it, those in clusters,
        light, and spots that are autofluorescent.
    """
    row = np.searchsorted(ids, spots.cell)
    inside = row < ids.size
    inside[inside] = ids[row[inside]] == spots.cell[inside]
    row, kept = row[inside], ~spots.autofluorescent[inside]
    own, nuclear = molecules[inside], spots.in_nucleus[inside]

    light = spots.integrated[inside] * kept
    in_clusters = own * is_cluster(own)
    summed = (kept, own, own * nuclear, own * ~nuclear, in_clusters, light, ~kept)
    return np.stack([np.bincount(row, each, ids.size).astype(np.float64) for each in summed])


def count_in_cells(channel: str, sums: Floats, table: ScoreTable) -> Measured:
    """Counts and scores of every cell.

    Args:
        channel: its name in the columns.
        sums: `sums_in_cells` of the whole image.
        table: bounds of the scores.
    """
    n_spots, in_cell, nuclear, outside, in_clusters, light, rejected = sums
    clustered = divide(in_clusters, in_cell)
    score = score_cells(in_cell, clustered, table)
    columns: dict[Column, NDArray[np.generic]] = {
        SPOT_COUNT: n_spots.astype(np.uint32),
        COUNTS["cell"]: in_cell,
        COUNTS["nucleus"]: nuclear,
        COUNTS["cytoplasm"]: outside,
        CLUSTERED: clustered,
        INTEGRATED: light,
        REJECTED: rejected.astype(np.uint32),
        SCORE: score,
        H_SCORE: 100 * score.astype(np.float64),
    }
    return {column.bind(channel=channel): values for column, values in columns.items()}
