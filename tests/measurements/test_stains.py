from pathlib import Path

import numpy as np
import pytest

from measurements import stains
from measurements.errors import MeasurementError
from measurements.stains import (
    CAMERA_BANDS_NM,
    NEUTRAL,
    X_GAL,
    band_vector,
    stain_direction,
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
