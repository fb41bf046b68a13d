"""Dots of a field: where the same place lights up, round after round.

A transcript shines in every round, in one channel of it. Dots are found in each channel of each
round, where they are a fraction as crowded as in their sum, and those that lie upon each other in
different rounds are one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import spatial

from measurements.decoding.codebook import Reads
from measurements.decoding.registration import Alignment
from measurements.regions import Floats
from measurements.spots.detection import find_places
from measurements.spots.settings import SpotSettings

# Dots that lie nearer, times sigma, are one: of one round through bleed-through, of several rounds
# as the same transcript.
SAME = 1.0
# Two reads of the same word that lie nearer, times sigma, are one transcript.
REPEATED = 2.0
# Share of the rounds in which a place must have lit up.
SEEN = 0.5


def find_dots(
    rounds: Sequence[NDArray[Any]], alignments: Sequence[Alignment], settings: SpotSettings
) -> Floats:
    """Find the places that light up in half of the rounds or more.

    Args:
        rounds: (channel, y, x) of each round.
        alignments: of each round.
        settings: how dots are found; with a threshold of None it is told from their heights.

    Returns:
        (n, 2) places in the first round, px, the mean over the rounds in which each was seen.
    """
    reach = SAME * settings.sigma
    total, seen = np.empty((0, 2)), np.empty(0)
    for picture, alignment in zip(rounds, alignments, strict=True):
        found = alignment.laid_back(_of_round(picture, settings, reach))
        known = total / seen[:, None]
        mine = _matched(known, found, reach)
        matched = mine >= 0
        np.add.at(total, mine[matched], found[matched])
        np.add.at(seen, mine[matched], 1)
        total = np.concatenate([total, found[~matched]])
        seen = np.concatenate([seen, np.ones((~matched).sum())])
    kept = seen >= SEEN * len(rounds)
    places = total[kept] / seen[kept, None]
    return places[np.lexsort(places.T[::-1])]


def is_repeated(places: Floats, reads: Reads, settings: SpotSettings) -> NDArray[np.bool_]:
    """Whether a dot is a second read of a transcript: another one nearby is read better, and alike.

    Args:
        places: of every dot.
        reads: of every dot.
        settings: as the dots were found.
    """
    repeated = np.zeros(len(places), dtype=bool)
    if len(places) < 2:
        return repeated
    near = spatial.KDTree(places).query_pairs(REPEATED * settings.sigma, output_type="ndarray")
    both = reads.kept[near].all(axis=1) & (reads.word[near[:, 0]] == reads.word[near[:, 1]])
    pairs = near[both]
    worse = np.where(
        reads.quality[pairs[:, 0]] < reads.quality[pairs[:, 1]], pairs[:, 0], pairs[:, 1]
    )
    repeated[worse] = True
    return repeated


def _of_round(picture: NDArray[Any], settings: SpotSettings, reach: float) -> Floats:
    """Dots of all channels of a round; of those that lie upon each other the one that is highest.

    Its height is in units of the noise, since dyes differ in brightness.
    """
    found = [find_places(channel, settings) for channel in picture]
    places = np.concatenate([place for place, _ in found])
    height = np.concatenate([each for _, each in found])
    if len(places) < 2:
        return places
    near = spatial.KDTree(places).query_pairs(reach, output_type="ndarray")
    lower = np.where(height[near[:, 0]] < height[near[:, 1]], near[:, 0], near[:, 1])
    return np.asarray(np.delete(places, np.unique(lower), axis=0))


def _matched(known: Floats, found: Floats, reach: float) -> NDArray[np.int64]:
    """Which known place each found one is, the nearest one each; -1 for none."""
    mine = np.full(len(found), -1, dtype=np.int64)
    if not len(known) or not len(found):
        return mine
    away, nearest = spatial.KDTree(known).query(found, distance_upper_bound=reach)
    order = np.argsort(away, kind="stable")
    order = order[np.isfinite(away[order])]
    _, first = np.unique(nearest[order], return_index=True)
    mine[order[first]] = nearest[order[first]]
    return mine
