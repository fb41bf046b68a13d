"""Chromatin of nuclei with known texture, spots and DNA."""

import numpy as np
import pytest
from scipy import ndimage

from measurements.chromatin import ChromatinSettings, measure_chromatin
from measurements.errors import MeasurementError
from measurements.regions import Regions
from tests.measurements.label_images import disc

SHAPE = (200, 240)
SETTINGS = ChromatinSettings(scale=2.0)


def labels():
    image = np.zeros(SHAPE, np.uint32)
    for number, (y, x) in enumerate(np.ndindex(2, 3)):
        image[disc(SHAPE, 50 + 100 * y, 40 + 80 * x, 25)] = 4 * number + 2
    return image


def even(level=400.0, background=100.0):
    return background + level * (labels() > 0)


def with_spots(spots, level=400.0, height=3.0, sigma=1.5):
    """Nuclei with Gaussian spots at the given places, `height` times the nucleus's level."""
    light = np.zeros(SHAPE)
    for y, x in spots:
        light[y, x] = 2 * np.pi * sigma**2
    return even(level) + height * level * ndimage.gaussian_filter(light, sigma)


def measured(image, found=None, settings=SETTINGS, background=100.0):
    regions = Regions.of(labels() if found is None else found)
    table = measure_chromatin(image, "dna", regions, np.full(len(regions), background), settings)
    return {column.name.removeprefix("dna_"): values for column, values in table.items()}


def test_an_even_nucleus():
    found = measured(even())
    for name in ("chromatin_cv", "condensed_area_fraction", "condensed_spots", "texture_contrast"):
        np.testing.assert_array_equal(found[name], 0)
    np.testing.assert_allclose(found["dna_content"], 400 * (labels() == 2).sum())


def test_cv_is_that_of_the_pixels_above_background():
    noise = np.random.default_rng(0).normal(0, 80, SHAPE)
    found = measured(even() + noise)
    np.testing.assert_allclose(found["chromatin_cv"], 0.2, rtol=0.06)


def test_planted_spots_are_counted():
    places = [(40, 35), (50, 50), (60, 30), (150, 120), (145, 200), (155, 200), (150, 190)]
    found = measured(with_spots(places))
    assert found["condensed_spots"].tolist() == [3, 0, 0, 0, 1, 3]
    assert found["condensed_area_fraction"][1] == 0
    # A Gaussian spot of height h is over 0.5 within sigma sqrt(2 ln(h / 0.5)); both blurs add.
    blurred = 1.5**2 + 1.0
    area = 2 * np.pi * blurred * np.log(3 * 1.5**2 / blurred / 0.5)
    expected = area / (labels() == 18).sum()
    assert found["condensed_area_fraction"][4] == pytest.approx(expected, rel=0.1)


def test_noise_makes_no_spots():
    noise = np.random.default_rng(1).normal(0, 80, SHAPE)
    assert measured(even() + noise)["condensed_spots"].sum() == 0


def test_condensed_chromatin_has_more_contrast_and_entropy():
    places = [(y, x) for y in range(35, 70, 8) for x in range(25, 60, 8)]
    plain, spotted = measured(even()), measured(with_spots(places))
    assert spotted["texture_contrast"][0] > 1
    assert spotted["texture_entropy"][0] > 1 > plain["texture_entropy"][0]


def test_coarse_texture_correlates_and_noise_does_not():
    noise = np.random.default_rng(2).standard_normal(SHAPE)
    coarse = ndimage.gaussian_filter(noise, 5)
    found = [measured(even() + 80 * grain / grain.std()) for grain in (noise, coarse)]
    assert found[0]["texture_correlation"].max() < 0.1
    assert found[1]["texture_correlation"].min() > 0.8


def test_gain_and_offset_cancel():
    image = with_spots([(40, 35), (150, 120)]) + np.random.default_rng(3).normal(0, 20, SHAPE)
    one, other = measured(image), measured(2.5 * image + 30, background=2.5 * 100 + 30)
    for name in set(one) - {"dna_content"}:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(other["dna_content"], 2.5 * one["dna_content"])


def test_spots_of_touching_nuclei_stay_apart():
    found = np.zeros(SHAPE, int)
    found[50:100, 50:100], found[50:100, 100:150] = 1, 2
    image = 100 + 400.0 * (found > 0)
    image[70:76, 95:106] = 2500
    assert measured(image, found)["condensed_spots"].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
def test_every_pixel_type_is_measured_and_left_alone(dtype):
    image = (labels() > 0).astype(dtype)
    before = image.copy()
    found = measured(image, background=0.0)
    np.testing.assert_allclose(found["dna_content"], (labels() == 2).sum())
    assert (image == before).all()


def test_missing_dark_and_no_nuclei():
    regions = Regions.of(labels(), np.array([2, 3]))
    table = measure_chromatin(even(), "dna", regions, np.full(2, 600.0), SETTINGS)
    for column, values in table.items():
        if column.name in ("dna_condensed_spots",):
            assert values.tolist() == [0, 0]
        elif column.name != "dna_dna_content":
            assert np.isnan(values).all(), column.name
    assert measured(even(), np.zeros(SHAPE, int))["condensed_spots"].size == 0
    assert np.isnan(measured(np.full(SHAPE, np.nan))["chromatin_cv"]).all()


def test_settings_that_cannot_be_are_refused():
    for wrong in ({"scale": 0}, {"condensed": 1.0}):
        with pytest.raises(MeasurementError, match="scale above 0"):
            ChromatinSettings(**wrong)
