"""Names for the objects of a whole slide, and pieces of those that no block saw whole."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.slides.block import BlockLabels
from segmentation.slides.grid import Box

Piece = tuple[int, int]
"""Index of a block, and an id in it."""

# [judgement] Share of the smaller of two pieces, where both blocks see, that must be the other's.
_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Numbering:
    """Ids of a slide's objects.

    Attributes:
        keys: (n,) int64, ascending; the object of ``keys[i]`` has the id i + 1.
    """

    keys: NDArray[np.int64]

    @classmethod
    def of(cls, keys: Iterable[NDArray[np.int64]]) -> "Numbering":
        """Number objects by their first pixel, row by row over the slide.

        Raises:
            ValueError: two objects have the same first pixel, or there are over 2^32 - 1.
        """
        all_keys = np.sort(np.concatenate([np.zeros(0, np.int64), *keys]))
        if (np.diff(all_keys) == 0).any():
            raise ValueError("Two objects of the slide start at the same pixel.")
        if all_keys.size > np.iinfo(np.uint32).max:
            raise ValueError(f"{all_keys.size} objects are more than 32 bits can number.")
        return cls(all_keys)

    def ids(self, keys: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Ids of objects by their keys; 0 for a key that is not there."""
        if not self.keys.size:
            return np.zeros(keys.shape, np.uint32)
        place = np.searchsorted(self.keys, keys)
        found = self.keys[np.minimum(place, self.keys.size - 1)] == keys
        return np.where(found, place + 1, 0).astype(np.uint32)


def pieces_in_core(found: BlockLabels) -> NDArray[np.int64]:
    """Ids of objects that are cut though they touch the core: larger than the halo allows."""
    ids: NDArray[np.int64] = 1 + np.flatnonzero(found.objects.cut & (found.objects.in_core > 0))
    return ids


def same_object(
    first: BlockLabels, second: BlockLabels, of_first: Sequence[int], second_core: Box
) -> list[tuple[int, int]]:
    """Pieces of the first block and objects of the second that are one: they overlap by half.

    Touching is not enough: what counts is the pixels of the second block's core that both name.

    Args:
        first: a block with pieces.
        second: a neighbour of it.
        of_first: ids of the pieces.
        second_core: core of the second block.

    Returns:
        Pairs of an id in the first and an id in the second block.
    """
    shared = first.box.shared_with(second_core)
    if min(shared.shape) <= 0:
        return []
    one = first.labels[shared.seen_from(first.box).slices]
    two = second.labels[shared.seen_from(second.box).slices]
    pairs = []
    for piece in of_first:
        inside = one == piece
        ids, counts = np.unique(two[inside], return_counts=True)
        for other, count in zip(ids.tolist(), counts.tolist(), strict=True):
            smaller = min(np.count_nonzero(inside), np.count_nonzero(two == other))
            if other and count >= _OVERLAP * smaller:
                pairs.append((int(piece), int(other)))
    return pairs


def joined(pieces: Iterable[Piece], same: Iterable[tuple[Piece, Piece]]) -> dict[Piece, Piece]:
    """For each piece the first piece, in order of block and id, that it is one object with."""
    parent: dict[Piece, Piece] = {piece: piece for piece in pieces}

    def root(piece: Piece) -> Piece:
        while parent.setdefault(piece, piece) != piece:
            piece = parent[piece]
        return piece

    for one, two in same:
        low, high = sorted((root(one), root(two)))
        parent[high] = low
    return {piece: root(piece) for piece in sorted(parent)}


def renumbered(
    found: BlockLabels, core: Box, numbering: Numbering, pieces: Mapping[int, int]
) -> NDArray[np.uint32]:
    """Final ids of a block's pixels.

    Args:
        found: the block's labels.
        core: the part to return; any box within that of the labels.
        numbering: ids of the slide's objects.
        pieces: final key by id, for the pieces of objects that no block saw whole.

    Returns:
        (y, x) uint32 of the core.
    """
    keys = found.objects.key.copy()
    for piece, key in pieces.items():
        keys[piece - 1] = key
    ids = np.concatenate([np.zeros(1, np.uint32), numbering.ids(keys)])
    return ids[found.labels[core.seen_from(found.box).slices]]
