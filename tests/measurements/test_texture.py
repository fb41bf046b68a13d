"""Co-occurrence against scikit-image's, region by region."""

import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops

from measurements.regions import Regions
from measurements.texture import LEVELS, cooccurrence_texture

ANGLES = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]


def image(seed=0, shape=(40, 50)):
    return np.random.default_rng(seed).integers(0, LEVELS, shape)


def of_scikit_image(patch, distance):
    """Contrast, correlation and entropy of one rectangle, its four directions taken together."""
    # graycomatrix counts d px along an axis and round(d / sqrt 2) along a diagonal.
    steps = [(distance, a) for a in (0, np.pi / 2)]
    steps += [(distance * np.sqrt(2), a) for a in (np.pi / 4, 3 * np.pi / 4)]
    counts = sum(
        graycomatrix(patch.astype(np.uint8), [d], [a], LEVELS, symmetric=True) for d, a in steps
    )
    p = counts[:, :, 0, 0] / counts.sum()
    table = p[:, :, None, None]
    entropy = -(p[p > 0] * np.log2(p[p > 0])).sum()
    contrast, correlation = (graycoprops(table, name)[0, 0] for name in ("contrast", "correlation"))
    return contrast, correlation, entropy


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_rectangles_are_those_of_scikit_image(distance):
    levels = image()
    labels = np.zeros(levels.shape, int)
    boxes = {3: np.s_[2:20, 5:30], 9: np.s_[20:38, 5:30], 10: np.s_[20:38, 30:48]}
    for name, box in boxes.items():
        labels[box] = name
    found = cooccurrence_texture(levels, Regions.of(labels), distance)
    for row, box in enumerate(boxes.values()):
        expected = of_scikit_image(levels[box], distance)
        got = (found.contrast[row], found.correlation[row], found.entropy[row])
        np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_a_quarter_turn_changes_nothing():
    levels, labels = image(), np.ones((40, 50), int)
    labels[:10, :10] = 0
    turned = [np.ascontiguousarray(np.rot90(a)) for a in (levels, labels)]
    one, other = (cooccurrence_texture(a, Regions.of(b), 2) for a, b in ((levels, labels), turned))
    for name in ("contrast", "correlation", "entropy"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name))


def test_checkerboard_by_hand():
    y, x = np.indices((20, 20))
    found = cooccurrence_texture((y + x) % 2 * 4, Regions.of(np.ones((20, 20), int)), 1)
    straight, diagonal = 2 * 20 * 19, 2 * 19 * 19
    assert found.contrast[0] == pytest.approx(16 * straight / (straight + diagonal))


def test_even_and_tiny_regions():
    labels = np.zeros((10, 10), int)
    labels[0, 0], labels[5:9, 5:9] = 1, 2
    found = cooccurrence_texture(np.full((10, 10), 3), Regions.of(labels, np.array([1, 2, 7])), 1)
    assert np.isnan(found.contrast).tolist() == [True, False, True]
    assert found.contrast[1] == 0
    assert found.entropy[1] == 0
    assert np.isnan(found.correlation[1])


def test_no_region_and_a_distance_beyond_the_image():
    none = cooccurrence_texture(image(), Regions.of(np.zeros((40, 50), int)), 1)
    assert none.contrast.size == 0
    far = cooccurrence_texture(image(), Regions.of(np.ones((40, 50), int)), 60)
    assert np.isnan(far.entropy).all()


def test_many_regions_in_pieces_are_those_in_one(monkeypatch):
    labels = np.arange(2000).reshape(40, 50) // 4 + 1
    whole = cooccurrence_texture(image(), Regions.of(labels), 1)
    monkeypatch.setattr("measurements.texture.REGIONS_AT_ONCE", 7)
    pieces = cooccurrence_texture(image(), Regions.of(labels), 1)
    np.testing.assert_array_equal(whole.entropy, pieces.entropy)
