"""Light that the images of a batch share, told from cells that lie in patches of like ones."""

import json

import numpy as np
import pytest

from measurements.batch_light import FEWEST_IMAGES, LightSums, batch_light
from measurements.light import LightLimits, light_fall_off, measure_light
from measurements.regions import Regions
from tests.measurements.test_light import SHAPE, fall_off, field, labels

LIMITS = LightLimits()


def image(seed, amount, cells=140, patch=0.3, tilt=0.0):
    """Sums of an image whose light falls off in circles; cells of one 4 x 4 block are alike."""
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(-1, 1, (2, cells))
    kind = np.minimum(((y + 1) * 2).astype(int), 3) * 4 + np.minimum(((x + 1) * 2).astype(int), 3)
    logs = rng.normal(0, 0.25, cells) + rng.normal(0, patch, 16)[kind]
    light = (1 - amount * (y**2 + x**2) / 2) * (1 - tilt * (1 + x) / 2)
    return LightSums.of(y, x, np.exp(logs) * light, of_cells=True, uneven=False)


def batch(seed, amount, n=FEWEST_IMAGES, **how):
    return [image(1000 * seed + i, amount, **how) for i in range(n)]


def flagged(light):
    return light.fall_off > LIMITS.fall_off and light.p < LIMITS.p


@pytest.mark.parametrize(("amount", "least", "most"), [(0, 0, 1), (0.15, 0, 1), (0.4, 18, 20)])
def test_a_batch_is_flagged_by_its_light_and_not_by_how_its_cells_lie(amount, least, most):
    """Of 20 batches of 24 images; alone, a quarter of the images without a fall-off are flagged."""
    found = [batch_light(batch(seed, amount, 24)) for seed in range(20)]
    assert least <= sum(map(flagged, found)) <= most
    true = amount * (11 / 12) ** 2
    errors = np.array([light.fall_off - true for light in found])
    assert abs(errors.mean()) < 0.05
    assert np.sqrt(np.mean(errors**2)) < 1.5 * np.median([light.error for light in found])


def test_few_cells_an_image_tell_it_in_a_larger_batch():
    light = batch_light(batch(0, 0.4, 100, cells=15))
    assert flagged(light)
    assert light.fall_off == pytest.approx(0.34, abs=2 * light.error)
    assert light.error < 0.08


def test_one_image_in_other_light_hardly_moves_the_batch():
    even = batch(3, 0, patch=0)
    odd = [*even[1:], image(9, 0, cells=1000, patch=0, tilt=0.7)]
    assert not flagged(batch_light(odd))
    assert batch_light(odd).fall_off < 0.15


def test_too_few_images_or_cells_tell_nothing():
    assert batch_light(batch(0, 0.4, FEWEST_IMAGES - 1)) is None
    assert batch_light(batch(0, 0.4, cells=9)) is None
    assert batch_light([]) is None
    assert batch_light(batch(0, 0.4)).n_images == FEWEST_IMAGES


def test_equal_cells_and_light_without_noise_are_told_exactly():
    even = batch_light([LightSums.of(*places(i), np.ones(50), **OF_CELLS) for i in range(20)])
    assert (even.fall_off, even.p) == (0, 1)
    at = [places(i) for i in range(20)]
    dim = batch_light([LightSums.of(y, x, np.exp(-0.2 * x), **OF_CELLS) for y, x in at])
    assert dim.fall_off == pytest.approx(1 - np.exp(-0.4 * 11 / 12), abs=1e-6)


OF_CELLS = {"of_cells": True, "uneven": False}


def places(seed):
    return np.random.default_rng(seed).uniform(-1, 1, (2, 50))


def test_sums_are_the_same_from_json():
    sums = image(0, 0.4)
    again = LightSums.from_json(json.loads(json.dumps(sums.as_json())))
    assert again.as_json() == sums.as_json()
    np.testing.assert_array_equal(again.products, sums.products)
    np.testing.assert_array_equal(again.held, sums.held)


@pytest.mark.parametrize(("background", "cell"), [(5, 2000), (220, -60)])
def test_pictures_leave_what_tells_their_light(background, cell):
    """By cells in fluorescence, by the background in bright field."""
    found, sums = labels(), []
    for seed in range(FEWEST_IMAGES):
        picture, grain = field(background, cell, 2, seed, spread=0.02)
        lit = picture * fall_off(SHAPE, 0.4) + grain
        sums.append(measure_light(lit, "c", Regions.of(found), found > 0, LIMITS)[1])
    assert {image.of_cells for image in sums} == {cell > 0}
    light = batch_light(sums)
    assert flagged(light)
    assert light.fall_off == pytest.approx(0.4 * (11 / 12) ** 2, abs=0.03)


def test_a_picture_without_cells_leaves_sums_of_none():
    empty = np.zeros(SHAPE, dtype=np.uint32)
    picture = np.random.default_rng(0).normal(5, 1, SHAPE)
    _, sums = measure_light(picture, "c", Regions.of(empty), empty > 0, LIMITS)
    assert not sums.of_cells or sums.n == 0
    assert np.isnan(light_fall_off(np.zeros(0), Regions.of(empty))[0])
