"""Uneven light, told from cells of known brightness and taken off."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.illumination import as_gain, estimate_profile, even_light

SIDE = 384
OFFSET = 100.0
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
LIGHT = 1.0 - 0.4 * ((ROWS - 0.4) ** 2 + (COLUMNS - 0.55) ** 2) / 0.665
"""Falls off by 40 % from near the middle to the farthest corner."""


def field(seed: int, cells: int = 60, spread: float = 0.2, crowded: bool = False) -> NDArray[Any]:
    """Discs of known brightness under `LIGHT`, with scattered background, offset and noise."""
    rng = np.random.default_rng(seed)
    amount = np.full((SIDE, SIDE), 30.0)
    for _ in range(cells):
        y, x = rng.uniform(0, SIDE, size=2)
        if crowded:  # cells lie on the dim side: an image's mean is then brightest there
            x = SIDE * (x / SIDE) ** 3
        inside = (ROWS * SIDE - y) ** 2 + (COLUMNS * SIDE - x) ** 2 < 8**2
        amount[inside] = 600.0 * np.exp(spread * rng.normal())
    return rng.poisson(OFFSET + amount * LIGHT).astype(np.uint16)


def error(gain: NDArray[np.floating]) -> float:
    """Root mean square error of the light's logarithm."""
    return float(np.std(np.log(gain * LIGHT.mean() / LIGHT)))


@pytest.mark.parametrize("crowded", [False, True])
def test_the_light_is_told_from_cells_however_they_lie(crowded: bool):
    profile = estimate_profile([field(seed, crowded=crowded) for seed in range(20)])
    assert profile.n_images == 20
    assert profile.n_cells > 500
    assert error(profile.gain((SIDE, SIDE))) < 1.5 * profile.uncertainty < 0.03
    assert profile.fall_off == pytest.approx(0.4, abs=0.06)


def test_even_light_is_left_even():
    images = [(field(seed, spread=0.05) - OFFSET) / LIGHT + OFFSET for seed in range(20)]
    profile = estimate_profile(images)
    assert np.std(np.log(profile.gain((SIDE, SIDE)))) < 1.5 * profile.uncertainty < 0.01


def test_cells_differ_less_without_the_light():
    image = field(1, cells=200, spread=0.0)
    profile = estimate_profile([field(seed, spread=0.05) for seed in range(2, 12)])
    even = even_light(image, profile.gain(image.shape))
    bright = image > OFFSET + 250

    def variation(pixels: NDArray[Any]) -> float:
        return float(np.std(pixels[bright] - OFFSET) / np.mean(pixels[bright] - OFFSET))

    noise = 1 / np.sqrt(600 * LIGHT.mean())  # of photons
    assert variation(image) > 2 * noise
    assert variation(even) < 1.2 * noise


def test_what_the_camera_clipped_is_still_told():
    image = field(1)
    clipped = np.minimum(image, 500).astype(np.uint8 if image.max() < 256 else np.uint16)
    gain = LIGHT / LIGHT.mean()
    even = even_light(clipped, gain)
    assert (even[clipped == 500] == even.max()).all()
    assert even[clipped < 500].max() <= even.max()
    assert even.dtype == np.float32
    assert clipped.max() == 500  # the caller's array is as it was


def test_a_picture_of_the_light_becomes_a_gain():
    noisy = np.random.default_rng(0).poisson(2000 * LIGHT)
    gain = as_gain(noisy)
    assert gain.mean() == pytest.approx(1, abs=1e-5)
    assert error(gain) < 0.01


def test_no_estimate_where_it_would_do_harm():
    with pytest.raises(MeasurementError, match="at least 5 images of one shape"):
        estimate_profile([field(0)] * 4)
    rng = np.random.default_rng(0)
    empty = [rng.normal(100, 5, (SIDE, SIDE)) for _ in range(6)]
    with pytest.raises(MeasurementError, match="0 cells"):
        estimate_profile(empty)
    with pytest.raises(MeasurementError, match="since cells differ"):
        estimate_profile([field(seed, cells=25, spread=1.0) for seed in range(5)])


@pytest.mark.parametrize("gain", [np.ones((3, 3)), np.zeros((4, 4)), np.full((4, 4), np.nan)])
def test_a_gain_that_is_none_is_refused(gain: NDArray[np.floating]):
    with pytest.raises(MeasurementError, match="above 0"):
        even_light(np.ones((4, 4), np.uint8), gain)
