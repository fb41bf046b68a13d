"""The filters of foci do what scipy's do, in planes and in stacks."""

import numpy as np
import pytest
from scipy import ndimage

from measurements.foci_smoothing import Members, box, gaussian, highest

SHAPES = [(40, 57), (3, 90), (1, 1), (5, 40, 57)]


def image(shape):
    return np.random.default_rng(0).normal(10, 5, shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_is_scipys(shape):
    sigmas = (1.3, 2.1, 0.9)[-len(shape) :]
    expected = ndimage.gaussian_filter(
        image(shape).astype(float), sigmas, mode="constant", truncate=3.0
    )
    np.testing.assert_allclose(gaussian(image(shape), sigmas), expected, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_box_is_scipys(shape):
    halves = (1.2, 3.0, 6.4)[-len(shape) :]
    size = [2 * max(1, round(half)) + 1 for half in halves]
    expected = ndimage.uniform_filter(image(shape).astype(float), size, mode="constant")
    np.testing.assert_allclose(box(image(shape), halves), expected, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_highest_is_scipys(shape):
    reach = (1, 2, 4)[-len(shape) :]
    size = [2 * r + 1 for r in reach]
    for picture in (image(shape), -image(shape), (image(shape) > 12).astype(np.uint8)):
        expected = ndimage.maximum_filter(picture, size, mode="nearest")
        np.testing.assert_array_equal(highest(picture, reach), expected)


def test_empty_images_stay_empty():
    empty = np.zeros((0, 5), dtype=np.float32)
    assert gaussian(empty, (1.0, 1.0)).shape == box(empty, (1.0, 1.0)).shape == (0, 5)
    assert highest(empty, (1, 1)).shape == (0, 5)


def test_sums_over_nuclei_with_one_missing():
    index = np.array([[0, 1, 1], [3, 3, 0]], dtype=np.int32)
    members = Members.of(index, 3)
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert members.areas().tolist() == [2, 0, 2]
    assert members.sums(values).tolist() == [3, 0, 7]
    spread = members.spread(np.array([5.0, 6.0, 7.0]), index.shape)
    assert spread.tolist() == [[0, 5, 5], [7, 7, 0]]
