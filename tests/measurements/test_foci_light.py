"""Light of foci that are drawn with known widths and places."""

import numpy as np
import pytest

from measurements.foci_light import light_of_foci

SHAPE, SIGMA = (80, 90), 2.0


def drawn(y, x, height, widths, angle=0.0):
    """A Gaussian of these two SDs, px, the first along an angle."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] - np.array([y, x])[:, None, None]
    along = np.cos(angle) * rows + np.sin(angle) * columns
    across = np.cos(angle) * columns - np.sin(angle) * rows
    return height * np.exp(-((along / widths[0]) ** 2 + (across / widths[1]) ** 2) / 2)


def fitted(image, at, index=None):
    index = np.ones(image.shape, np.int32) if index is None else index
    sigmas = (SIGMA,) * image.ndim
    return light_of_foci(image.astype(np.float32), index, np.array(at), sigmas)


@pytest.mark.parametrize(
    ("shift", "widths", "angle", "left"),
    [
        ((0, 0), (2.0, 2.0), 0.0, 0.001),
        ((0.4, -0.3), (2.0, 2.0), 0.0, 0.02),
        ((0, 0), (1.7, 1.7), 0.0, 0.05),
        ((0, 0), (2.4, 2.4), 0.0, 0.05),
        ((0.2, 0.2), (2.4, 1.9), 0.7, 0.05),
    ],
)
def test_little_is_left_of_a_focus(shift, widths, angle, left):
    """Of the second order: (0.2)² where it is a fifth wider."""
    image = drawn(40 + shift[0], 40 + shift[1], 100, widths, angle)
    rest = image - fitted(image, [(40, 40)])
    assert np.abs(rest).max() < 100 * left
    # A bell of the usual width in the middle of the pixel leaves several times as much.
    if left > 0.001:
        assert np.abs(image - drawn(40, 40, 100, (2.0, 2.0))).max() > 2.5 * np.abs(rest).max()


def test_neighbours_two_widths_apart_are_told_apart():
    image = drawn(40, 30, 100, (2.0, 2.0)) + drawn(40, 39.4, 60, (2.0, 2.0))
    assert np.abs(image - fitted(image, [(40, 30), (40, 39)])).max() < 5


def test_a_level_is_no_light():
    image = np.full(SHAPE, 50.0)
    np.testing.assert_allclose(fitted(image, [(40, 40)]), 0, atol=0.01)
    image += drawn(40, 40, 100, (2.0, 2.0))
    assert fitted(image, [(40, 40)])[40, 40] == pytest.approx(100, abs=0.5)


def test_a_dark_place_has_no_light():
    assert not fitted(-drawn(40, 40, 100, (2.0, 2.0)), [(40, 40)]).any()


def test_light_ends_with_the_nuclei_and_is_fitted_within_one():
    index = np.zeros(SHAPE, np.int32)
    index[:, :41], index[:, 44:] = 1, 2
    image = drawn(40, 39, 100, (2.0, 2.0)) * (index == 1) + 1000.0 * (index == 2)
    light = fitted(image, [(40, 39)], index)
    assert not light[index == 0].any()
    assert light[40, 39] == pytest.approx(100, rel=0.02)


def test_foci_at_the_corner_and_none_at_all():
    image = drawn(0, 0, 100, (2.0, 2.0))
    assert np.abs(image - fitted(image, [(0, 0)])).max() < 1
    assert not fitted(image, np.empty((0, 2), np.int64)).any()


def test_each_focus_is_fitted_as_though_there_were_no_others_in_the_image():
    rng = np.random.default_rng(0)
    image = rng.normal(size=SHAPE) + drawn(20, 20, 50, (2.1, 2.0)) + drawn(60, 70, 50, (2.1, 2.0))
    both = fitted(image, [(20, 20), (60, 70)])
    np.testing.assert_array_equal(both[:40, :45], fitted(image, [(20, 20)])[:40, :45])


def test_a_stack():
    z, y, x = np.mgrid[:9, :40, :40]
    image = 100 * np.exp(-((z - 4) ** 2 + (y - 20.3) ** 2 + (x - 20) ** 2) / 8)
    assert np.abs(image - fitted(image, [(4, 20, 20)])).max() < 2
