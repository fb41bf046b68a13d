"""Even and uneven light: near-black, bright and real backgrounds, each with a known fall-off."""

import numpy as np
import pytest
from skimage.io import imread

from measurements.light import LightLimits, light_fall_off, measure_light, tile_background
from measurements.regions import Regions
from tests.measurements.label_images import disc
from tests.studies import DEMO

SHAPE = (300, 400)
LIMITS = LightLimits()


def labels():
    image = np.zeros(SHAPE, dtype=np.uint32)
    for number, (y, x) in enumerate(np.ndindex(10, 14)):
        image[disc(SHAPE, 15 + 30 * y, 14 + 28 * x, 7)] = 3 * number + 1
    return image


def fall_off(shape, amount):
    """Light that falls off in circles by this share from the centre to the corners."""
    y, x = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij")
    return 1 - amount * (y**2 + x**2) / (y**2 + x**2).max()


def field(background, cell, noise, seed=0, spread=0.2):
    """Cells whose brightness varies as that of real nuclei does."""
    rng = np.random.default_rng(seed)
    found = labels()
    bright = cell * np.exp(rng.normal(0, spread, found.max() + 1))
    bright[0] = 0
    return background + bright[found], noise * rng.standard_normal(SHAPE)


def judged(image, found=None):
    found = labels() if found is None else found
    table, sums = measure_light(image, "c", Regions.of(found), found > 0, LIMITS)
    values = {column.name.removeprefix("c_"): values[0] for column, values in table.items()}
    return {**values, "uneven_light": sums.uneven}


def bytes_of(image):
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("background", "noise"), [(2, 0.7), (0.4, 0.3), (100, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_fluorescence(background, noise, seed):
    """A near-black background that goes from 1 to 3 is no uneven light; a fall-off of 40 % is."""
    even, grain = field(background, 60, noise, seed)
    tilt = np.linspace(-1, 1, SHAPE[1])[None, :] * min(background / 2, 1)
    assert not judged(bytes_of(even + tilt + grain))["uneven_light"]
    assert judged(bytes_of(even * fall_off(SHAPE, 0.4) + grain))["uneven_light"]


def test_fall_off_is_measured():
    image, grain = field(5, 2000, 2, spread=0.02)
    found = judged(image * fall_off(SHAPE, 0.4) + grain)
    assert found["image_light_fall_off"] == pytest.approx(0.4 * (11 / 12) ** 2, abs=0.03)


def test_background_that_rises_by_more_than_cells_add():
    image, grain = field(200, 60, 3)
    glow = 50 * np.linspace(-1, 1, SHAPE[1])[None, :]
    found = judged(image + glow + grain)
    assert found["uneven_background"]
    assert found["uneven_light"]
    assert found["image_unevenness"] == pytest.approx(90 / 60, rel=0.1)


def test_brightfield_shows_it_on_its_background():
    image, grain = field(220, -60, 3)
    assert not judged(bytes_of(image + grain))["uneven_light"]
    assert judged(bytes_of(image * fall_off(SHAPE, 0.4) + grain))["uneven_light"]


def test_brighter_cells_on_one_side_are_no_uneven_background():
    image, grain = field(5, 60, 1)
    image[:, 200:] += 2000 * (labels()[:, 200:] > 0)
    found = judged(image + grain)
    assert found["image_unevenness"] < 0.1


def test_few_cells_tell_nothing_of_the_fall_off():
    found = labels()
    found[found > 60] = 0
    image, grain = field(2, 60, 1)
    of_few = judged(np.where(found > 0, image, 2) * fall_off(SHAPE, 0.6) + grain, found)
    assert np.isnan(of_few["image_light_fall_off"])
    assert not of_few["uneven_light"]


def test_cells_that_differ_by_chance_are_seldom_called_uneven():
    """The F test at 0.01: some cells twice as bright as others, no light that falls off."""
    called, cells = 0, Regions.of(labels())
    for seed in range(200):
        logs = np.random.default_rng(seed).normal(0, 0.6, 140)
        amount, p = light_fall_off(np.exp(logs), cells)
        called += amount > LIMITS.fall_off and p < LIMITS.p
    assert called <= 2


def test_cells_that_are_alike_where_they_lie_together_are_seldom_called_uneven():
    """Patches of 2 x 2 cells differ by a factor of 1.5; as if alone, 22 % are called uneven."""
    called, cells = 0, Regions.of(labels())
    for seed in range(200):
        rng = np.random.default_rng(seed)
        patches = np.kron(rng.normal(0, 0.4, (5, 7)), np.ones((2, 2)))
        logs = patches.ravel() + rng.normal(0, 0.2, 140)
        amount, p = light_fall_off(np.exp(logs), cells)
        called += amount > LIMITS.fall_off and p < LIMITS.p
    assert called <= 20


def test_where_no_cells_lie_their_light_is_not_told():
    """A tilt of 20 % over the half of the field that holds cells goes on to the other half."""
    found = np.where(np.arange(SHAPE[1]) < 200, labels(), 0)
    image = (100 * np.linspace(1, 0.6, SHAPE[1]))[None, :] * (found > 0)
    table = judged(image + np.random.default_rng(0).normal(5, 0.5, SHAPE), found)
    assert table["image_light_fall_off"] == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("amount", [0.2, 0.6])
def test_the_background_of_bright_field_falls_off_by_no_more_than_it_does(amount):
    image, grain = field(220, -60, 3)
    found = judged(bytes_of(image * fall_off(SHAPE, amount) + grain))
    assert found["image_light_fall_off"] == pytest.approx(amount * (11 / 12) ** 2, abs=0.03)


def test_no_light_falls_off_by_more_than_all_of_it():
    """Background that is bright in one place and 0 elsewhere, and hardly a cell over it."""
    y, x = np.meshgrid(np.linspace(-1, 1, SHAPE[0]), np.linspace(-1, 1, SHAPE[1]), indexing="ij")
    glow = 200 * np.exp(-8 * ((y - 0.8) ** 2 + (x - 0.8) ** 2)) + 5 * (labels() > 0)
    assert 0 < judged(bytes_of(glow))["image_light_fall_off"] <= 1


def test_no_background_and_no_cell_give_no_verdict():
    image, grain = field(5, 60, 1)
    full = np.ones(SHAPE, dtype=bool)
    assert np.isnan(tile_background(image + grain, full).rise)
    empty = judged(image + grain, np.zeros(SHAPE, np.uint8))
    assert not empty["uneven_light"]
    table, sums = measure_light(image, "c", Regions.of(labels()), full, LIMITS)
    assert not next(v for c, v in table.items() if c.unit == "flag")[0]
    assert not sums.uneven


def test_nan_and_constant_images_are_judged_without_a_warning():
    assert not judged(np.zeros(SHAPE, np.uint8))["uneven_light"]
    assert not judged(np.full(SHAPE, np.nan))["uneven_light"]


@pytest.mark.parametrize("name", ["07fb37aafa66", "0287e7ee5b00", "a6e81120d1cb"])
def test_real_near_black_fields_are_even_until_light_falls_off(name):
    image = imread(DEMO / "nuclei" / f"{name}.png")
    image = image[..., 0] if image.ndim == 3 else image
    found = imread(DEMO / "nuclei" / f"{name}_mask.png")
    assert not judged(image, found)["uneven_light"]
    if found.max() > 300:  # the others hold 30 and 62 nuclei, too few to tell 40 %
        assert judged(bytes_of(image * fall_off(image.shape, 0.4)), found)["uneven_light"]
