from pathlib import Path

import numpy as np
import pytest

from measurements import stains
from measurements.errors import MeasurementError
from measurements.stains import (
    CAMERA_BANDS_NM,
    KNOWN_STAINS,
    NEUTRAL,
    X_GAL,
    band_vector,
    stain_direction,
    stain_plane,
    stain_weights,
    unit,
)

ALCIAN_BLUE = (0.875, 0.458, 0.158)
METHYL_BLUE = (0.799, 0.591, 0.105)


def degrees(a, b):
    return np.degrees(np.arccos(np.clip(np.dot(unit(a), unit(b)), -1, 1)))


def test_default_is_what_its_documentation_says_and_near_its_neighbours():
    assert np.array(X_GAL) == pytest.approx((0.865, 0.479, 0.149), abs=1e-3)
    assert degrees(X_GAL, ALCIAN_BLUE) < 5
    assert degrees(X_GAL, METHYL_BLUE) < 10


def test_band_far_from_two_colours_is_the_third():
    assert band_vector(600, 5, 0) == pytest.approx((1, 0.25, 0), abs=0.05)
    assert band_vector(600, 130, 1.0) == pytest.approx(np.full(3, 3**-0.5))


def test_weights_are_a_row_of_the_inverse_of_ruifrok_and_johnston():
    third = np.cross(X_GAL, unit(NEUTRAL))
    inverse = np.linalg.inv(np.stack([X_GAL, unit(NEUTRAL), third], axis=1))
    assert stain_weights(X_GAL) == pytest.approx(inverse[0])


@pytest.mark.parametrize("stain", [X_GAL, ALCIAN_BLUE, METHYL_BLUE, (3.0, 2.0, 0.1)])
def test_grey_is_no_stain_and_the_stain_is_itself(stain):
    weights = stain_weights(stain)
    assert weights @ np.full(3, 2.5) == pytest.approx(0, abs=1e-12)
    assert weights @ (0.7 * np.array(unit(stain))) == pytest.approx(0.7)


def test_a_wrong_length_of_the_vector_changes_nothing():
    assert stain_weights(np.array(X_GAL) * 7) == pytest.approx(stain_weights(X_GAL))


def stained_pixels(vector, body, seed=0, n=20_000):
    """Stain of varying amount over a body of varying thickness, with a camera's noise."""
    rng = np.random.default_rng(seed)
    amount = rng.gamma(1.5, 0.15, (n, 1))
    thickness = 0.04 * rng.random((n, 1))
    noise = 0.005 * rng.standard_normal((n, 3))
    density = amount * np.array(unit(vector)) + thickness * np.array(body) + noise
    return density[density @ stain_weights(X_GAL) > 0.05]


@pytest.mark.parametrize("truth", [(0.93, 0.35, 0.14), METHYL_BLUE, (0.8, 0.5, 0.33)])
@pytest.mark.parametrize("body", [(1, 1, 1), (0.7, 1, 1.4)])
def test_colour_is_found_from_a_first_guess(truth, body):
    found = stain_direction(stained_pixels(truth, body), stain_weights(X_GAL))
    assert degrees(found, truth) < 1.5
    assert degrees(found, truth) < degrees(X_GAL, truth)


def test_grey_that_grows_with_the_stain_leaves_the_deconvolution():
    """All that it changes is the scale: the order of the cells stays."""
    amount = np.random.default_rng(3).gamma(1.5, 0.15, (5000, 1))
    density = amount * (np.array(ALCIAN_BLUE) + 0.2)
    weights = stain_weights(stain_direction(density, stain_weights(X_GAL)))
    assert degrees(np.abs(weights), np.abs(stain_weights(ALCIAN_BLUE))) < 0.5


def test_a_handful_of_pixels_has_no_colour_to_find():
    density = stained_pixels(X_GAL, (1, 1, 1))
    with pytest.raises(MeasurementError, match="199 stained pixels"):
        stain_direction(density[:199], stain_weights(X_GAL))


def test_pixels_without_a_value_are_left_out():
    density = stained_pixels(X_GAL, (1, 1, 1))
    found = stain_direction(density, stain_weights(X_GAL))
    with_holes = np.concatenate([density, np.full((50, 3), np.nan)])
    assert stain_direction(with_holes, stain_weights(X_GAL)) == found


@pytest.mark.parametrize("vector", [(0, 0, 0), (1, 2), (np.nan, 1, 1)])
def test_no_colour_is_refused(vector):
    with pytest.raises(MeasurementError, match="three densities"):
        unit(vector)


def test_a_grey_stain_is_refused():
    with pytest.raises(MeasurementError, match="degrees"):
        stain_weights((1.0, 1.02, 0.99))


def test_the_documented_derivation_is_that_of_the_default():
    """Every number of the table in measurements/beta_gal.md."""
    document = Path(stains.__file__).with_name("beta_gal.md").read_text(encoding="utf-8")
    for (centre, width), density, name in zip(
        CAMERA_BANDS_NM, X_GAL, ("red", "green", "blue"), strict=True
    ):
        spread = np.hypot(130, width)
        overlap, distance = 130 / spread, np.exp(-0.5 * ((centre - 615) / (spread / 2.3548)) ** 2)
        row = (overlap, distance, 0.1 + 0.9 * overlap * distance, density)
        assert f"| {name}, {centre:.0f} nm | " + " | ".join(f"{v:.3f}" for v in row) in document
        assert f"{name} {density:.3f}" in document


DAB, HAEMATOXYLIN, RED = (KNOWN_STAINS[name] for name in ("dab", "haematoxylin", "fast_red"))


def test_a_stain_is_told_from_two_others():
    weights = stain_weights(DAB, HAEMATOXYLIN, RED)
    vectors = np.array([unit(v) for v in (DAB, HAEMATOXYLIN, RED)])
    np.testing.assert_allclose(vectors @ weights, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(weights, np.linalg.inv(vectors)[:, 0])


@pytest.mark.parametrize("others", [(HAEMATOXYLIN, HAEMATOXYLIN), (DAB, RED)])
def test_stains_that_are_one_are_refused(others):
    with pytest.raises(MeasurementError, match="degrees"):
        stain_weights(DAB, *others)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_a_stain_as_a_channel_has_the_density_that_was_laid(dtype, full):
    """By hand: what is left of full light after 0.4 of DAB and 0.3 of haematoxylin."""
    density = 0.4 * np.array(unit(DAB)) + 0.3 * np.array(unit(HAEMATOXYLIN))
    rgb = np.tile(full * 10**-density, (5, 7, 1))
    rgb = (np.rint(rgb) if full > 1 else rgb).astype(dtype)
    found = stain_plane(rgb, stain_weights(DAB, HAEMATOXYLIN))
    assert found.shape == (5, 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 0.4, atol=0.01 if dtype == np.uint8 else 0.001)


def test_dimmer_or_tinted_light_shifts_a_stain_by_the_same_everywhere():
    rng = np.random.default_rng(0)
    light = 10 ** -(rng.gamma(2, 0.1, (40, 40, 1)) * np.array(unit(DAB)))
    planes = [
        stain_plane((60000 * white * light).astype(np.uint16), stain_weights(DAB, HAEMATOXYLIN))
        for white in (np.ones(3), np.array([0.7, 0.8, 0.6]))
    ]
    shift = planes[1] - planes[0]
    assert abs(np.median(shift)) > 0.1
    np.testing.assert_allclose(shift, np.median(shift), atol=0.001)


def test_black_and_white_have_a_density_and_parts_are_those_of_the_whole():
    rgb = np.random.default_rng(1).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    rgb[0, 0], rgb[0, 1] = 0, 255
    before = rgb.copy()
    weights = stain_weights(DAB, HAEMATOXYLIN)
    whole = stain_plane(rgb, weights)
    assert np.isfinite(whole).all()
    assert whole[0, 1] == 0
    assert whole[0, 0] == pytest.approx(np.log10(2 * 255) * weights.sum(), abs=0.001)
    np.testing.assert_array_equal(stain_plane(rgb[7:19, 3:], weights), whole[7:19, 3:])
    np.testing.assert_array_equal(rgb, before)


def test_a_grey_image_has_no_stains():
    with pytest.raises(MeasurementError, match="colour image"):
        stain_plane(np.zeros((4, 4), np.uint8), stain_weights(DAB))
