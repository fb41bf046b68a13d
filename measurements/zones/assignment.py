"""A zone for every cell, how sure it is, and none where there is too little to tell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.zones.reference import Reference
from measurements.zones.surroundings import Surroundings

UNASSIGNED = 3


@dataclass(frozen=True)
class ZoneSettings:
    """How cells get their zone.

    Attributes:
        least_counts: pericentral and periportal counts, summed over the surroundings, under which
            a cell has no zone [judgement: with 10, the score's standard error is at most 0.32].
    """

    least_counts: float = 10.0


@dataclass(frozen=True)
class Zones:
    """One value a cell.

    Attributes:
        zone: 0 pericentral, 1 midzonal, 2 periportal, 3 unassigned, by the score alone.
        zone_by_genes: the same by the kind of genes that is highest in units of its scale: beside
            the first, since a midzonal gene such as Hamp answers to inflammation as well.
        score: (PC - PP) / (PC + PP), 1 at a central vein and -1 at a portal one.
        confidence: probability that the score lies on this side of the nearest cut-off, from the
            counts' own noise; NaN where unassigned.
    """

    zone: NDArray[np.int64]
    zone_by_genes: NDArray[np.int64]
    score: Floats
    confidence: Floats


def assign_zones(
    counts: Floats, around: Surroundings, reference: Reference, settings: ZoneSettings
) -> Zones:
    """Give each cell its zone.

    Args:
        counts: (n, 3) counts of pericentral, midzonal and periportal genes in each cell.
        around: the cells' surroundings.
        reference: scales and cut-offs.
        settings: when a cell is left without a zone.

    Raises:
        MeasurementError: the counts do not fit the cells or are negative.
    """
    given = np.asarray(counts, dtype=np.float64)
    if given.shape != (around.effective.size, 3) or (given < 0).any():
        raise MeasurementError(
            f"Counts have the shape {given.shape}; expected none below 0, and three kinds of genes "
            f"for each of {around.effective.size} cells."
        )
    smooth = around.mean(given)
    score = reference.score(smooth)
    total = (smooth[:, 0] + smooth[:, 2]) * around.effective
    told = (total >= settings.least_counts) & np.isfinite(score)
    zone = np.where(score > reference.high, 0, np.where(score < reference.low, 2, 1))
    scaled = smooth / np.where(reference.scale > 0, reference.scale, np.inf)
    away = np.minimum(np.abs(score - reference.low), np.abs(score - reference.high))
    # Of N counts a share p is pericentral; (PC - PP) / (PC + PP) = 2 p - 1 has this error.
    error = np.sqrt(np.clip(1 - score**2, 1e-3, 1) / np.maximum(total, 1))
    return Zones(
        np.where(told, zone, UNASSIGNED).astype(np.int64),
        np.where(told, scaled.argmax(axis=1), UNASSIGNED).astype(np.int64),
        np.where(told, score, np.nan),
        np.where(told, norm.cdf(away / error), np.nan),
    )
