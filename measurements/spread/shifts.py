"""What chance brings: the sources' surroundings laid over the responding cells somewhere else.

Cells are not exchangeable. Sources cluster, responding cells lie in patches of their own, and a
cell's light leaks into its neighbours, so that shuffling labels makes a null that is far too
narrow. A random shift moves all sources together against all responding cells: both patterns stay
whole, and only what one has to do with the other is lost (Lotwick & Silverman 1982, JRSS B 44:406).
On the torus that needs a rectangular section and breaks patterns where its ends meet; instead only
the overlap of the section and its shifted self is counted, and each statistic is weighed by how
much is left in it, the variance correction of Mrkvička et al. 2021 (Spatial Statistics 42:100430),
as Dvořák et al. 2022 (Int. Stat. Rev. 90:592) do for marks and a covariate. Here the marks are
responses, and the covariate is the ring about the nearest source.

The light that sources leak into cells that touch them is no part of either pattern: it belongs to
both. Cells within the contact distance of a source are therefore counted apart, and a test leaves
them out at their true place as well as in every shift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.spread.distance import Distances
from measurements.spread.sections import Section, SpreadSettings
from measurements.spread.window import Window

LEAST_OVERLAP = 0.25
TRIES = 20


@dataclass(frozen=True)
class ShiftedCounts:
    """Responders by ring, as found and after each shift.

    Attributes:
        bounds: outer edges of the rings, px; one more ring, the last, lies beyond.
        contact: the contact distance, one of the bounds, px.
        cells: (1 + shifts, 2, strata, rings) responders, as found first. On the second axis those
            beyond the contact distance of their nearest source, then those within it, where
            sources really are.
        positive: those of them that respond, likewise.
    """

    bounds: Floats
    contact: float
    cells: NDArray[np.int64]
    positive: NDArray[np.int64]


def shifted_counts(
    section: Section,
    window: Window,
    distances: Distances,
    settings: SpreadSettings,
    number: int = 0,
) -> ShiftedCounts:
    """Count responders by ring, as found and after random shifts of the sources.

    Args:
        section: the cells.
        window: where they were looked for.
        distances: of the cells, see `distance.source_distances`.
        settings: rings, contact distance, shifts and seed.
        number: of the section in its animal: each has shifts of its own.

    Raises:
        MeasurementError: there is no source or no responder, or the section is too small or too
            ragged to be shifted.
    """
    responder = section.responder
    if not section.source.any() or not responder.any():
        raise MeasurementError(
            f"{int(section.source.sum())} sources and {int(responder.sum())} cells whose response "
            "is known: both are needed."
        )
    contact = settings.contact_of(section)
    bounds = settings.bounds(contact)
    ring_of = _ring_map(section, window, bounds)
    touching = (distances.to_source < contact)[responder].astype(np.int64)
    n_rings = len(bounds) + 2
    group = (touching * (section.stratum.max() + 1) + section.stratum[responder]) * n_rings
    places = window.index(section.positions[responder])
    lay = _Overlay.of(ring_of, places, group, section.response[responder] == 1)
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(number,)))
    shape = (2, int(section.stratum.max()) + 1, n_rings)
    counted = [lay.counts((0, 0), shape)]
    least = LEAST_OVERLAP * counted[0][0][..., 1:].sum()
    reach = np.sqrt(window.area) / 2 / window.step
    for _ in range(settings.n_shifts * TRIES):
        if len(counted) > settings.n_shifts:
            break
        radius, angle = reach * np.sqrt(rng.random()), 2 * np.pi * rng.random()
        step = (round(radius * np.sin(angle)), round(radius * np.cos(angle)))
        counts = lay.counts(step, shape)
        if counts[0][..., 1:].sum() >= least:
            counted.append(counts)
    if len(counted) <= settings.n_shifts:
        raise MeasurementError(
            "The section is too ragged: its shifted self hardly overlaps it. Split it into pieces."
        )
    cells, positive = (np.stack(kind)[..., 1:] for kind in zip(*counted, strict=True))
    return ShiftedCounts(bounds, contact, cells, positive)


def _ring_map(section: Section, window: Window, bounds: Floats) -> NDArray[np.uint8]:
    """Ring of each grid point about the nearest source, from 1; 0 outside the window."""
    away = window.to_nearest(section.positions[section.source])
    rings = np.digitize(away, bounds) + 1
    return np.where(window.inside, rings, 0).astype(np.uint8)


@dataclass(frozen=True)
class _Overlay:
    """Responders on a map of rings that is wide enough for every shift.

    Attributes:
        rings: the padded map, flat.
        width: its columns.
        places: (n,) flat index of each responder, in rising order.
        group: (n,) first bin of the responder's group.
        positive: which of them respond.
    """

    rings: NDArray[np.uint8]
    width: int
    places: NDArray[np.int64]
    group: NDArray[np.int64]
    positive: NDArray[np.int64]

    @staticmethod
    def of(
        ring_of: NDArray[np.uint8],
        places: NDArray[np.int64],
        group: NDArray[np.int64],
        positive: NDArray[np.bool_],
    ) -> "_Overlay":
        pad = max(ring_of.shape) // 2 + 2
        padded = np.pad(ring_of, pad)
        flat = (places[:, 0] + pad) * padded.shape[1] + places[:, 1] + pad
        order = np.argsort(flat, kind="stable")
        return _Overlay(
            padded.ravel(),
            padded.shape[1],
            flat[order],
            group[order].astype(np.int64),
            np.flatnonzero(positive[order]),
        )

    def counts(
        self, step: tuple[int, int], shape: tuple[int, int, int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Responders, and those that respond, of each group and ring, outside first."""
        bins = self.rings[self.places + (step[0] * self.width + step[1])] + self.group
        n = int(np.prod(shape))
        cells = np.bincount(bins, minlength=n).reshape(shape)
        return cells, np.bincount(bins[self.positive], minlength=n).reshape(shape)
