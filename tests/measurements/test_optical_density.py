import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.optical_density import (
    LightSettings,
    densities,
    density,
    incident_light,
    saturated,
)
from tests.measurements.label_images import disc

SHAPE = (240, 300)
EVERYWHERE = np.ones(SHAPE, dtype=bool)
PLAIN = LightSettings()


def falling_off(loss, gains=(1.0, 0.95, 0.8), level=220.0, shape=SHAPE):
    """Light that falls off as cos⁴ does from a centre that is not the picture's."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    r2 = ((y - 0.2) ** 2 + (x + 0.1) ** 2) / (1.2**2 + 1.1**2)
    return level * ((1 - loss * r2)[..., None] * np.array(gains))


def colour_error(found, truth):
    """Largest density that the found light would show in an empty field and that is not grey."""
    density = np.log10(found / truth)
    return np.abs(density - density.mean(axis=-1, keepdims=True)).max()


def photographed(light, noise=0.01, seed=1, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    noisy = light * (1 + noise * rng.standard_normal(light.shape))
    return np.clip(np.rint(noisy), 0, np.iinfo(dtype).max).astype(dtype)


def even(*colours, dtype=np.uint8):
    return np.broadcast_to(np.array(colours, dtype=dtype), (*SHAPE, 3)).copy()


def test_by_hand():
    light = even(200, 100, 50, dtype=np.float32)
    od = densities(even(20, 50, 50), light, PLAIN)
    assert od[0, 0] == pytest.approx([1, np.log10(2), 0], abs=1e-6)


def test_dark_and_gamma_by_hand():
    settings = LightSettings(dark=(10, 0, 0), gamma=2.2)
    light = even(190, 200, 200, dtype=np.float32)
    assert density(even(29, 200, 200), light, settings, 0)[0, 0] == pytest.approx(2.2, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_every_type_and_black_is_finite(dtype):
    light = even(200, 200, 200, dtype=np.float32)
    black = densities(even(0, 0, 0, dtype=dtype), light, PLAIN)
    assert np.isfinite(black).all()
    assert (black > densities(even(1, 1, 1, dtype=dtype), light, PLAIN)).all()


def test_a_brighter_pixel_than_the_light_is_below_0():
    light = even(200, 200, 200, dtype=np.float32)
    assert (densities(even(250, 250, 250), light, PLAIN) < 0).all()


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.4])
def test_uneven_light_is_found_in_each_colour(loss):
    truth = falling_off(loss)
    found = incident_light(photographed(truth), EVERYWHERE, PLAIN)
    assert np.abs(np.log10(found / truth)).max() < 0.012
    assert colour_error(found, truth) < 0.001


def test_light_whose_colour_changes_over_the_field():
    tilt = np.linspace(0.9, 1.1, SHAPE[1])[None, :, None] ** np.array([1, 0, -1])
    truth = falling_off(0.2, level=190) * tilt
    found = incident_light(photographed(truth), EVERYWHERE, PLAIN)
    assert np.abs(np.log10(found / truth)).max() < 0.01
    assert colour_error(found, truth) < 0.001


def test_cells_that_the_mask_missed_do_not_darken_the_light():
    truth = falling_off(0.2)
    specimen = truth.copy()
    for y in range(30, 240, 90):
        for x in range(30, 300, 90):
            specimen[disc(SHAPE, y, x, 22)] *= np.array([0.5, 0.7, 0.9])
    found = incident_light(photographed(specimen), EVERYWHERE, PLAIN)
    assert np.abs(np.log10(found / truth)).max() < 0.01


def test_little_background_between_many_cells_is_enough():
    truth = falling_off(0.4)
    mask = np.zeros(SHAPE, dtype=bool)
    rng = np.random.default_rng(2)
    for _ in range(40):
        y, x = rng.integers(0, SHAPE[0] - 12), rng.integers(0, SHAPE[1] - 12)
        mask[y : y + 12, x : x + 12] = True
    specimen = np.where(mask[..., None], truth, truth * np.array([0.4, 0.6, 0.9]))
    found = incident_light(photographed(specimen), mask, PLAIN)
    assert np.abs(np.log10(found / truth)).max() < 0.02
    assert colour_error(found, truth) < 0.003


def test_background_on_one_side_only():
    truth = falling_off(0.3)
    found = incident_light(photographed(truth), np.arange(300) < 130 * EVERYWHERE, PLAIN)
    assert colour_error(found, truth) < 0.005


def test_cells_over_the_whole_field_leave_the_bright_pixels():
    truth = falling_off(0.2)
    specimen = truth.copy()
    specimen[:, ::2] *= 0.8
    found = incident_light(photographed(specimen), ~EVERYWHERE, PLAIN)
    assert np.abs(np.log10(found / truth)).max() < 0.02


def test_a_blank_field_takes_the_place_of_the_background():
    truth = falling_off(0.4)
    blank = photographed(truth, seed=5)
    blank[disc(SHAPE, 60, 60, 5)] = 30
    specimen = np.zeros_like(blank)
    found = incident_light(specimen, EVERYWHERE, PLAIN, blank)
    assert np.abs(np.log10(found / truth)).max() < 0.01
    assert colour_error(found, truth) < 0.001


def test_light_between_two_grey_levels():
    """A median would be the lower one, and a cell of the same light would read as stained."""
    rgb = even(60, 60, 60)
    rgb[np.random.default_rng(6).random(SHAPE) < 1 / 3] = 61
    found = incident_light(rgb, EVERYWHERE, PLAIN)
    assert found == pytest.approx(60 + 1 / 3, abs=0.06)


def test_dark_is_taken_off_the_light():
    found = incident_light(even(110, 210, 60), EVERYWHERE, LightSettings(dark=(10, 10, 10)))
    assert found[0, 0] == pytest.approx([100, 200, 50], rel=1e-5)


def test_large_images_are_sampled():
    truth = falling_off(0.3, shape=(1500, 1600))
    found = incident_light(photographed(truth), np.ones(truth.shape[:2], dtype=bool), PLAIN)
    assert found.shape == truth.shape
    assert np.abs(np.log10(found / truth)).max() < 0.005


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (11, 500)])
def test_small_and_narrow_images(shape):
    rgb = np.full((*shape, 3), 180, dtype=np.uint8)
    found = incident_light(rgb, np.ones(shape, dtype=bool), PLAIN)
    assert found == pytest.approx(180, rel=1e-5)


def test_pixels_without_a_value_do_not_spread():
    rgb = falling_off(0.2).astype(np.float32)
    rgb[10, 10] = np.nan
    od = densities(rgb, incident_light(rgb, EVERYWHERE, PLAIN), PLAIN)
    assert np.isnan(od).sum() == 3


def test_saturated_needs_one_colour():
    rgb = falling_off(0.2, level=200).astype(np.uint8)
    rgb[5, 7, 2] = 255
    assert np.argwhere(saturated(rgb)).tolist() == [[5, 7]]


def test_arrays_stay_as_they_were():
    rgb = photographed(falling_off(0.2))
    before = rgb.copy()
    densities(rgb, incident_light(rgb, EVERYWHERE, PLAIN), PLAIN)
    assert np.array_equal(rgb, before)


@pytest.mark.parametrize(
    ("rgb", "mask", "message"),
    [
        (np.ones((4, 5, 4), np.uint8), np.ones((4, 5), bool), "transparency"),
        (np.ones((3, 4, 5), np.uint8), np.ones((4, 5), bool), "last axis"),
        (np.ones((4, 5, 3), bool), np.ones((4, 5), bool), "real numbers"),
        (np.ones((4, 5, 3), np.uint8), np.ones((5, 4), bool), "do not belong"),
        (np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), bool), "not above the dark level"),
    ],
)
def test_what_does_not_fit_is_refused(rgb, mask, message):
    with pytest.raises(MeasurementError, match=message):
        incident_light(rgb, mask, PLAIN)


def test_srgb_by_hand():
    """Half of sRGB's range is 0.214 of the light, and the toe is a straight line."""
    settings = LightSettings(gamma="srgb")
    light = even(255, 255, 255, dtype=np.float32)
    od = densities(even(128, 255, 5), light, settings)[0, 0]
    assert od == pytest.approx([-np.log10(0.21586), 0, -np.log10(5 / 255 / 12.92)], abs=1e-4)
    of_16_bit = LightSettings(gamma="srgb", full_scale=65535.0)
    rgb, bright = even(128 * 257, 0, 0, dtype=np.uint16), even(65535, 1, 1, dtype=np.float32)
    assert density(rgb, bright, of_16_bit, 0)[0, 0] == pytest.approx(od[0], abs=1e-6)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(MeasurementError, match="gamma"):
        LightSettings(gamma=0)
