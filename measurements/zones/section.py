"""What the zones of one section look like: how large, how strong, how orderly, how steep."""

from dataclasses import dataclass

import numpy as np

from measurements.regions import Floats
from measurements.zones.assignment import UNASSIGNED, Zones, ZoneSettings, assign_zones
from measurements.zones.reference import STRONG, Reference
from measurements.zones.surroundings import Surroundings

N_PERMUTATIONS = 10
N_THINNED = 10
THINNED = 0.3


@dataclass(frozen=True)
class SectionZones:
    """One section.

    Attributes:
        zones: of its cells.
        fraction: (4,) share of cells that are pericentral, midzonal, periportal and unassigned.
        expression: (3,) mean counts a cell of each kind of genes within its own zone.
        order: correlation of the cells' own score with that of their neighbours, which smoothing
            does not touch: 0 where zones are mixed throughout. Counts are first thinned at random
            to 30 % of the reference's level, since fewer counts alone would lower it; NaN in a
            section that has less. Intensities are taken as they are: noise lowers it.
        coherence: share of neighbouring pairs in the same zone, less that of pairs at random, over
            its largest value (Cohen's kappa, Educ. Psychol. Meas. 20:37, 1960); NaN in one zone.
        coherence_chance: the same where counts are permuted between cells before smoothing, which
            by itself makes neighbours alike.
        steepness: change of the score from a central to a portal vein, by least squares; negative
            where zones lie as they should, NaN without an axis.
    """

    zones: Zones
    fraction: Floats
    expression: Floats
    order: float
    coherence: float
    coherence_chance: float
    steepness: float


def measure_section(
    counts: Floats,
    around: Surroundings,
    reference: Reference,
    settings: ZoneSettings,
    axis: Floats | None = None,
    seed: int = 0,
) -> SectionZones:
    """Measure one section.

    Args:
        counts: (n, 3) counts of pericentral, midzonal and periportal genes in each cell.
        around: the cells' surroundings.
        reference: scales and cut-offs.
        settings: when a cell is left without a zone.
        axis: (n,) place of each cell from 0 at a central vein to 1 at a portal one, where veins
            are known.
        seed: seed of the permutations.

    Raises:
        MeasurementError: as `assign_zones`.
    """
    given = np.asarray(counts, dtype=np.float64)
    zones = assign_zones(given, around, reference, settings)
    n = zones.zone.size
    rng = np.random.default_rng(seed)
    chance = [
        _coherence(assign_zones(given[rng.permutation(n)], around, reference, settings), around)
        for _ in range(N_PERMUTATIONS if n else 0)
    ]
    inside = [zones.zone == kind for kind in range(3)]
    return SectionZones(
        zones,
        np.bincount(zones.zone, minlength=4) / max(n, 1),
        np.array([given[k, i].mean() if k.any() else np.nan for i, k in enumerate(inside)]),
        _order(given, around, reference, rng)
        if settings.counted
        else _own_and_others(given, around, reference),
        _coherence(zones, around),
        float(np.mean(known)) if (known := [c for c in chance if np.isfinite(c)]) else np.nan,
        _steepness(zones.score, axis),
    )


def _coherence(zones: Zones, around: Surroundings) -> float:
    first, second = zones.zone[around.near].T
    told = (first != UNASSIGNED) & (second != UNASSIGNED)
    if not told.any():
        return np.nan
    share = np.bincount(zones.zone, minlength=UNASSIGNED)[:UNASSIGNED].astype(np.float64)
    expected = float(((share / share.sum()) ** 2).sum())
    same = float((first == second)[told].mean())
    return (same - expected) / (1 - expected) if expected < 1 else np.nan


def _order(
    counts: Floats, around: Surroundings, reference: Reference, rng: np.random.Generator
) -> float:
    """Mean over thinned counts of how a cell's own score goes with its neighbours'."""
    if not len(counts):
        return np.nan
    level = np.percentile(around.mean(counts), STRONG, axis=0)
    keep = THINNED * reference.scale / np.where(level > 0, level, np.nan)
    if not (keep[[0, 2]] <= 1).all():
        return np.nan
    keep[1] = 0.0
    whole = counts.astype(np.int64)
    found = [
        _own_and_others(rng.binomial(whole, keep).astype(np.float64), around, reference)
        for _ in range(N_THINNED)
    ]
    return float(np.mean(found))


def _own_and_others(counts: Floats, around: Surroundings, reference: Reference) -> float:
    """Correlation of a cell's own score with its neighbours' mean, itself left out."""
    own = reference.score(counts)
    told = np.isfinite(own)
    filled = np.where(told, own, 0.0)
    itself = around.weights.diagonal()
    others = around.mean(filled) - itself * filled
    weight = around.mean(told.astype(np.float64)) - itself * told
    use = told & (weight > 1e-9)
    if use.sum() < 3 or np.ptp(own[use]) == 0:
        return np.nan
    return float(np.corrcoef(own[use], others[use] / weight[use])[0, 1])


def _steepness(score: Floats, axis: Floats | None) -> float:
    if axis is None:
        return np.nan
    use = np.isfinite(score) & np.isfinite(axis)
    if use.sum() < 3 or np.ptp(axis[use]) == 0:
        return np.nan
    return float(np.polyfit(axis[use], score[use], 1)[0])
