"""The light of every dot in every round and channel, bleed-through taken off."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.decoding.registration import Alignment
from measurements.errors import MeasurementError
from measurements.foci_smoothing import Image, gaussian
from measurements.regions import Floats
from measurements.spots.settings import SpotSettings

# SDs of the Gaussians whose difference shows dots, times that of a dot.
FINE, COARSE = 0.7, 2.0
# Dots whose brightest channel has at least this share of their light show what a dye bleeds.
PURE = 0.5
# Fewer such dots do not show it.
LEAST_DOTS = 20
BRIGHTER_HALF = 0.5


def read_light(
    rounds: Sequence[NDArray[Any]],
    alignments: Sequence[Alignment],
    places: Floats,
    settings: SpotSettings,
) -> Floats:
    """Read the light of every dot where it lies in each round, between pixels.

    Returns:
        (dot, round, channel), background taken off; NaN where a round does not show the place.

    Raises:
        MeasurementError: rounds differ in channels or shape.
    """
    shapes = {picture.shape for picture in rounds}
    if len(shapes) != 1 or rounds[0].ndim != 3:
        raise MeasurementError(
            f"Rounds must be (channel, y, x) of one shape, got {sorted(shapes)}."
        )
    light = np.empty((len(places), len(rounds), rounds[0].shape[0]))
    for r, (picture, alignment) in enumerate(zip(rounds, alignments, strict=True)):
        at = alignment.seen(places).T
        for c, channel in enumerate(picture):
            light[:, r, c] = ndimage.map_coordinates(
                _difference(channel, settings), at, order=1, mode="constant", cval=np.nan
            )
    return light


def without_bleed(light: Floats) -> Floats:
    """Bring channels to one brightness and take off what dyes bleed into each other.

    Each round and each dye by itself: the dots in which a channel is brightest, and clearly so,
    show how much of that dye the other channels get (Li & Speed 1999, Electrophoresis 20:1433, with
    a median for their regression). The light is then multiplied by the inverse of that matrix.

    Args:
        light: (dot, round, channel) from `read_light`.

    Returns:
        The same shape, in units of a usual dot of each dye; 0 where negative.
    """
    clean = np.empty_like(light)
    for r in range(light.shape[1]):
        seen = np.nan_to_num(light[:, r])
        clean[:, r] = seen @ np.linalg.inv(_bleed(seen)).T
    return np.maximum(clean, 0)


def _bleed(light: Floats) -> Floats:
    """(channel, dye) light of a usual dot of each dye, from the dots of one round."""
    n = light.shape[1]
    positive = np.maximum(light, 0)
    total = positive.sum(axis=1)
    brightest = positive.argmax(axis=1)
    pure = positive.max(axis=1) > PURE * np.maximum(total, np.finfo(float).tiny)
    usual = float(np.median(total[total > 0])) if (total > 0).any() else 1.0
    matrix = np.eye(n) * usual
    for dye in range(n):
        own = light[pure & (brightest == dye)]
        if len(own) >= LEAST_DOTS:
            # The brighter half: in faint dots the brightest channel is often noise.
            bright = own[own[:, dye] >= np.quantile(own[:, dye], BRIGHTER_HALF)]
            shape = np.maximum(np.median(bright / bright[:, dye : dye + 1], axis=0), 0)
            matrix[:, dye] = shape * np.median(own[:, dye])
    return matrix


def _difference(channel: NDArray[Any], settings: SpotSettings) -> Image:
    pixels = np.nan_to_num(channel.astype(np.float32))
    level = np.float32(np.median(pixels)) if pixels.size else np.float32(0)
    fine, coarse = ((factor * settings.sigma,) * 2 for factor in (FINE, COARSE))
    return gaussian(pixels - level, fine) - gaussian(pixels - level, coarse)
