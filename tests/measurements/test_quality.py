from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from measurements.quality import (
    QualityLimits,
    focus_score,
    log_levels,
    measure_cell_quality,
    measure_image_quality,
    measure_saturated_cells,
    noise_sd,
    outliers_below,
    saturation_level,
)
from measurements.regions import Regions
from tests.measurements.label_images import disc

SHAPE = (200, 240)
LIMITS = QualityLimits()


def labels():
    image = np.zeros(SHAPE, dtype=np.uint32)
    for number, (y, x) in enumerate(np.ndindex(5, 6)):
        image[disc(SHAPE, 20 + 40 * y, 20 + 40 * x, 9)] = 3 * number + 1
    return image


def cells(noise=2.0, blur=1.0, seed=0):
    sharp = 100.0 + 400 * (labels() > 0)
    return ndimage.gaussian_filter(sharp, blur) + noise * np.random.default_rng(
        seed
    ).standard_normal(SHAPE)


def quality(image):
    table = measure_image_quality(image, "dapi", labels() > 0, LIMITS)
    return {column.name.removeprefix("dapi_"): values[0] for column, values in table.items()}


def test_good_image_has_no_flags():
    found = quality(cells())
    assert [found[flag] for flag in ("saturated", "constant")] == [False] * 2
    assert found["image_background"] == pytest.approx(100, abs=1)
    assert found["image_saturated_fraction"] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_limit_of_the_type_is_saturation(dtype):
    image = np.full(SHAPE, 10, dtype=dtype)
    image[:2, :50] = np.iinfo(dtype).max
    found = quality(image)
    assert found["image_saturated_fraction"] == 100 / image.size
    assert found["saturated"]


def test_twelve_bit_camera_in_a_sixteen_bit_file():
    image = np.clip(8 * cells(), 0, 4095).astype(np.uint16)
    assert saturation_level(image) == np.inf
    image = np.clip(10 * cells(noise=5), 0, 4095).astype(np.uint16)
    assert saturation_level(image) == 4095
    assert quality(image)["saturated"]
    assert saturation_level(image / 4095) == 1


def test_brightest_pixels_of_an_unclipped_image_are_no_pile():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        assert saturation_level(rng.poisson(20, SHAPE).astype(np.uint16)) == np.inf
        assert saturation_level(rng.normal(100, 3, SHAPE).astype(np.float32)) == np.inf


@pytest.mark.parametrize("value", [0, 17])
def test_constant_image(value):
    found = quality(np.full(SHAPE, value, dtype=np.uint8))
    assert found["constant"]
    assert not found["saturated"]
    assert np.isnan(found["image_focus"])
    assert found["image_background"] == value


def test_pixels_that_are_no_numbers_are_flagged():
    image = cells().astype(np.float32)
    assert not quality(image)["broken_pixels"]
    image[0, 0] = np.nan
    assert quality(image)["broken_pixels"]
    assert quality(image)["image_background"] == pytest.approx(100, abs=1)


def test_blur_lowers_the_focus_score_step_by_step():
    scores = [focus_score(cells(noise=2, blur=b)) for b in (1, 2, 3, 5)]
    assert all(sharp > 1.5 * blurred for sharp, blurred in pairwise(scores))


def test_focus_score_is_not_moved_by_gain_offset_noise_or_crop():
    score = focus_score(cells(noise=0))
    assert focus_score(3 * cells(noise=0) + 500) == pytest.approx(score)
    assert focus_score(cells(noise=20)) == pytest.approx(score, rel=0.1)
    assert focus_score(cells(noise=0)[:80, :120]) == pytest.approx(score, rel=0.1)


def test_noise_of_a_field_with_cells():
    assert noise_sd(cells(noise=7)) == pytest.approx(7, rel=0.05)


def test_no_background_no_level():
    table = measure_image_quality(cells(), "c", np.ones(SHAPE, dtype=bool), LIMITS)
    found = {column.name: values[0] for column, values in table.items()}
    assert np.isnan(found["c_image_background"])


def test_one_blurred_nucleus_is_out_of_focus():
    image = cells(noise=2)
    blurred = ndimage.gaussian_filter(100.0 + 400 * (labels() > 0), 5)
    image[80:120, 80:120] = blurred[80:120, 80:120]
    regions = Regions.of(labels())
    table = measure_cell_quality(image, regions, "dapi", np.full(len(regions), 100.0), LIMITS)
    flags = {column.name: values for column, values in table.items()}["out_of_focus"]
    assert regions.ids[flags].tolist() == [labels()[100, 100]]


def test_brightness_and_size_do_not_look_like_blur():
    labels_of_two = np.zeros(SHAPE, dtype=int)
    labels_of_two[disc(SHAPE, 60, 60, 10)] = 1
    labels_of_two[disc(SHAPE, 120, 160, 40)] = 2
    image = 100 + np.array([0.0, 50, 2000])[labels_of_two]
    table = measure_cell_quality(
        ndimage.gaussian_filter(image, 1.5),
        Regions.of(labels_of_two),
        "dapi",
        np.full(2, 100.0),
        LIMITS,
    )
    small, large = next(iter(table.values()))
    assert small == pytest.approx(large, rel=0.5)


def test_saturated_cells():
    image = np.full(SHAPE, 10, dtype=np.uint8)
    image[18:21, 18:21] = 255
    regions = Regions.of(labels())
    table = measure_saturated_cells(image, regions, "p21", saturation_level(image), LIMITS)
    flags = next(iter(table.values()))
    assert regions.ids[flags].tolist() == [1]


def test_outliers_leave_nan_and_empty_alone():
    values = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 0.01, np.nan])
    assert outliers_below(values, log_levels(values), 3.0).tolist() == [False] * 5 + [True, False]
    assert outliers_below(np.zeros(0), log_levels(np.zeros(0)), 3.0).shape == (0,)


@pytest.mark.parametrize("values", [[0.38], [0.38, 0.1], [0.3, 0.31, 0.3, 0.1], [0.38] * 9])
def test_one_few_or_equal_nuclei_have_no_outlier(values):
    steepness = np.array(values)
    assert not outliers_below(steepness, log_levels(steepness), 3.0).any()


def test_tiny_and_empty_images():
    assert np.isnan(focus_score(np.ones((2, 2))))
    assert saturation_level(np.zeros((0, 0), dtype=np.uint8)) == np.inf
