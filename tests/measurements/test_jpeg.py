"""Pictures that went through JPEG, made from pictures that are known."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from measurements.jpeg import restored, went_through_jpeg, with_tint

SHAPE = (320, 400)
GREY = np.array([0.299, 0.587, 0.114])


def scene(gains=(170.0, 153.0, 122.0), seed=1, fall_off=0.4):
    """Tinted light that falls off, neutral grains, noise: no colour of its own. float."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    light = (1 - fall_off * (y**2 + x**2) / 2)[..., None] * np.array(gains)
    grains = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.5)
    grains[:, : SHAPE[1] // 2] = 0
    neutral = 10 ** (-0.04 * grains / grains.std())[..., None]
    return light, light * neutral * (1 + 0.008 * rng.standard_normal((*SHAPE, 3)))


def eight_bit(picture):
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def through_jpeg(picture, quality=75, subsampling=2):
    file = io.BytesIO()
    Image.fromarray(eight_bit(picture)).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_found_whatever_the_quality(quality, subsampling):
    assert went_through_jpeg(through_jpeg(scene()[1], quality, subsampling))


def test_other_pictures_are_none():
    picture = eight_bit(scene()[1])
    assert not went_through_jpeg(picture)
    assert not went_through_jpeg(through_jpeg(picture).astype(np.uint16))
    assert not went_through_jpeg(np.repeat(picture[..., :1], 3, axis=-1)), "a grey picture"
    assert not went_through_jpeg(np.full((*SHAPE, 3), 255, np.uint8))
    assert not went_through_jpeg(np.zeros((0, 0, 3), np.uint8))


def test_what_was_scaled_after_jpeg_is_left_alone():
    halved = Image.fromarray(through_jpeg(scene()[1])).resize((200, 160), Image.Resampling.BICUBIC)
    assert not went_through_jpeg(np.asarray(halved))


def test_a_part_of_a_decoded_picture_is_one_too():
    assert went_through_jpeg(through_jpeg(scene()[1])[37:, 51:])


def patches(seed):
    """Even patches of 40 px in 80 tints that lie closer together than JPEG's steps of colour."""
    rng = np.random.default_rng(seed)
    red = np.kron(180 * rng.uniform(0.75, 1, (8, 10)), np.ones((40, 40)))
    gains, offsets = rng.uniform([0.8, 0.5], [0.95, 0.9]), rng.uniform(0, 30, 2)
    tinted = [red, gains[0] * red + offsets[0], gains[1] * red + offsets[1]]
    return np.stack(tinted, axis=-1) + rng.normal(0, 1, (*SHAPE, 3))


def tints(picture):
    """Red and blue less luminance in the middle of each patch."""
    difference = picture[..., [0, 2]] - (picture.astype(np.float64) @ GREY)[..., None]
    return difference.reshape(8, 40, 10, 40, 2)[:, 8:32, :, 8:32].mean(axis=(1, 3))


@pytest.mark.parametrize(("quality", "at_most"), [(50, 0.9), (75, 0.8)])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_colour_comes_nearer_to_what_it_was(quality, at_most, subsampling):
    """The coarser the steps, the more of the error is what was rounded away for good."""
    before, after = [], []
    for seed in range(4):
        picture = patches(seed)
        decoded = through_jpeg(picture, quality, subsampling)
        before.append(tints(decoded) - tints(picture))
        after.append(tints(restored(decoded)) - tints(picture))
    assert np.std(after) < at_most * np.std(before)


def test_fine_quality_is_hardly_touched():
    decoded = through_jpeg(scene()[1], quality=95)
    assert np.abs(restored(decoded) - decoded).max() < 1


def test_luminance_stays():
    decoded = through_jpeg(scene()[1])
    assert np.abs(restored(decoded) @ GREY - decoded @ GREY).max() < 1


def test_clipped_pixels_stay():
    picture = scene()[1]
    picture[100:140, 100:140] = (255, 255, 255)
    decoded = through_jpeg(picture)
    white = (decoded == 255).all(axis=-1)
    assert white.sum() > 200
    assert np.array_equal(restored(decoded)[white], decoded[white])


def test_neutral_grains_in_tinted_light_are_neutral_again():
    light, picture = scene(fall_off=0.0)
    found = restored(through_jpeg(picture))
    tinted = with_tint(found, light.astype(np.float32))
    grains = np.s_[:, SHAPE[1] // 2 + 10 :]

    def colourful(pictured):
        return np.log10(pictured / light)[grains] @ np.array([1.0, 0.0, -1.0])

    assert np.std(colourful(found)) > 0.01
    assert np.std(colourful(tinted)) < 0.6 * np.std(colourful(found))


def test_neutral_light_needs_no_tint():
    light, picture = scene(gains=(160.0, 160.0, 160.0))
    found = restored(through_jpeg(picture))
    assert np.abs(with_tint(found, light.astype(np.float32)) - found).max() < 1e-3
