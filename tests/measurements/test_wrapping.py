import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from measurements.quality import QualityLimits, measure_image_quality
from measurements.wrapping import wrapped_jumps
from tests.measurements.label_images import disc

REAL = Path(__file__).parent.parent / "data" / "nuclei"
SHAPE = (128, 128)
LIMIT = QualityLimits().wrapped_jumps


def nucleus(bright=330.0, noise=2.0):
    """A blurred nucleus, brightest in its middle, in light that may be over the range of 8 bits."""
    image = ndimage.gaussian_filter(bright * disc(SHAPE, 64, 64, 22), 6) + 20
    return image + np.random.default_rng(1).normal(0, noise, SHAPE)


def real(name):
    image = tifffile.imread(REAL / f"{name}.tif").astype(float)
    return image / image.max()


@pytest.mark.parametrize(
    "saved",
    [
        lambda values: (values % 256).astype(np.uint8),
        lambda values: (values % 256).astype(np.uint16),
        lambda values: (values % 256).astype(np.float32),
        lambda values: (values % 256 / 255).astype(np.float64),
        lambda values: (257 * values % 65536).astype(np.uint16),
        lambda values: (values % 256).astype(np.uint8)[::-1].T,
    ],
)
def test_a_bright_nucleus_that_wrapped_is_found(saved):
    assert wrapped_jumps(saved(np.floor(nucleus()).astype(np.int64))) >= LIMIT


@pytest.mark.parametrize("name", ["dsb_sparse", "stardist"])
def test_real_nuclei_are_found_once_they_are_wrapped_only(name):
    image = real(name)
    assert wrapped_jumps((image * 255).astype(np.uint8)) == 0
    found = [
        wrapped_jumps((np.floor(image * gain * 256).astype(np.int64) % 256).astype(np.uint8))
        for gain in np.arange(1.1, 2.6, 0.1)
    ]
    assert np.mean(np.array(found) >= LIMIT) > 0.6


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def spoilers():
    rng = np.random.default_rng(0)
    clipped = np.clip(real("stardist") * 400, 0, 255).astype(np.uint8)
    binary = ((clipped > 100) * 255).astype(np.uint8)
    salt, pepper, hot = clipped.copy(), clipped.copy(), clipped.copy()
    salt[rng.random(salt.shape) < 0.05] = 255
    pepper[rng.random(salt.shape) < 0.1] = 255
    pepper[rng.random(salt.shape) < 0.1] = 0
    few = rng.random(hot.shape) < 0.01
    hot[few] = rng.integers(150, 255, few.sum())
    sheer = binary * 0.9 + rng.normal(10, 6, binary.shape)
    sharpened = clipped + 3 * (clipped - ndimage.gaussian_filter(clipped.astype(float), 2))
    return {
        "saturated": clipped,
        "saturated_jpeg": jpeg(clipped, 60),
        "salt": salt,
        "salt_and_pepper": pepper,
        "hot_pixels": hot,
        "binary": binary,
        "binary_float": binary / 255,
        "bool": binary > 0,
        "binary_jpeg": jpeg(binary, 80),
        "sheer_edges": np.clip(sheer, 0, 255).astype(np.uint8),
        "sheer_edges_float": sheer / sheer.max(),
        "sharpened": np.clip(sharpened, 0, 255).astype(np.uint8),
        "negative": sharpened,
        "noise": rng.integers(0, 256, SHAPE).astype(np.uint8),
        "missing": np.full(SHAPE, np.nan),
        "tiny": np.array([[255, 0]], dtype=np.uint8),
        "empty": np.zeros((0, 4), dtype=np.uint8),
    }


@pytest.mark.parametrize("name", spoilers())
def test_what_is_bright_sheer_or_noisy_is_not_wrapped(name):
    assert wrapped_jumps(spoilers()[name]) == 0


def test_the_flag():
    wrapped = (np.floor(nucleus()).astype(np.int64) % 256).astype(np.uint8)
    for image, flag in ((wrapped, True), (np.clip(nucleus(), 0, 255).astype(np.uint8), False)):
        found = measure_image_quality(image, "dna", disc(SHAPE, 64, 64, 30), QualityLimits())
        assert {c.name: v[0] for c, v in found.items()}["dna_wrapped"] == flag
