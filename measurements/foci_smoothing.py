"""Means over the neighbourhood of every pixel that count only the pixels of a mask.

The mask-weighted mean (normalised convolution, Knutsson & Westin 1993, CVPR 515) of an even
nucleus is even up to its last pixel. All is done in single precision: grey values have 16 bits, and
the callers take a nucleus's level off first.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.regions import Floats

Image = NDArray[np.float32]
Scales = tuple[float, ...]
Pixels = TypeVar("Pixels", NDArray[np.float32], NDArray[np.int32], NDArray[np.uint8])

LEAST_WEIGHT = 1e-4
# What varies over the surroundings of a focus is worked out at every second row and column where
# foci are this many px wide (SD) or more; small nuclei at low magnification need every pixel.
THIN_FROM = 2.0


def gaussian(image: Image, sigmas: Scales) -> Image:
    """Gaussian blur with nothing beyond the image; SD of each axis in px."""
    blurred: Image = ndimage.gaussian_filter(image, sigmas, mode="constant", truncate=3.0)
    return blurred


def box(image: Image, halves: Scales) -> Image:
    """Mean over a box that reaches `halves` px to either side, with nothing beyond the image."""
    size = [2 * max(1, round(half)) + 1 for half in halves]
    blurred: Image = ndimage.uniform_filter(image, size, mode="constant")
    return blurred


def ratio(total: Image, weight: Image) -> Image:
    """Divide; 0 where there is next to no weight."""
    result = np.zeros_like(total)
    np.divide(total, weight, out=result, where=weight > LEAST_WEIGHT)
    return result


def scaled(scales: Scales, factor: float) -> Scales:
    """Multiply every scale."""
    return tuple(scale * factor for scale in scales)


def per_nucleus(values: Floats, index: NDArray[np.int32]) -> Image:
    """Image with each nucleus's value on its pixels, 0 elsewhere.

    Args:
        values: one value a nucleus.
        index: image of 1 + row of the nucleus, 0 outside.
    """
    table = np.concatenate([[0.0], values]).astype(np.float32)
    image: Image = table[index]
    return image


def sums(values: Image, index: NDArray[np.int32], n: int) -> Floats:
    """Sum of an image over each of n nuclei."""
    weights = values.ravel().astype(np.float64)
    return np.bincount(index.ravel(), weights, minlength=n + 1)[1:].astype(np.float64)


def step_for(sigmas: Scales) -> int:
    """Distance of the rows and columns at which surroundings are worked out, px."""
    return 2 if min(sigmas[-2:]) >= THIN_FROM else 1


def thinned(image: Pixels, step: int) -> Pixels:
    """Every `step`-th row and column of the image (of each plane)."""
    thin: Pixels = image[..., ::step, ::step]
    return thin


def thinned_scales(scales: Scales, step: int) -> Scales:
    """Scales in pixels of the thinned image; planes stay as they are."""
    return (*scales[:-2], scales[-2] / step, scales[-1] / step)


def filled(thin: Image, shape: tuple[int, ...], step: int) -> Image:
    """Image of the full shape, each value of a thinned one standing for its neighbours."""
    rows = np.repeat(np.repeat(thin, step, axis=-2), step, axis=-1)
    return rows[..., : shape[-2], : shape[-1]]
