"""RNA spots of one picture: sub-pixel places and integrated light, overlapping ones told apart.

Summits of the band-pass response are found as foci are (`measurements.foci_detection`), with the
whole picture as the one region, so that spots outside cells are found too. The light of a spot is
what stands over the level around it, summed over the spot's pixels and a rim of `aperture` SDs;
where rims meet, each pixel belongs to the nearest spot, and the spots are one clump. The light of a
clump is therefore that of its molecules whether or not they are resolved.

A slide is looked at in views. What only the whole picture tells, its grey values, its noise, where
texture ends and how even it is between spots, is added up over blocks in that order
(`noise_evidence`, `heights_in`, `evenness_in`), and given to each view (`Cutout`): spots are then
those of the whole picture, each found by the block that it lies in.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from measurements.blocks import Box
from measurements.errors import MeasurementError
from measurements.foci_detection import Peaks, find_peaks, summits_of
from measurements.foci_response import Response, band_pass
from measurements.foci_scale import REACH as FOCI_REACH
from measurements.foci_scale import (
    Evidence,
    Ground,
    ImageScale,
    brightest,
    darkest,
    sampled,
    typical_square,
)
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import Image, highest
from measurements.foci_threshold import Counts, count_heights
from measurements.histogram import Histogram
from measurements.regions import Floats, Regions, divide
from measurements.spots.clumps import Rim
from measurements.spots.light import light_of, smooth_counts, smooth_sd
from measurements.spots.settings import SpotSettings, UnusedChannel

Ints = NDArray[np.int64]
# Spots farther apart than this, times sigma, take 2 % or less of each other's light.
ALONE = 4.0
# How far, times sigma, what lies around a spot makes itself felt: as in `foci_scale.REACH`, and
# for its light twice the level around (13), its smoothing (3), bright outskirts (6) and aperture.
REACH = FOCI_REACH + 62.0


@dataclass(frozen=True, slots=True)
class Cutout:
    """A view of a slide, and what is known of the slide.

    Attributes:
        view: what the picture shows, in the slide.
        own: the part of it whose spots are asked for.
        scale: of the slide.
    """

    view: Box
    own: Box
    scale: ImageScale

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the picture's first pixel."""
        return self.view.top, self.view.left

    def holds(self, places: Floats) -> NDArray[np.bool_]:
        """Which (n, 2) places lie on pixels of its own part."""
        y, x = np.floor(places + 0.5).T
        own = self.own
        inside: NDArray[np.bool_] = (
            (y >= own.top) & (y < own.bottom) & (x >= own.left) & (x < own.right)
        )
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Spots of one channel of a picture; one value each.

    Attributes:
        places: (n, 2) row and column, sub-pixel; 0 is the centre of the first pixel, of a cut-out
            that of the slide.
        height: band-pass response over the noise around.
        contrast: grey value at the peak less the level around.
        integrated: sum over the spot's pixels of the grey value less the level around.
        clump: number of the clump, from 0; spots whose rims touch are in the same one, of a
            cut-out within its own part.
        isolated: whether no other spot is so near that the two share light.
        threshold: noise SDs that spots of this picture exceed.
        corner: place of the picture's first pixel.
        rim: clumps at the edges of the own part.
    """

    places: Floats
    height: Floats
    contrast: Floats
    integrated: Floats
    clump: Ints
    isolated: NDArray[np.bool_]
    threshold: float
    corner: tuple[int, int]
    rim: Rim

    @property
    def pixels(self) -> tuple[Ints, Ints]:
        """Row and column in the picture of the pixel that each lies on."""
        y, x = np.floor(self.places + 0.5).astype(np.int64).T
        return y - self.corner[0], x - self.corner[1]


def find_spots(image: NDArray[Any], settings: SpotSettings, cutout: Cutout | None = None) -> Spots:
    """Find the spots of one channel.

    Args:
        image: (y, x), any real dtype; NaN counts as 0.
        settings: scale and threshold.
        cutout: where the image lies in a slide, which is known. Default: it is whole.

    Returns:
        The spots, row by row.

    Raises:
        MeasurementError: the image is not (y, x), or has no real numbers.
    """
    part = _whole(image) if cutout is None else cutout
    response, peaks = _peaks(image, settings, part)
    ground = part.scale.ground if cutout else _evenness(response, peaks, settings, part)
    assert ground is not None  # spots have one in every scale
    owner, above = light_of(response.levelled, peaks.labels, settings, ground)
    pixels = np.flatnonzero(owner)
    integrated = np.bincount(
        owner.ravel()[pixels] - 1, above.ravel()[pixels], minlength=len(peaks.row)
    ).astype(np.float64)
    alone = _nearest(peaks.places) > ALONE * settings.sigma
    kept = part.holds(peaks.places)
    # Numbered within the own part, whose neighbours number theirs.
    clumps, n = ndimage.label(owner[part.own.slices(part.view)] > 0, np.ones((3, 3)), np.int32)
    y, x = np.floor(peaks.places[kept] + 0.5).astype(np.int64).T
    return Spots(
        places=peaks.places[kept],
        height=peaks.height[kept],
        contrast=peaks.contrast[kept],
        integrated=integrated[kept],
        clump=clumps[y - part.own.top, x - part.own.left].astype(np.int64) - 1,
        isolated=alone[kept],
        threshold=peaks.threshold,
        corner=part.corner,
        rim=Rim.of(clumps, n),
    )


def noise_evidence(image: NDArray[Any], settings: SpotSettings, cutout: Cutout) -> Evidence:
    """What the own part adds to the first estimate of the noise that the scale lacks; one value."""
    labels = np.full(image.shape, 2, dtype=np.uint8)
    labels[cutout.own.slices(cutout.view)] = 1
    own_and_rest = Regions.of(labels, np.array([1, 2]))
    found = band_pass(image, own_and_rest, _as_foci(settings), cutout.scale).evidence[-1]
    return Evidence(found.counts[:1], found.squares[:1])


def heights_in(image: NDArray[Any], settings: SpotSettings, cutout: Cutout) -> Counts:
    """`foci_threshold.count_heights` of the summits in the own part; `typical` is complete."""
    response = _response(image, settings, cutout)
    summits = summits_of(response, _as_foci(settings))
    return count_heights(summits.height[cutout.holds(summits.at + np.array(cutout.corner))])


def evenness_in(image: NDArray[Any], settings: SpotSettings, cutout: Cutout) -> Counts:
    """`light.smooth_counts` of the own part; all of the scale but `smooth_sd` is known."""
    response, peaks = _peaks(image, settings, cutout)
    return _smooth_counts(response, peaks, settings, cutout)


def with_evenness(scale: ImageScale, counts: Counts) -> ImageScale:
    """The scale with `smooth_sd`, from `evenness_in` of all parts together."""
    assert scale.ground is not None  # spots have one
    sd = smooth_sd(counts, _typical_noise(scale))
    return replace(scale, ground=replace(scale.ground, smooth_sd=sd))


def find_places(image: NDArray[Any], settings: SpotSettings) -> tuple[Floats, Floats]:
    """Places of the spots of one channel, as `find_spots` has them, and their heights."""
    _, peaks = _peaks(image, settings, _whole(image))
    return peaks.places, peaks.height


def is_autofluorescent(
    spots: Spots,
    unused: NDArray[Any],
    settings: SpotSettings,
    rule: UnusedChannel,
    cutout: Cutout | None = None,
) -> NDArray[np.bool_]:
    """Whether each spot is seen at the same place in a channel that nothing was put into.

    Args:
        spots: of the RNA's channel.
        unused: (y, x) the unused channel.
        settings: as the spots were found.
        rule: how alike the two must be.
        cutout: see `find_spots`, with what is known of the unused channel.
    """
    part = _whole(unused) if cutout is None else cutout
    _, found = _peaks(unused, unused_settings(settings, rule), part)
    light = np.zeros(unused.shape, dtype=np.float32)
    at = tuple(np.floor(found.places + 0.5).astype(np.int64).T - np.array([part.corner]).T)
    light[at] = np.maximum(found.contrast, 0)
    near = _within(light, rule.distance)[spots.pixels].astype(np.float64)
    autofluorescent: NDArray[np.bool_] = (near > 0) & (
        np.nan_to_num(divide(near, spots.contrast)) >= rule.ratio
    )
    return autofluorescent


def unused_settings(settings: SpotSettings, rule: UnusedChannel) -> SpotSettings:
    """How spots are looked for in the unused channel."""
    return SpotSettings(settings.sigma, rule.height)


def _nearest(places: Floats) -> Floats:
    """Distance of each place to the nearest other one; infinite for a single one."""
    if len(places) < 2:
        return np.full(len(places), np.inf)
    nearest: Floats = spatial.KDTree(places).query(places, k=2)[0][:, 1]
    return nearest


def _whole(image: NDArray[Any]) -> Cutout:
    """A picture in one piece, whose noise and threshold are its own."""
    if image.ndim != 2 or image.dtype.kind not in "buif":
        raise MeasurementError(
            f"Spots are found in (y, x) images of real numbers, not in {image.ndim} axes of "
            f"{image.dtype}."
        )
    box = Box(0, 0, *image.shape)
    ground = Ground.of(Histogram.of(image))
    return Cutout(
        box, box, ImageScale(darkest(sampled(image)), brightest(image), None, None, ground)
    )


def _as_foci(settings: SpotSettings) -> FociSettings:
    return FociSettings(sigma=settings.sigma, threshold=settings.threshold)


def _response(image: NDArray[Any], settings: SpotSettings, cutout: Cutout) -> Response:
    everywhere = Regions.of(np.ones(image.shape, dtype=np.uint8), origin=cutout.corner)
    return band_pass(image, everywhere, _as_foci(settings), cutout.scale)


def _peaks(image: NDArray[Any], settings: SpotSettings, cutout: Cutout) -> tuple[Response, Peaks]:
    response = _response(image, settings, cutout)
    candidates = find_peaks(response, _as_foci(settings), cutout.scale.threshold)
    return response, candidates.higher_than(candidates.threshold)


def _smooth_counts(
    response: Response, peaks: Peaks, settings: SpotSettings, cutout: Cutout
) -> Counts:
    assert cutout.scale.ground is not None  # spots have one
    own, noise = cutout.own.slices(cutout.view), _typical_noise(cutout.scale)
    return smooth_counts(response.levelled, peaks.labels, settings, cutout.scale.ground, noise, own)


def _evenness(
    response: Response, peaks: Peaks, settings: SpotSettings, whole: Cutout
) -> Ground | None:
    """Ground of a picture in one piece, complete."""
    typical = tuple(typical_square(e.counts.sum(), e.squares.sum()) for e in response.evidence)
    known = replace(whole, scale=replace(whole.scale, typical=typical))
    return with_evenness(known.scale, _smooth_counts(response, peaks, settings, known)).ground


def _typical_noise(scale: ImageScale) -> float:
    """SD of the response in a usual place, grey values; 0 of a picture without any."""
    return float(np.sqrt(np.nan_to_num(scale.typical[-1]))) if scale.typical else 0.0


def _within(light: Image, distance: float) -> Image:
    """Largest value within a square of this half width."""
    reach = max(1, int(np.floor(distance)))
    return highest(light, (reach, reach))
