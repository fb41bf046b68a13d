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
        counted: values are counts of molecules, whose noise is known from their number; False for
            intensities, whose noise is told by how they scatter about each cell.
        least_counts: pericentral and periportal counts, summed over the surroundings, under which
            a cell has no zone [judgement: with 10, the score's standard error is at most 0.32].
        least_share: the same for intensities: their sum over the surroundings, each as a share of
            the reference's strong level, under which a cell has no zone [judgement].
    """

    counted: bool = True
    least_counts: float = 10.0
    least_share: float = 0.1


@dataclass(frozen=True)
class Zones:
    """One value a cell.

    Attributes:
        zone: 0 pericentral, 1 midzonal, 2 periportal, 3 unassigned, by the score alone.
        zone_by_genes: the same by the kind of genes that is highest in units of its scale: beside
            the first, since a midzonal gene such as Hamp answers to inflammation as well.
        score: (PC - PP) / (PC + PP), 1 at a central vein and -1 at a portal one.
        confidence: probability that the score lies on this side of the nearest cut-off, from the
            counts' own noise or the intensities' scatter; NaN where unassigned.
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
        counts: (n, 3) counts, or intensities above background, of pericentral, midzonal and
            periportal genes in each cell.
        around: the cells' surroundings.
        reference: scales and cut-offs.
        settings: when a cell is left without a zone.

    Raises:
        MeasurementError: the values do not fit the cells, or counts are negative.
    """
    given = np.asarray(counts, dtype=np.float64)
    if given.shape != (around.effective.size, 3) or (settings.counted and (given < 0).any()):
        raise MeasurementError(
            f"Counts have the shape {given.shape}; expected none below 0, and three kinds of genes "
            f"for each of {around.effective.size} cells."
        )
    smooth = around.mean(given)
    score = reference.score(smooth)
    if settings.counted:
        enough, error = _of_counts(given, score, around, settings)
    else:
        enough, error = _of_intensities(given, around, reference, settings)
    told = enough & np.isfinite(score)
    zone = np.where(score > reference.high, 0, np.where(score < reference.low, 2, 1))
    scaled = smooth / np.where(reference.scale > 0, reference.scale, np.inf)
    away = np.minimum(np.abs(score - reference.low), np.abs(score - reference.high))
    return Zones(
        np.where(told, zone, UNASSIGNED).astype(np.int64),
        np.where(told, scaled.argmax(axis=1), UNASSIGNED).astype(np.int64),
        np.where(told, score, np.nan),
        np.where(told, norm.cdf(away / np.maximum(error, 1e-9)), np.nan),
    )


def _of_counts(
    counts: Floats, score: Floats, around: Surroundings, settings: ZoneSettings
) -> tuple[NDArray[np.bool_], Floats]:
    """Whether there are enough of them, and the score's standard error."""
    total = around.mean(counts[:, 0] + counts[:, 2]) * around.effective
    # Of N counts a share p is pericentral; (PC - PP) / (PC + PP) = 2 p - 1 has this error.
    error = np.sqrt(np.clip(1 - score**2, 1e-3, 1) / np.maximum(total, 1))
    return total >= settings.least_counts, error


def _of_intensities(
    values: Floats, around: Surroundings, reference: Reference, settings: ZoneSettings
) -> tuple[NDArray[np.bool_], Floats]:
    """The same, with the variance of cells about each other carried to the score (delta method)."""
    ends = values[:, [0, 2]] / reference.scale[[0, 2]]
    central, portal = np.maximum(around.mean(ends), 0).T
    spread = np.maximum(around.mean(ends**2) - around.mean(ends) ** 2, 0)
    total = np.maximum(central + portal, 1e-9)
    variance = 4 * (portal**2 * spread[:, 0] + central**2 * spread[:, 1]) / total**4
    return total >= settings.least_share, np.sqrt(variance / around.effective)
