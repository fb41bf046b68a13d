"""The light of spots: which pixels are theirs, and what stands there over the level around."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.foci_scale import Ground
from measurements.foci_smoothing import LEAST_WEIGHT, Image, box, gaussian, highest, ratio
from measurements.foci_threshold import Counts
from measurements.histogram import Histogram
from measurements.spots.settings import SpotSettings

# How far around a spot its level is looked for, times sigma: beyond the largest clusters.
SURROUNDINGS = 12.0
# What is brighter than the level by so many SDs, smoothed as spots are, is a part of a spot next to
# it: the outskirts of a cluster have no summits of their own.
BRIGHT = 3.0
# How far, times sigma, from a spot's pixels.
OUTSKIRTS = 4.0
# Left out around a spot's pixels where the level is taken, times sigma.
RIM = 1.0
PASSES = 2
# Smoothed grey values are counted in these parts of the noise, and as far as so many of them.
FINE, LAST = 256, 2**15 - 1
TINY = float(np.finfo(np.float32).tiny)


def light_of(
    levelled: Image, spots: NDArray[np.int32], settings: SpotSettings, ground: Ground
) -> tuple[NDArray[np.int32], Image]:
    """Find the pixels of spots, and what of their light stands over the level around.

    The level is the mean of the surroundings without spots; what belongs to spots follows from the
    level, so both are found twice.

    Args:
        levelled: (y, x) grey values, less any constant.
        spots: (y, x) 1 + number of the spot on its core.
        settings: scale and aperture.
        ground: of the whole picture.

    Returns:
        1 + number of the spot on all of its pixels, and the image less its level.
    """
    owner, above = _cores(levelled, spots, settings, ground)
    for _ in range(PASSES):
        owner = _owners(spots, _bright(above, spots, settings, ground), settings)
        above = levelled - _level(levelled, owner > 0, settings, ground)
    return owner, above


def smooth_counts(
    levelled: Image,
    spots: NDArray[np.int32],
    settings: SpotSettings,
    ground: Ground,
    noise: float,
    own: tuple[slice, slice],
) -> Counts:
    """How often each grey value occurs outside spots, less the level and smoothed as spots are.

    Args:
        levelled: see `light_of`.
        spots: the same.
        settings: the same.
        ground: the same, but for what this is for.
        noise: of the picture's response, grey values: the unit of the counts, `FINE` times.
        own: pixels that count.

    Returns:
        (2 * LAST + 1), from the lowest; counts of parts of a picture add up.
    """
    owner, above = _cores(levelled, spots, settings, ground)
    smooth = gaussian(above, (settings.sigma,) * 2)[own][owner[own] == 0]
    steps = np.rint(smooth / np.float32(max(noise / FINE, TINY)))
    places = np.clip(steps, -LAST, LAST).astype(np.int64) + LAST
    return np.bincount(places, minlength=2 * LAST + 1).astype(np.int64)


def smooth_sd(counts: Counts, noise: float) -> float:
    """SD of the smoothed grey values, whatever spots are left in them; 0 of nothing."""
    values = np.arange(-LAST, LAST + 1, dtype=np.float64)
    some = Histogram(values, counts).where(counts > 0)
    return float(np.nan_to_num(some.robust_sd())) * noise / FINE


def _cores(
    levelled: Image, spots: NDArray[np.int32], settings: SpotSettings, ground: Ground
) -> tuple[NDArray[np.int32], Image]:
    """What is within the aperture of the spots' cores, and the image less the level beyond."""
    owner = _owners(spots, spots > 0, settings)
    return owner, levelled - _level(levelled, owner > 0, settings, ground)


def _level(
    levelled: Image, taken: NDArray[np.bool_], settings: SpotSettings, ground: Ground
) -> Image:
    """Mean around each pixel without spots; of the picture where there is nothing but spots."""
    window = (SURROUNDINGS * settings.sigma,) * 2
    rim = round(RIM * settings.sigma)
    taken = highest(taken.view(np.uint8), (rim, rim)) > 0
    free = (~taken).astype(np.float32)
    weight = box(free, window)
    usual = np.float32(ground.median - ground.mean)
    return np.where(weight > LEAST_WEIGHT, ratio(box(levelled * free, window), weight), usual)


def _bright(
    above: Image, spots: NDArray[np.int32], settings: SpotSettings, ground: Ground
) -> NDArray[np.bool_]:
    """Pixels brighter than noise makes them, near a spot and connected to it."""
    smooth = gaussian(above, (settings.sigma,) * 2)
    sd = np.float32(ground.smooth_sd or 0)
    reach = round(OUTSKIRTS * settings.sigma)
    near = highest((spots > 0).view(np.uint8), (reach, reach)) > 0
    parts, n = ndimage.label(((smooth > BRIGHT * sd) & near) | (spots > 0), np.ones((3, 3)))
    with_spot = np.zeros(n + 1, dtype=bool)
    with_spot[parts[spots > 0]] = True
    bright: NDArray[np.bool_] = with_spot[parts]
    return bright


def _owners(
    spots: NDArray[np.int32], bright: NDArray[np.bool_], settings: SpotSettings
) -> NDArray[np.int32]:
    """Bright pixels and all within the aperture of a spot's core, each of the nearest spot."""
    if not spots.any():
        return spots
    away, (y, x) = ndimage.distance_transform_edt(spots == 0, return_indices=True)
    within = bright | (away <= settings.aperture * settings.sigma)
    owner: NDArray[np.int32] = np.where(within, spots[y, x], 0)
    return owner
