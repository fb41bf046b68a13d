"""RNA spots of one picture: sub-pixel places and integrated light, overlapping ones told apart.

Summits of the band-pass response are found as foci are (`measurements.foci_detection`), with the
whole picture as the one region, so that spots outside cells are found too. The light of a spot is
what stands over the level around it, summed over the spot's pixels and a rim of `aperture` SDs;
where rims meet, each pixel belongs to the nearest spot, and the spots are one clump. The light of a
clump is therefore that of its molecules whether or not they are resolved.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from measurements.foci_detection import Peaks, find_peaks
from measurements.foci_response import Response, band_pass
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import Image, highest
from measurements.regions import Floats, Regions, divide
from measurements.spots.light import light_of
from measurements.spots.settings import SpotSettings, UnusedChannel

Ints = NDArray[np.int64]
# Spots farther apart than this, times sigma, take 2 % or less of each other's light.
ALONE = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Spots of one channel of a picture; one value each.

    Attributes:
        places: (n, 2) row and column, sub-pixel; 0 is the centre of the first pixel.
        height: band-pass response over the noise around.
        contrast: grey value at the peak less the level around.
        integrated: sum over the spot's pixels of the grey value less the level around.
        clump: number of the clump, from 0; spots whose rims touch are in the same one.
        isolated: whether no other spot is so near that the two share light.
        threshold: noise SDs that spots of this picture exceed.
    """

    places: Floats
    height: Floats
    contrast: Floats
    integrated: Floats
    clump: Ints
    isolated: NDArray[np.bool_]
    threshold: float

    @property
    def pixels(self) -> tuple[Ints, Ints]:
        """Row and column of the pixel that each lies on."""
        y, x = np.floor(self.places + 0.5).astype(np.int64).T
        return y, x


def find_spots(image: NDArray[Any], settings: SpotSettings) -> Spots:
    """Find the spots of one channel.

    Args:
        image: (y, x), any real dtype; NaN counts as 0.
        settings: scale and threshold.

    Returns:
        The spots, row by row.

    Raises:
        MeasurementError: the image is not (y, x), or has no real numbers.
    """
    response, peaks = _peaks(image, settings)
    owner, above = light_of(response.levelled, peaks.labels, settings)
    clumps, _ = ndimage.label(owner > 0, np.ones((3, 3)))
    pixels = np.flatnonzero(owner)
    n = len(peaks.row)
    light = above.ravel()[pixels]
    integrated = np.bincount(owner.ravel()[pixels] - 1, light, minlength=n).astype(np.float64)
    at = tuple(np.clip(np.floor(peaks.places + 0.5).astype(np.int64), 0, None).T)
    clump = clumps[at].astype(np.int64) - 1
    alone = _nearest(peaks.places) > ALONE * settings.sigma
    return Spots(
        peaks.places, peaks.height, peaks.contrast, integrated, clump, alone, peaks.threshold
    )


def find_places(image: NDArray[Any], settings: SpotSettings) -> tuple[Floats, Floats]:
    """Places of the spots of one channel, as `find_spots` has them, and their heights."""
    _, peaks = _peaks(image, settings)
    return peaks.places, peaks.height


def is_autofluorescent(
    spots: Spots, unused: NDArray[Any], settings: SpotSettings, rule: UnusedChannel
) -> NDArray[np.bool_]:
    """Whether each spot is seen at the same place in a channel that nothing was put into.

    Args:
        spots: of the RNA's channel.
        unused: (y, x) the unused channel.
        settings: as the spots were found.
        rule: how alike the two must be.
    """
    _, found = _peaks(unused, SpotSettings(settings.sigma, rule.height))
    light = np.zeros(unused.shape, dtype=np.float32)
    at = tuple(np.clip(np.floor(found.places + 0.5).astype(np.int64), 0, None).T)
    light[at] = np.maximum(found.contrast, 0)
    near = _within(light, rule.distance)[spots.pixels].astype(np.float64)
    autofluorescent: NDArray[np.bool_] = (near > 0) & (
        np.nan_to_num(divide(near, spots.contrast)) >= rule.ratio
    )
    return autofluorescent


def _nearest(places: Floats) -> Floats:
    """Distance of each place to the nearest other one; infinite for a single one."""
    if len(places) < 2:
        return np.full(len(places), np.inf)
    nearest: Floats = spatial.KDTree(places).query(places, k=2)[0][:, 1]
    return nearest


def _peaks(image: NDArray[Any], settings: SpotSettings) -> tuple[Response, Peaks]:
    whole = Regions.of(np.ones(image.shape, dtype=np.uint8))
    foci = FociSettings(sigma=settings.sigma, threshold=settings.threshold)
    response = band_pass(image, whole, foci)
    candidates = find_peaks(response, foci)
    return response, candidates.higher_than(candidates.threshold)


def _within(light: Image, distance: float) -> Image:
    """Largest value within a square of this half width."""
    reach = max(1, int(np.floor(distance)))
    return highest(light, (reach, reach))
