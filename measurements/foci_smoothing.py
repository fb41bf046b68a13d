"""Means and maxima over the neighbourhood of every pixel, and means of a mask's pixels alone.

The mask-weighted mean (normalised convolution, Knutsson & Westin 1993, CVPR 515) of an even
nucleus is even up to its last pixel. All is done in single precision: grey values have 16 bits, and
the callers take a nucleus's level off first. Planes go through OpenCV, which is ten times as fast
as scipy here and does the same; a stack's third axis is done apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.regions import Floats

Image = NDArray[np.float32]
Scales = tuple[float, ...]
Pixels = TypeVar("Pixels", NDArray[np.float32], NDArray[np.int32], NDArray[np.uint8])
Flat = TypeVar("Flat", NDArray[np.float32], NDArray[np.uint8])

LEAST_WEIGHT = 1e-4
# What varies over the surroundings of a focus is worked out at every second row and column where
# foci are this many px wide (SD) or more; small nuclei at low magnification need every pixel.
THIN_FROM = 2.0


def gaussian(image: Image, sigmas: Scales) -> Image:
    """Gaussian blur with nothing beyond the image; SD of each axis in px."""
    *along, rows, columns = (_bell(sigma) for sigma in sigmas)

    def blur(plane: Image) -> Image:
        return np.asarray(
            cv2.sepFilter2D(plane, cv2.CV_32F, columns, rows, borderType=cv2.BORDER_CONSTANT)
        )

    blurred = _each_plane(image, blur)
    for kernel in along:
        blurred = ndimage.correlate1d(blurred, kernel, axis=0, mode="constant")
    return blurred


def box(image: Image, halves: Scales) -> Image:
    """Mean over a box that reaches `halves` px to either side, with nothing beyond the image."""
    *along, rows, columns = (2 * max(1, round(half)) + 1 for half in halves)

    def blur(plane: Image) -> Image:
        size = (columns, rows)
        return np.asarray(cv2.boxFilter(plane, cv2.CV_32F, size, borderType=cv2.BORDER_CONSTANT))

    blurred = _each_plane(image, blur)
    for length in along:
        blurred = ndimage.uniform_filter1d(blurred, length, axis=0, mode="constant")
    return blurred


def highest(image: Flat, reach: tuple[int, ...]) -> Flat:
    """Largest value within `reach` px to either side along each axis, as far as the image goes."""
    rows, columns = (2 * r + 1 for r in reach[-2:])
    kernel = np.ones((rows, columns), dtype=np.uint8)
    largest = _each_plane(image, lambda plane: np.asarray(cv2.dilate(plane, kernel)))
    for r in reach[:-2]:
        largest = ndimage.maximum_filter1d(largest, 2 * r + 1, axis=0, mode="nearest")
    return largest


def _each_plane(image: Flat, work: Callable[[Flat], Flat]) -> Flat:
    """Do something to the image, or to every plane of a stack."""
    if image.size == 0:
        return image.copy()
    if image.ndim == 2:
        return work(image)
    return np.stack([work(plane) for plane in image])


def _bell(sigma: float) -> NDArray[np.float32]:
    reach = int(3 * sigma + 0.5)
    bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    return np.asarray(bell / bell.sum(), dtype=np.float32)


def ratio(total: Image, weight: Image) -> Image:
    """Divide; 0 where there is next to no weight."""
    result = np.zeros_like(total)
    np.divide(total, weight, out=result, where=weight > LEAST_WEIGHT)
    return result


def in_units(image: Image, units: Image) -> Image:
    """Divide by what is measured in the image's own units, however small; 0 where it is 0."""
    result = np.zeros_like(image)
    np.divide(image, units, out=result, where=units > 0)
    return result


def scaled(scales: Scales, factor: float) -> Scales:
    """Multiply every scale."""
    return tuple(scale * factor for scale in scales)


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Which pixels belong to which nucleus, for sums over nuclei.

    Attributes:
        pixels: flat indices of the pixels in nuclei.
        rows: row of the nucleus that each is in.
        n: number of nuclei.
    """

    pixels: NDArray[np.int64]
    rows: NDArray[np.int64]
    n: int

    @classmethod
    def of(cls, index: NDArray[np.int32], n: int) -> "Members":
        """From an image of 1 + row of the nucleus, 0 outside."""
        pixels = np.flatnonzero(index)
        return cls(pixels, index.ravel()[pixels].astype(np.int64) - 1, n)

    def areas(self) -> NDArray[np.int64]:
        """Number of pixels of each nucleus."""
        return np.bincount(self.rows, minlength=self.n)

    def sums(self, image: Image) -> Floats:
        """Sum of an image over each nucleus."""
        weights = image.ravel()[self.pixels].astype(np.float64)
        return np.bincount(self.rows, weights, minlength=self.n).astype(np.float64)

    def spread(self, values: Floats, shape: tuple[int, ...]) -> Image:
        """Image with each nucleus's value on its pixels, 0 elsewhere."""
        image = np.zeros(shape, dtype=np.float32)
        image.ravel()[self.pixels] = values.astype(np.float32)[self.rows]
        return image


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
