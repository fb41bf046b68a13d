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
from measurements.spots.detection import Ints
from measurements.spots.molecules import count_molecules, is_cluster
from measurements.spots.score import ScoreTable, score_cells


@dataclass(frozen=True, slots=True, eq=False)
class SpotValues:
    """Spots of one channel of an image; one value each.

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


def molecules_of(spots: SpotValues, single: float) -> Floats:
    """Molecules of every spot: 0 where autofluorescent, 1 where the light of one is not known."""
    kept = ~spots.autofluorescent
    molecules = np.zeros(kept.size)
    molecules[kept] = (
        1.0
        if np.isnan(single)
        else count_molecules(spots.integrated[kept], spots.clump[kept], single)
    )
    return molecules


def count_in_cells(
    channel: str,
    spots: SpotValues,
    molecules: Floats,
    ids: NDArray[np.uint32],
    table: ScoreTable,
) -> Measured:
    """Sum up the spots of every cell.

    Args:
        channel: its name in the columns.
        spots: of the image.
        molecules: of each spot; see `molecules_of`.
        ids: labels of the cells, increasing.
        table: bounds of the scores.
    """
    row = np.searchsorted(ids, spots.cell)
    inside = row < ids.size
    inside[inside] = ids[row[inside]] == spots.cell[inside]
    row, kept = row[inside], ~spots.autofluorescent[inside]
    own, nuclear = molecules[inside], spots.in_nucleus[inside]

    def total(values: NDArray[np.generic]) -> Floats:
        # bincount gives whole numbers where there is nothing to count, and tables must be alike.
        weights = np.asarray(values, dtype=np.float64)
        return np.bincount(row, weights, minlength=ids.size).astype(np.float64)

    in_cell = total(own)
    clustered = divide(total(own * is_cluster(own)), in_cell)
    score = score_cells(in_cell, clustered, table)
    columns: dict[Column, NDArray[np.generic]] = {
        SPOT_COUNT: total(kept).astype(np.uint32),
        COUNTS["cell"]: in_cell,
        COUNTS["nucleus"]: total(own * nuclear),
        COUNTS["cytoplasm"]: total(own * ~nuclear),
        CLUSTERED: clustered,
        INTEGRATED: total(spots.integrated[inside] * kept),
        REJECTED: total(~kept).astype(np.uint32),
        SCORE: score,
        H_SCORE: 100 * score.astype(np.float64),
    }
    return {column.bind(channel=channel): values for column, values in columns.items()}
