"""Foci as peaks of the band-pass response: where they are and which pixels belong to each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from measurements.foci_response import Response, band_pass
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import (
    Image,
    box,
    filled,
    gaussian,
    highest,
    ratio,
    scaled,
    step_for,
    thinned,
    thinned_scales,
)
from measurements.foci_summits import Ints, first_pixels, fit_quadratics, is_summit
from measurements.foci_threshold import LOWEST, Counts, count_heights, parting_height
from measurements.regions import Floats, Regions, divide


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Peaks of the response that are foci, or that a threshold has yet to tell from texture.

    Attributes:
        places: (n, axes) position of each, sub-pixel, in the order of the image's axes, in the
            larger image where this one was cut out of one.
        row: row of the nucleus in the table of nuclei.
        height: response there, noise SDs.
        contrast: grey value at the peak less the nucleus's level around it.
        snr: contrast over the SD of the nucleus around it; NaN where foci leave nothing of it.
        labels: int32 image: 1 + index of the peak on the pixels that belong to it.
        above: image: grey value less the nucleus's level around, foci left out.
        all_heights: `count_heights` of the image's summits, lower ones among them.
        threshold: noise SDs that foci of this image exceed: the one given, or the image's own.
    """

    places: Floats
    row: Ints
    height: Floats
    contrast: Floats
    snr: Floats
    labels: NDArray[np.int32]
    above: Image
    all_heights: Counts
    threshold: float

    def higher_than(self, threshold: float) -> "Peaks":
        """The peaks above a threshold, noise SDs, and their pixels."""
        kept = self.height > threshold
        number = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
        return Peaks(
            self.places[kept],
            self.row[kept],
            self.height[kept],
            self.contrast[kept],
            self.snr[kept],
            number[self.labels],
            self.above,
            self.all_heights,
            threshold,
        )


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
    """Find foci in every nucleus of an image that stands alone.

    Args:
        image: one channel, (y, x) or (z, y, x), any real dtype.
        nuclei: regions of the nuclei, in the image or in a plane of it.
        settings: scale and threshold.
    """
    peaks = find_peaks(band_pass(image, nuclei, settings), settings)
    return peaks.higher_than(peaks.threshold)


def find_peaks(response: Response, settings: FociSettings, threshold: float | None = None) -> Peaks:
    """Summits of the response, with their extent.

    Where the settings have a threshold, those above it; else all that a batch's threshold may make
    foci. What is around a peak is measured without the foci of the image's own threshold.

    Args:
        response: of the image.
        settings: scale and threshold.
        threshold: that of the larger image, where this one was cut out of one and the settings
            have none.
    """
    sigmas = settings.sigmas(response.index.ndim)
    summits = summits_of(response, settings)
    own = threshold if settings.threshold is None else settings.threshold
    if own is None:
        own = parting_height(summits.height)
    floor = LOWEST if settings.threshold is None else settings.threshold
    found = summits.height > floor
    at = summits.at[found]
    where = tuple(at.T)
    labels = _extents(response, at, floor)
    is_focus = np.concatenate([[False], summits.height[found] > own])
    above, sd = _surroundings(response, is_focus[labels], sigmas, settings)
    contrast = above[where].astype(np.float64)
    return Peaks(
        places=at + np.array(response.origin) + summits.offset[found],
        row=response.index[where].astype(np.int64) - 1,
        height=summits.height[found],
        contrast=contrast,
        snr=divide(contrast, sd[where].astype(np.float64)),
        labels=labels,
        above=above,
        all_heights=count_heights(summits.height),
        threshold=own,
    )


def summits_of(response: Response, settings: FociSettings) -> Summits:
    """All local maxima that are round and the nucleus's own, however low."""
    sigmas = settings.sigmas(response.index.ndim)
    values = response.values
    candidates = (values > response.noise) & is_summit(values, sigmas)
    at = first_pixels(candidates)
    offset, curvatures = fit_quadratics(values, at)
    genuine = (curvatures <= settings.ridge_ratio) & ~_spilled(response, at, sigmas, settings)
    at, offset = at[genuine], offset[genuine]
    where = tuple(at.T)
    return Summits(at, offset, divide(values[where], response.noise[where]))


def _spilled(
    response: Response, at: Ints, sigmas: tuple[float, ...], settings: FociSettings
) -> NDArray[np.bool_]:
    """Whether a peak is light from outside its nucleus.

    Near another nucleus, or cytoplasm that is brighter than itself, a focus must be a summit of the
    image, to a pixel: what spills over a border rises towards where it comes from.
    """
    reach = tuple(int(np.ceil(2 * settings.coarse * sigma)) for sigma in sigmas)
    next_to = (1,) * len(sigmas)
    where = tuple(at.T)
    # Single precision holds the numbers of 16 million nuclei exactly.
    index = response.index.astype(np.float32)
    others = np.where(index == 0, np.float32(-np.inf), -index)
    near = highest(index, reach)[where] != index[where]
    near |= -highest(others, reach)[where] != index[where]
    smooth = gaussian(response.bright, scaled(sigmas, settings.fine))
    outside = np.where(index == 0, smooth, np.float32(-np.inf))
    near |= highest(outside, reach)[where] > smooth[where]
    summits = (smooth == highest(smooth, next_to)).view(np.uint8)
    spilled: NDArray[np.bool_] = near & (highest(summits, next_to)[where] == 0)
    return spilled


def _extents(response: Response, at: Ints, floor: float) -> NDArray[np.int32]:
    """Pixels of each peak: its basin of the response, down to half of its height."""
    where = tuple(at.T)
    markers = np.zeros(response.index.shape, dtype=np.int32)
    markers[where] = np.arange(1, len(at) + 1)
    above = response.values > floor / 2 * response.noise
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
    foci: NDArray[np.bool_],
    sigmas: tuple[float, ...],
    settings: FociSettings,
) -> tuple[Image, Image]:
    """Compare each pixel with its nucleus around it, foci left out.

    Returns:
        Images of the grey value less the level around, and of the SD around.
    """
    # A focus's pixels end at half of its height; its flanks are no surroundings either.
    reach = tuple(int(np.ceil(settings.coarse * sigma)) for sigma in sigmas)
    step = step_for(sigmas)
    taken = thinned(highest(foci.view(np.uint8), reach), step)
    free = ((thinned(response.index, step) > 0) & (taken == 0)).astype(np.float32)
    window = scaled(thinned_scales(sigmas, step), settings.surroundings)
    values = thinned(response.levelled, step)
    weight = box(free, window)
    level = ratio(box(values * free, window), weight)
    square = ratio(box(values**2 * free, window), weight)
    sd = np.sqrt(np.maximum(square - level**2, 0))
    shape = foci.shape
    return response.levelled - filled(level, shape, step), filled(sd, shape, step)
