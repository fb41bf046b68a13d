"""Foci as peaks of the band-pass response: where they are and which pixels belong to each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from measurements.foci_response import Response, band_pass
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import (
    Image,
    box,
    filled,
    gaussian,
    ratio,
    scaled,
    step_for,
    thinned,
    thinned_scales,
)
from measurements.foci_summits import Ints, first_pixels, fit_quadratics, is_summit
from measurements.foci_threshold import USUAL, parting_height
from measurements.regions import Floats, Regions, divide


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Foci found.

    Attributes:
        places: (n, axes) position of each, sub-pixel, in the order of the image's axes.
        row: row of the nucleus in the table of nuclei.
        contrast: grey value at the peak less the nucleus's level around it.
        snr: contrast over the SD of the nucleus around it; NaN where foci leave nothing of it.
        labels: int32 image: 1 + index of the focus on the pixels that belong to it.
        above: image: grey value less the nucleus's level around, foci left out.
        threshold: noise SDs that the response of each of them exceeds.
    """

    places: Floats
    row: Ints
    contrast: Floats
    snr: Floats
    labels: NDArray[np.int32]
    above: Image
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Summits:
    """Local maxima of the response in nuclei: what can be foci.

    Attributes:
        at: (n, axes) pixel of each.
        offset: (n, axes) its maximum's distance from that pixel's centre, within ±0.5.
        height: response there in noise SDs.
    """

    at: Ints
    offset: Floats
    height: Floats


def find_foci(image: NDArray[Any], nuclei: Regions, settings: FociSettings) -> Peaks:
    """Find foci in every nucleus of an image.

    Args:
        image: one channel, (y, x) or (z, y, x), any real dtype.
        nuclei: regions of the nuclei, in the image or in a plane of it.
        settings: scale and threshold.
    """
    return peaks_of(band_pass(image, nuclei, settings), settings)


def peaks_of(response: Response, settings: FociSettings) -> Peaks:
    """Summits of the response above the threshold, with their extent."""
    sigmas = settings.sigmas(response.index.ndim)
    summits = summits_of(response, settings)
    threshold = threshold_of(summits, settings)
    found = summits.height > threshold
    at = summits.at[found]
    where = tuple(at.T)
    labels = _extents(response, at, threshold)
    above, sd = _surroundings(response, labels, sigmas, settings)
    contrast = above[where].astype(np.float64)
    return Peaks(
        places=at + summits.offset[found],
        row=response.index[where].astype(np.int64) - 1,
        contrast=contrast,
        snr=divide(contrast, sd[where].astype(np.float64)),
        labels=labels,
        above=above,
        threshold=threshold,
    )


def summits_of(response: Response, settings: FociSettings) -> Summits:
    """All local maxima that are round and the nucleus's own, however low.

    Their heights, pooled over the images of a batch, are what `parting_height` takes.
    """
    sigmas = settings.sigmas(response.index.ndim)
    values = response.values
    candidates = (values > response.noise) & is_summit(values, sigmas)
    at = first_pixels(candidates)
    offset, curvatures = fit_quadratics(values, at)
    genuine = (curvatures <= settings.ridge_ratio) & ~_spilled(response, at, sigmas, settings)
    at, offset = at[genuine], offset[genuine]
    where = tuple(at.T)
    return Summits(at, offset, divide(values[where], response.noise[where]))


def threshold_of(summits: Summits, settings: FociSettings) -> float:
    """Threshold in noise SDs: the one given, or where the summits' heights part."""
    if settings.threshold is not None:
        return settings.threshold
    return USUAL if settings.noise is not None else parting_height(summits.height)


def _spilled(
    response: Response, at: Ints, sigmas: tuple[float, ...], settings: FociSettings
) -> NDArray[np.bool_]:
    """Whether a peak is light of a touching nucleus.

    Near another nucleus a focus must be a summit of the image itself, to a pixel: what spills over
    a border rises towards where it comes from.
    """
    index = response.index
    reach = [2 * int(np.ceil(2 * settings.coarse * sigma)) + 1 for sigma in sigmas]
    where = tuple(at.T)
    others = np.where(index == 0, np.iinfo(index.dtype).max, index)
    near = ndimage.maximum_filter(index, reach)[where] != index[where]
    near |= ndimage.minimum_filter(others, reach)[where] != index[where]
    spilled = np.zeros(len(at), dtype=np.bool_)
    if near.any():
        smooth = gaussian(response.bright, scaled(sigmas, settings.fine))
        summits = smooth == ndimage.maximum_filter(smooth, 3)
        spilled = near & ~ndimage.maximum_filter(summits, 3)[where]
    return spilled


def _extents(response: Response, at: Ints, threshold: float) -> NDArray[np.int32]:
    """Pixels of each focus: its basin of the response, down to half of its peak."""
    where = tuple(at.T)
    markers = np.zeros(response.index.shape, dtype=np.int32)
    markers[where] = np.arange(1, len(at) + 1)
    above = response.values > threshold / 2 * response.noise
    above &= response.index > 0
    basins: NDArray[np.int32] = watershed(  # type: ignore[no-untyped-call]
        -response.values, markers, mask=above
    )
    pixels = np.flatnonzero(basins)
    owner = basins.ravel()[pixels] - 1
    belongs = response.values.ravel()[pixels] >= response.values[where][owner] / 2
    belongs &= response.index.ravel()[pixels] == response.index[where][owner]
    labels = np.zeros(basins.size, dtype=np.int32)
    labels[pixels[belongs]] = owner[belongs] + 1
    return labels.reshape(basins.shape)


def _surroundings(
    response: Response,
    labels: NDArray[np.int32],
    sigmas: tuple[float, ...],
    settings: FociSettings,
) -> tuple[Image, Image]:
    """Compare each pixel with its nucleus around it, foci left out.

    Returns:
        Images of the grey value less the level around, and of the SD around.
    """
    # A focus's pixels end at half of its height; its flanks are no surroundings either.
    reach = [2 * int(np.ceil(settings.coarse * sigma)) + 1 for sigma in sigmas]
    step = step_for(sigmas)
    taken = thinned(ndimage.maximum_filter((labels > 0).view(np.uint8), reach), step)
    free = ((thinned(response.index, step) > 0) & (taken == 0)).astype(np.float32)
    window = scaled(thinned_scales(sigmas, step), settings.surroundings)
    values = thinned(response.levelled, step)
    weight = box(free, window)
    level = ratio(box(values * free, window), weight)
    square = ratio(box(values**2 * free, window), weight)
    sd = np.sqrt(np.maximum(square - level**2, 0))
    shape = labels.shape
    return response.levelled - filled(level, shape, step), filled(sd, shape, step)
