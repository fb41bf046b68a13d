"""Noise of a response around each place of a nucleus, with its foci left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.foci_filter import BandPass
from measurements.foci_light import light_of_foci
from measurements.foci_scale import Evidence, ImageScale, typical_square
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import (
    Image,
    Members,
    Scales,
    box,
    filled,
    gaussian,
    highest,
    in_units,
    ratio,
    scaled,
    step_for,
    thinned,
    thinned_scales,
)
from measurements.foci_summits import is_summit
from measurements.order_statistics import group_quantiles
from measurements.regions import Floats, divide

# What foci are taken to add is subtracted, which fits their cores worst: pixels where it is more
# than this many SDs are left out. Not where it is as much less: the rings around all bright grains
# of a texture would be left out with it, and the grains stand out of what is left.
CORE = 0.5
# Summits this many SDs high are left out. A few of them are texture, which costs every place the
# same little; at 3 it is more than a few where texture is spotty, and nuclei without foci get
# false ones. Where foci are dense, higher ones would leave the foci in.
SUSPECT = 3.5
PASSES = 2
# Values beyond this many SDs are cut before they are squared, or what is left of bright foci would
# count as noise. It costs a normal distribution 4 % of its SD.
CUT = 2.0
# How many pixels' worth of evidence, in focus areas, a nucleus as a whole has against a place.
PRIOR_AREAS = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image and its response.

    Attributes:
        levelled: image: grey values less the level of each nucleus.
        values: image: response in grey values, mean about 0, 0 outside nuclei.
        index: image of 1 + row of the nucleus, 0 outside.
        filtered: the band-pass that made the response.
    """

    levelled: Image
    values: Image
    index: NDArray[np.int32]
    filtered: BandPass


@dataclass(frozen=True, slots=True, eq=False)
class _Around:
    """How noise is estimated: over which window, and what a nucleus as a whole weighs.

    Where all is one region, what is typical is its own.
    """

    members: Members
    window: Scales
    prior: float
    one_region: bool


def local_noise(
    picture: Picture,
    n_nuclei: int,
    sigmas: Scales,
    settings: FociSettings,
    scale: ImageScale,
) -> tuple[Image, Image, list[Evidence]]:
    """SD of the response around each pixel.

    What is taken for foci is subtracted, since the trough that a bright one leaves around itself is
    no noise, and where foci are dense there is little beside their troughs. For the first estimate
    these are all summits, with the response of foci of their heights, and only what is negative
    counts, which they hardly change where they are texture. What stands out of that is taken for
    foci by the next estimate: their light is fitted and taken off the image, and where they made
    much of the response nothing counts. And again. Where foci leave little of the surroundings, the
    nucleus as a whole counts instead.

    Args:
        picture: the image and its response.
        n_nuclei: number of nuclei.
        sigmas: SD of a focus along each axis, px.
        settings: scales of the band-pass and of the surroundings.
        scale: of the whole image. With too few of `typical`, estimates end with the first that
            lacks one.

    Returns:
        The SD, the grey values less the level without the light of foci, and what each nucleus
        added to every estimate.
    """
    typical = (None,) * (1 + PASSES) if scale.typical is None else (*scale.typical, None)
    known = typical[: 1 + PASSES]
    values, index = picture.values, picture.index
    # A block's own part of a picture that is one region ends where no focus does.
    regions = index if scale.ground is None else (index > 0).astype(np.int32)
    step = step_for(sigmas)
    thin, sparse = thinned(index, step), thinned_scales(sigmas, step)
    around = _Around(
        Members.of(thin, n_nuclei),
        scaled(sparse, settings.surroundings),
        PRIOR_AREAS * _focus_area(sparse),
        scale.ground is not None,
    )
    at = np.nonzero((values > 0) & (index > 0) & is_summit(values, sigmas))
    heights, place = values[at], (*at[:-2], at[-2] // step, at[-1] // step)
    foci = np.zeros_like(values)
    foci[at] = heights
    rest = thinned(values - _response_of_foci(foci, sigmas, settings), step)
    below = np.minimum(rest, 0)
    noise, first = _spread(below, (thin > 0) & (below < 0), around, known[0])
    evidence, without = [first], picture.levelled
    for usual in known[1:]:
        suspects = np.stack(at, axis=1)[heights > SUSPECT * noise[place]]
        without = picture.levelled - light_of_foci(picture.levelled, regions, suspects, sigmas)
        rest = thinned(picture.filtered.response(without), step)
        free = (thin > 0) & (thinned(values, step) - rest <= CORE * noise)
        cut = CUT * noise
        noise, found = _spread(np.clip(rest, -cut, cut), free, around, usual)
        evidence.append(found)
    return filled(noise, values.shape, step), without, evidence


def _focus_area(sigmas: Scales) -> float:
    return 2 * np.pi * float(np.prod(sigmas))


def _response_of_foci(heights: Image, sigmas: Scales, settings: FociSettings) -> Image:
    """Band-pass response of Gaussian foci, given its heights at their pixels and 0 elsewhere.

    In one step towards foci whose responses together have these heights, since each stands in the
    troughs of its neighbours.
    """
    alone = _sum_of_responses(heights, sigmas, settings)
    own = np.where(heights > 0, np.maximum(2 * heights - alone, 0), 0)
    return _sum_of_responses(own, sigmas, settings)


def _sum_of_responses(peaks: Image, sigmas: Scales, settings: FociSettings) -> Image:
    widths = [
        scaled(sigmas, float(np.hypot(1, scale))) for scale in (settings.fine, settings.coarse)
    ]
    heights = [float(np.prod(1 / (np.sqrt(2 * np.pi) * np.array(w)))) for w in widths]
    unit = peaks / np.float32(heights[0] - heights[1])
    response: Image = gaussian(unit, widths[0]) - gaussian(unit, widths[1])
    return response


def _spread(
    values: Image, counted: NDArray[np.bool_], around: _Around, typical: float | None
) -> tuple[Image, Evidence]:
    """Root mean square over the counted pixels around each place, drawn to its nucleus's median.

    Relative to each nucleus's own, so that a noisy neighbour does not matter.
    """
    members, window, prior = around.members, around.window, around.prior
    weight = counted.astype(np.float32)
    squares = values**2 * weight
    counts, total = members.sums(weight), members.sums(squares)
    if typical is None:
        typical = typical_square(counts.sum(), total.sum())
    usual = float(np.nan_to_num(typical))
    if around.one_region:
        own = np.full(members.n, usual)
    else:
        middle = _medians(ratio(box(squares, window), box(weight, window)), counted, members)
        own = divide(counts * middle + prior * usual, counts + prior)
    own_image = members.spread(own, values.shape)
    relative = in_units(squares, own_image)
    area = float(np.prod([2 * max(1, round(half)) + 1 for half in window]))
    near = box(relative, window) * area + np.float32(prior)
    spread: Image = np.sqrt(near / (box(weight, window) * area + np.float32(prior)) * own_image)
    # A thinned pixel beside a nucleus stands for pixels in it.
    noise = np.where(own_image > 0, spread, highest(spread, (1,) * spread.ndim))
    return noise, Evidence(counts, total)


def _medians(image: Image, counted: NDArray[np.bool_], members: Members) -> Floats:
    """Median over each nucleus's counted pixels, 0 where none counts.

    What a speck of debris leaves of itself is in the mean of all its nucleus, whose foci would then
    be lost in it.
    """
    inside = counted.ravel()[members.pixels]
    pixels, rows = members.pixels[inside], members.rows[inside]
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(members.n + 1))
    (medians,) = group_quantiles(image.ravel()[pixels[order]], starts, (0.5,))
    return np.where(np.isnan(medians), 0, medians)
