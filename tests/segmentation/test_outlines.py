"""Holes, specks and numbers."""

import numpy as np
import pytest

from segmentation.engine import models
from segmentation.outlines import filled, in_raster_order, without

UTILS = models.utils


def test_renumbering():
    masks = np.array([[0, 7, 7], [3, 0, 7], [3, 5, 5]], np.uint16)
    expected = np.array([[0, 1, 1], [2, 0, 1], [2, 3, 3]])
    before = masks.copy()
    labels = in_raster_order(masks)
    assert np.array_equal(labels, expected)
    assert labels.dtype == np.uint32
    assert np.array_equal(masks, before)
    assert not in_raster_order(np.zeros((2, 2), np.uint16)).any()


def test_more_objects_than_sixteen_bits_hold():
    masks = np.zeros((600, 600), np.uint32)
    masks[::2, ::2] = np.random.default_rng(0).permutation(90_000).reshape(300, 300) + 1
    labels = in_raster_order(masks)
    assert labels.max() == 90_000
    assert np.array_equal(labels[::2, ::2].ravel(), np.arange(1, 90_001))


def test_a_hole_is_filled_and_a_bay_is_not():
    labels = np.zeros((12, 30), np.uint32)
    labels[1:11, 1:11] = 1
    labels[4:6, 4:6] = 0
    labels[7, 7] = 2  # an object in the hole of another
    labels[1:11, 15:25] = 3
    labels[1:8, 18:20] = 0  # open at the top
    expected = labels.copy()
    expected[1:11, 1:11] = 1
    before = labels.copy()
    assert np.array_equal(filled(labels, 0), expected)
    assert np.array_equal(labels, before)


def test_a_diagonal_closes_a_hole():
    labels = np.zeros((5, 5), np.uint32)
    labels[[0, 1, 1, 2], [1, 0, 2, 1]] = 1
    assert filled(labels, 0)[1, 1] == 1


def test_small_objects_go_before_and_after_the_filling():
    labels = np.zeros((20, 20), np.uint32)
    labels[2:10, 2:10] = 1
    labels[4:8, 4:8] = 0
    labels[5, 5] = 2  # too small to begin with
    labels[12:18, 2:6] = 3
    labels[12:14, 7:9] = 4
    cleaned = filled(labels, 10)
    assert set(np.unique(cleaned)) == {0, 1, 3}
    assert (cleaned == 1).sum() == 64


@pytest.mark.parametrize("seed", range(5))
def test_random_objects_are_filled_as_cellpose_fills_them(seed):
    rng = np.random.default_rng(seed)
    y, x = np.indices((120, 120))
    labels = np.zeros((120, 120), np.uint32)
    for number in range(1, 40):
        away = np.hypot(y - rng.uniform(0, 120), x - rng.uniform(0, 120))
        radius = rng.uniform(3, 15)
        labels[(away < radius) & (away >= radius * rng.choice([0, 0.6]))] = number
    labels[rng.random(labels.shape) < 0.05] = 0
    labels = in_raster_order(labels)
    theirs = UTILS.fill_holes_and_remove_small_masks(labels.copy(), min_size=15)
    assert np.array_equal(in_raster_order(filled(labels, 15)), in_raster_order(theirs))


def test_dropping():
    labels = np.array([[0, 1, 2], [3, 3, 2]], np.uint32)
    dropped = np.array([True, False, True, False])
    assert np.array_equal(without(labels, dropped), [[0, 1, 0], [3, 3, 0]])
    assert without(labels, np.array([True, False, False, False])) is labels
