"""Rounds of pictures decoded into transcripts: the whole way, arrays in, places and genes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.decoding.codebook import Codebook, Limits, Reads, read_words
from measurements.decoding.decoys import FalseDiscovery, false_discovery
from measurements.decoding.dots import find_dots, is_repeated
from measurements.decoding.registration import Alignment, align
from measurements.decoding.registration import Limits as AlignmentLimits
from measurements.decoding.signals import read_light, without_bleed
from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.spots.settings import SpotSettings


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Dots of one field and what they were read as.

    Attributes:
        places: (n, 2) row and column in the first round, px.
        reads: of every dot.
        alignments: of every round.
        false_discovery: share of the genes' reads that are false.
    """

    places: Floats
    reads: Reads
    alignments: tuple[Alignment, ...]
    false_discovery: FalseDiscovery


def align_rounds(nuclei: Sequence[NDArray[Any]], limits: AlignmentLimits) -> tuple[Alignment, ...]:
    """Align every round to the first.

    Raises:
        MeasurementError: a round does not lie upon the first; the message names each.
    """
    found = tuple(align(nuclei[0], picture, limits) for picture in nuclei)
    bad = [
        f"round {i + 1} (residual shift {a.residual:.2f} px, correlation {a.correlation:.2f}, "
        f"turned by {a.turn_deg:.2f}°, scale {a.scale:.4f})"
        for i, a in enumerate(found)
        if not a.accepted
    ]
    if bad:
        raise MeasurementError(
            f"{', '.join(bad)} cannot be laid upon round 1: at most {limits.residual:g} px and at "
            f"least {limits.correlation:g} are asked for, a turn of at most {limits.turn:g}° and a "
            f"scale within {limits.scale:g} of 1. Was another field imaged, is it out of focus, or "
            "turned or warped by more?"
        )
    return found


def decode(
    dots: Sequence[NDArray[Any]],
    alignments: Sequence[Alignment],
    codebook: Codebook,
    settings: SpotSettings,
    limits: Limits,
) -> Decoded:
    """Decode one field.

    Args:
        dots: (channel, y, x) of each round.
        alignments: of each round; see `align_rounds`.
        codebook: the words.
        settings: how dots are found.
        limits: which reads are kept.

    Raises:
        MeasurementError: rounds, channels or the codebook do not fit each other.
    """
    if len(dots) != len(alignments):
        raise MeasurementError(f"{len(dots)} rounds were given and {len(alignments)} alignments.")
    places = find_dots(dots, alignments, settings)
    light = read_light(dots, alignments, places, settings)
    seen = np.isfinite(light).all(axis=(1, 2))
    places, light = places[seen], light[seen]
    clean = without_bleed(light)
    reads = read_words(clean, codebook, limits)
    once = ~is_repeated(places, reads, settings)
    reads = reads.take(once)
    told = false_discovery(clean[once], reads, codebook, limits)
    return Decoded(places[once], reads, tuple(alignments), told)
