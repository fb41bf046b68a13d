"""Foci as peaks of the band-pass response: where they are and which pixels belong to each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from measurements.foci_response import (
    FociSettings,
    Response,
    band_pass,
    disc,
    threshold_image,
    weighted_blur,
)
from measurements.regions import Floats, Regions, divide

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Foci found.

    Attributes:
        pixel: flat index of the pixel with the highest response.
        y: row, sub-pixel.
        x: column, sub-pixel.
        row: row of the nucleus in the table of nuclei.
        contrast: grey value at the peak less the nucleus's level around it.
        snr: contrast over the SD of the nucleus around it; NaN where foci leave nothing of it.
        labels: int32 image (y, x): 1 + index of the focus on the pixels that belong to it.
        above: image (y, x): grey value less the nucleus's level around, foci left out.
    """

    pixel: Ints
    y: Floats
    x: Floats
    row: Ints
    contrast: Floats
    snr: Floats
    labels: NDArray[np.int32]
    above: Floats


def find_foci(image: NDArray[Any], nuclei: Regions, settings: FociSettings) -> Peaks:
    """Find foci in every nucleus of an image.

    Args:
        image: one channel (y, x), any real dtype; a projection where there was a stack.
        nuclei: regions of the nuclei.
        settings: scale and threshold.
    """
    return peaks_of(band_pass(image, nuclei, settings), settings)


def peaks_of(response: Response, settings: FociSettings) -> Peaks:
    """Local maxima of the response above each nucleus's threshold, with their extent."""
    candidate = response.values > threshold_image(response, settings)
    reach = max(1, round(settings.sigma))
    highest = ndimage.maximum_filter(response.values, footprint=disc(np.sqrt(reach**2 + 1)))
    at = _first_pixels(candidate & (response.values == highest))
    dy, dx, ratio = _quadratic(response.values, at)
    genuine = (ratio <= settings.ridge_ratio) & ~_spilled(response, at, settings)
    at, dy, dx = at[genuine], dy[genuine], dx[genuine]
    labels = _extents(response, candidate, at)
    above, sd = _surroundings(response, labels, settings)
    contrast = above[at[:, 0], at[:, 1]]
    snr = divide(contrast, sd[at[:, 0], at[:, 1]])
    kept = ~(snr < settings.minimum_snr)
    numbers = np.concatenate([[0], np.cumsum(kept) * kept]).astype(np.int32)
    at, dy, dx, contrast, snr = at[kept], dy[kept], dx[kept], contrast[kept], snr[kept]
    return Peaks(
        pixel=at[:, 0] * response.index.shape[1] + at[:, 1],
        y=at[:, 0] + dy,
        x=at[:, 1] + dx,
        row=response.index[at[:, 0], at[:, 1]].astype(np.int64) - 1,
        contrast=contrast,
        snr=snr,
        labels=numbers[labels],
        above=above,
    )


def _first_pixels(maxima: NDArray[np.bool_]) -> Ints:
    """Row and column of the first pixel of every plateau of maxima, n x 2."""
    plateaus, _ = ndimage.label(maxima, np.ones((3, 3)))
    found = plateaus.ravel()
    pixels = np.flatnonzero(found)
    _, first = np.unique(found[pixels], return_index=True)
    return np.stack(np.divmod(pixels[first], maxima.shape[1]), axis=1)


def _quadratic(values: Floats, at: Ints) -> tuple[Floats, Floats, Floats]:
    """Fit a quadratic through the 3x3 pixels around each point.

    Returns:
        Offset of its maximum in y and x, within ±0.5 px, and the ratio of its principal
        curvatures, infinite where it is no maximum.
    """
    padded = np.pad(values, 1, mode="edge")
    y, x = at[:, 0] + 1, at[:, 1] + 1
    middle = padded[y, x]
    up, down, left, right = padded[y - 1, x], padded[y + 1, x], padded[y, x - 1], padded[y, x + 1]
    yy, xx = up + down - 2 * middle, left + right - 2 * middle
    xy = (
        padded[y + 1, x + 1] + padded[y - 1, x - 1] - padded[y + 1, x - 1] - padded[y - 1, x + 1]
    ) / 4
    slope_y, slope_x = (down - up) / 2, (right - left) / 2
    determinant = yy * xx - xy * xy
    dy = divide(xy * slope_x - xx * slope_y, determinant)
    dx = divide(xy * slope_y - yy * slope_x, determinant)
    spread = np.hypot((yy - xx) / 2, xy)
    weak, strong = -(yy + xx) / 2 - spread, -(yy + xx) / 2 + spread
    ratio = np.nan_to_num(divide(strong, weak), nan=np.inf)
    return np.clip(np.nan_to_num(dy), -0.5, 0.5), np.clip(np.nan_to_num(dx), -0.5, 0.5), ratio


def _spilled(response: Response, at: Ints, settings: FociSettings) -> NDArray[np.bool_]:
    """Whether a peak is light of a touching nucleus.

    Near another nucleus a focus must be a summit of the image itself, to a pixel: what spills over
    a border rises towards where it comes from.
    """
    y, x = at[:, 0], at[:, 1]
    size = 4 * int(np.ceil(settings.coarse)) + 1
    index = response.index
    others = np.where(index == 0, np.iinfo(index.dtype).max, index)
    near = ndimage.maximum_filter(index, size)[y, x] != index[y, x]
    near |= ndimage.minimum_filter(others, size)[y, x] != index[y, x]
    summits = response.smooth == ndimage.maximum_filter(response.smooth, 3)
    spilled: NDArray[np.bool_] = near & ~ndimage.maximum_filter(summits, 3)[y, x]
    return spilled


def _extents(response: Response, above: NDArray[np.bool_], at: Ints) -> NDArray[np.int32]:
    """Pixels of each focus: its basin of the response, down to half of its peak."""
    markers = np.zeros(above.shape, dtype=np.int32)
    markers[at[:, 0], at[:, 1]] = np.arange(1, len(at) + 1)
    basins: NDArray[np.int32] = watershed(  # type: ignore[no-untyped-call]
        -response.values, markers, mask=above
    )
    peak = np.concatenate([[np.inf], response.values[at[:, 0], at[:, 1]]])
    nucleus = np.concatenate([[0], response.index[at[:, 0], at[:, 1]]])
    belongs = (response.values >= peak[basins] / 2) & (nucleus[basins] == response.index)
    return np.where(belongs, basins, 0).astype(np.int32)


def _surroundings(
    response: Response, labels: NDArray[np.int32], settings: FociSettings
) -> tuple[Floats, Floats]:
    """Compare each pixel with its nucleus around it, foci left out.

    Returns:
        Images (y, x) of the grey value less the level around, and of the SD around.
    """
    # A focus's pixels end at half of its height; its flanks are no surroundings either.
    taken = ndimage.distance_transform_edt(labels == 0) <= settings.coarse
    free = ((response.index > 0) & ~taken).astype(np.float64)
    level = weighted_blur(response.levelled * free, free, 2 * settings.coarse)
    deviation = (response.levelled - level) * free
    sd = np.sqrt(weighted_blur(deviation**2, free, 2 * settings.coarse))
    return response.levelled - level, sd
