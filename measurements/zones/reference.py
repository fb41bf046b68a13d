"""What zones are measured by: learnt once from reference animals, and frozen for all sections.

Scaling genes within each section would erase a dimming of all zone genes, and cut-offs within
each section would hide a lost zone.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.zones.surroundings import Surroundings

STRONG = 95.0
BINS = (12, 40)
CELLS_A_BIN = 100


@dataclass(frozen=True)
class Reference:
    """How strong zone genes are, and where zones part.

    Attributes:
        scale: (3,) level of the pericentral, midzonal and periportal genes where they are strong.
        low: score below which a cell is periportal.
        high: score above which it is pericentral.
    """

    scale: Floats
    low: float
    high: float

    def score(self, smooth: Floats) -> Floats:
        """(PC - PP) / (PC + PP) of (n, 3) smoothed values by kind; NaN where both are 0.

        An intensity below background counts as 0.
        """
        central, portal = (np.maximum(smooth[:, k], 0) / self.scale[k] for k in (0, 2))
        total = central + portal
        return np.where(total > 0, (central - portal) / np.where(total > 0, total, 1), np.nan)


def learn_reference(sections: Sequence[tuple[Floats, Surroundings]]) -> Reference:
    """Learn scales and cut-offs.

    A kind's scale is the mean over sections of the 95th percentile of its smoothed counts
    [judgement]. The middle zone is
    the range of scores, about the one where midzonal genes are highest, in which they are at least
    half as high above their lowest level [judgement: full width at half maximum]; without midzonal
    counts, the middle third of the cells.

    Args:
        sections: of the reference animals: (n, 3) counts of pericentral, midzonal and periportal
            genes in each cell, and the cells' surroundings.

    Raises:
        MeasurementError: there is no section, or pericentral or periportal genes have no counts.
    """
    used = [(counts, around.mean(counts)) for counts, around in sections if len(counts)]
    if not used:
        raise MeasurementError(
            "No reference section with a cell was given; at least one is needed."
        )
    scale = np.mean([np.percentile(smooth, STRONG, axis=0) for _, smooth in used], axis=0)
    if not scale[0] > 0 or not scale[2] > 0:
        raise MeasurementError(
            f"The reference sections have a level of {scale[0]:.3g} of the pericentral and of "
            f"{scale[2]:.3g} of the periportal genes; both must be above 0 to tell zones apart."
        )
    plain = Reference(scale, np.nan, np.nan)
    scores = np.concatenate([plain.score(smooth) for _, smooth in used])
    # The cells' own midzonal counts: smoothed ones would blur the middle zone a second time.
    midzonal = np.concatenate([counts[:, 1] for counts, _ in used]).astype(np.float64)
    known = np.isfinite(scores)
    low, high = _middle(scores[known], midzonal[known])
    return Reference(scale, low, high)


def learn_left_out(
    sections: Sequence[tuple[Floats, Surroundings]], owners: Sequence[Hashable]
) -> dict[Hashable, Reference]:
    """For each reference animal the reference of the others, as `learn_reference`.

    A section that is measured by what it set itself has the fractions that the cut-offs were set
    to; a test against other sections would then find differences where there are none.

    Args:
        sections: of the reference animals.
        owners: the animal of each section.

    Returns:
        Owner -> reference; a single animal is measured by its own.

    Raises:
        MeasurementError: as `learn_reference`.
    """
    found: dict[Hashable, Reference] = {}
    for owner in dict.fromkeys(owners):
        others = [s for s, whose in zip(sections, owners, strict=True) if whose != owner]
        found[owner] = learn_reference(others or sections)
    return found


def _middle(scores: Floats, midzonal: Floats) -> tuple[float, float]:
    thirds = np.percentile(scores, [100 / 3, 200 / 3])
    # Few cells in many bins would let one bin's noise end the middle zone.
    n_bins = int(np.clip(scores.size // CELLS_A_BIN, *BINS))
    edges = np.linspace(-1, 1, n_bins + 1)
    bins = np.clip(np.digitize(scores, edges) - 1, 0, n_bins - 1)
    n = np.bincount(bins, minlength=n_bins)
    level = np.bincount(bins, midzonal, n_bins) / np.maximum(n, 1)
    full = np.flatnonzero(n >= max(10, 0.002 * scores.size))
    if not midzonal.any() or full.size < 5:
        return float(thirds[0]), float(thirds[1])
    half = (level[full].max() + level[full].min()) / 2
    # Bins with too few cells are stepped over: their level says nothing.
    middles, levels = ((edges[1:] + edges[:-1]) / 2)[full], level[full]
    first = last = int(levels.argmax())
    while first > 0 and levels[first - 1] >= half:
        first -= 1
    while last < full.size - 1 and levels[last + 1] >= half:
        last += 1
    return (
        _crossing(middles, levels, first, -1, half),
        _crossing(middles, levels, last, 1, half),
    )


def _crossing(middles: Floats, level: Floats, inside: int, step: int, half: float) -> float:
    """Score at which the level passes `half`, between a bin above it and its neighbour."""
    outside = inside + step
    if not 0 <= outside < level.size or level[outside] >= level[inside]:
        return float(middles[inside])
    share = (level[inside] - half) / (level[inside] - level[outside])
    return float(middles[inside] + np.clip(share, 0, 1) * (middles[outside] - middles[inside]))
