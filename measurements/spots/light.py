"""The light of spots: which pixels are theirs, and what stands there over the level around."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.foci_smoothing import LEAST_WEIGHT, Image, box, gaussian, highest, ratio
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


def light_of(
    levelled: Image, spots: NDArray[np.int32], settings: SpotSettings
) -> tuple[NDArray[np.int32], Image]:
    """Find the pixels of spots, and what of their light stands over the level around.

    The level is the mean of the surroundings without spots; what belongs to spots follows from the
    level, so both are found twice.

    Args:
        levelled: (y, x) grey values, less any constant.
        spots: (y, x) 1 + number of the spot on its core.
        settings: scale and aperture.

    Returns:
        1 + number of the spot on all of its pixels, and the image less its level.
    """
    owner = _owners(spots, spots > 0, settings)
    above = levelled - _level(levelled, owner > 0, settings)
    for _ in range(PASSES):
        owner = _owners(spots, _bright(above, owner > 0, spots, settings), settings)
        above = levelled - _level(levelled, owner > 0, settings)
    return owner, above


def _level(levelled: Image, taken: NDArray[np.bool_], settings: SpotSettings) -> Image:
    """Mean around each pixel without spots; of the picture where there is nothing but spots."""
    window = (SURROUNDINGS * settings.sigma,) * 2
    rim = round(RIM * settings.sigma)
    taken = highest(taken.view(np.uint8), (rim, rim)) > 0
    free = (~taken).astype(np.float32)
    weight = box(free, window)
    usual = np.float32(np.median(levelled[~taken])) if free.any() else np.float32(0)
    return np.where(weight > LEAST_WEIGHT, ratio(box(levelled * free, window), weight), usual)


def _bright(
    above: Image, taken: NDArray[np.bool_], spots: NDArray[np.int32], settings: SpotSettings
) -> NDArray[np.bool_]:
    """Pixels brighter than noise makes them, near a spot and connected to it."""
    smooth = gaussian(above, (settings.sigma,) * 2)
    noise = smooth[~taken] if not taken.all() else smooth.ravel()
    sd = 1.4826 * np.median(np.abs(noise - np.median(noise))) if noise.size else 0.0
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
