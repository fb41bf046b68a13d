"""Objects larger than a halo are joined by overlap, and names are unique."""

import numpy as np
import pytest

from segmentation.slides.block import BlockLabels
from segmentation.slides.grid import blocks
from segmentation.slides.joining import (
    Numbering,
    joined,
    pieces_in_core,
    renumbered,
    same_object,
)
from segmentation.slides.objects import objects_of


def _found(truth, block, rim=20):
    """What a block would find that sees the truth in its window alone."""
    window = truth[block.window.slices]
    ids, labels = np.unique(window, return_inverse=True)
    labels = labels.reshape(window.shape).astype(np.uint32)
    first = np.array([np.flatnonzero(labels == i)[0] for i in range(1, ids.size)], int)
    rank = np.zeros(ids.size, np.uint32)
    rank[1 + np.argsort(first)] = np.arange(1, ids.size)
    labels = rank[labels]
    box = block.core.grown(rim, truth.shape)
    kept = labels[box.seen_from(block.window).slices]
    return BlockLabels(box, kept, objects_of(labels, block, truth.shape))


def test_keys_boxes_and_owners_by_hand():
    truth = np.zeros((100, 200), np.uint32)
    truth[40:50, 95:110] = 1  # its centre, column 102, lies in the second block
    truth[70:80, 90:108] = 2  # column 98: the first
    first, second = blocks(truth.shape, 100, 30)
    one, two = (_found(truth, block).objects for block in (first, second))
    assert one.key.tolist() == two.key.tolist() == [40 * 200 + 95, 70 * 200 + 90]
    assert one.box.tolist() == [[40, 95, 50, 110], [70, 90, 80, 108]]
    assert one.owned.tolist() == [False, True]
    assert two.owned.tolist() == [True, False]
    assert one.in_core.tolist() == [50, 100]
    assert one.area.tolist() == [150, 180]
    assert not one.cut.any()


def test_a_large_object_is_joined_and_a_touching_one_is_not():
    truth = np.zeros((100, 300), np.uint32)
    truth[20:40, 10:290] = 1  # crosses three blocks, far larger than the halo
    truth[40:60, 130:150] = 2  # touches it
    cut = blocks(truth.shape, 100, 40)
    found = [_found(truth, block) for block in cut]
    pieces = {(b.index, int(i)) for b, f in zip(cut, found, strict=True) for i in pieces_in_core(f)}
    assert pieces == {(0, 1), (1, 1), (2, 1)}
    same = [
        ((a.index, i), (b.index, j))
        for a, f in zip(cut, found, strict=True)
        for b, g in zip(cut, found, strict=True)
        if abs(a.index - b.index) == 1
        for i, j in same_object(f, g, [i for n, i in pieces if n == a.index], b.core)
    ]
    first = joined(pieces, same)
    assert {first[piece] for piece in pieces} == {(0, 1)}
    key = int(found[0].objects.key[0])
    numbering = Numbering.of([*(f.objects.key[f.objects.owned] for f in found), np.array([key])])
    labels = np.zeros_like(truth)
    for b, f in zip(cut, found, strict=True):
        own = {i: key for n, i in pieces if n == b.index}
        labels[b.core.slices] = renumbered(f, b.core, numbering, own)
    assert np.array_equal(labels, truth)


def test_pieces_that_only_touch_stay_apart():
    truth = np.zeros((50, 200), np.uint32)
    truth[10:30, 40:100] = 1
    truth[10:30, 100:160] = 2
    first, second = blocks(truth.shape, 100, 30)
    one, two = _found(truth, first), _found(truth, second)
    assert same_object(one, two, [1], second.core) == []


def test_ids_by_the_first_pixel():
    numbering = Numbering.of([np.array([7, 3]), np.array([10**12])])
    assert numbering.ids(np.array([3, 7, 10**12, 4])).tolist() == [1, 2, 3, 0]
    assert Numbering.of([]).ids(np.array([5])).tolist() == [0]


def test_one_pixel_cannot_start_two_objects():
    with pytest.raises(ValueError, match="same pixel"):
        Numbering.of([np.array([7]), np.array([7])])
