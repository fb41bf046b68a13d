"""Errors of labels, planted one by one."""

import math

import numpy as np
import pytest

from segmentation.quality import assess, wholes_with_parts


def squares(*places: tuple[int, int, int, int]) -> np.ndarray:
    """Labels with a square (top, left, height, width) for each place; ids with gaps."""
    image = np.zeros((60, 60), np.uint16)
    for number, (y, x, height, width) in enumerate(places):
        image[y : y + height, x : x + width] = 3 * number + 2
    return image


def test_perfect_labels_with_other_ids():
    truth = squares((0, 0, 10, 10), (20, 20, 10, 10))
    found = assess(truth, truth * 7)
    assert (found.ap50, found.ap75, found.ap, found.f1, found.panoptic) == (1, 1, 1, 1, 1)
    assert (found.missed, found.extra, found.split, found.merged) == (0, 0, 0, 0)
    assert (found.count_bias, found.size_bias) == (0, 0)


def test_one_object_in_two_halves_is_split():
    truth = squares((0, 0, 20, 20))
    found = assess(truth, squares((0, 0, 20, 11), (0, 11, 20, 9)))
    assert (found.split, found.merged, found.count_bias) == (1, 0, 1.0)


def test_two_objects_in_one_are_merged():
    truth = squares((0, 0, 20, 9), (0, 11, 20, 9))
    found = assess(truth, squares((0, 0, 20, 20)))
    assert (found.split, found.merged, found.count_bias) == (0, 1, -0.5)
    assert wholes_with_parts(squares((0, 0, 20, 20)), truth).tolist() == [2]


def test_panoptic_quality_and_size_by_hand():
    # IoU 100/144; one of two true objects missed: F1 = 2/3.
    found = assess(squares((0, 0, 10, 10), (40, 40, 5, 5)), squares((0, 0, 12, 12)))
    assert found.panoptic == pytest.approx(2 / 3 * 100 / 144)
    assert found.size_bias == pytest.approx(0.44)
    assert found.ap == pytest.approx(0.5 * 4 / 10)  # found at 0.5, 0.55, 0.6 and 0.65
    assert (found.missed, found.extra) == (1, 0)


def test_nothing_at_all_and_nothing_found():
    empty = squares()
    nothing = assess(empty, empty)
    assert (nothing.ap, nothing.panoptic) == (1, 1)
    assert math.isnan(nothing.count_bias)
    missed = assess(squares((0, 0, 9, 9)), empty)
    assert (missed.ap, missed.panoptic, missed.count_bias) == (0, 0, -1)
    assert math.isnan(missed.size_bias)


def test_another_shape():
    with pytest.raises(ValueError, match="one shape"):
        assess(squares(), np.zeros((3, 3), int))
