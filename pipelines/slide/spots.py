"""RNA spots of a slide, block by block, with the numbers of the slide in one piece.

As with foci (`pipelines.slide.foci`), what only the whole picture tells is added up over all blocks
first: noise, heights, and how even the picture is between spots (`measurements.spots.detection`). A
spot is the block's that its pixel lies in. So neither cells nor clumps need to be seen whole: the
spots of a cell are summed up, and clumps that blocks cut are joined at their borders
(`measurements.spots.clumps`), when all blocks are there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from measurements.blocks import Box
from measurements.foci_scale import Ground, ImageScale
from measurements.foci_threshold import EDGES, Counts
from measurements.spots.detection import (
    REACH,
    Cutout,
    evenness_in,
    heights_in,
    noise_evidence,
    unused_settings,
    with_evenness,
)
from measurements.spots.light import LAST
from measurements.spots.settings import SpotSettings
from pipelines.field.labels import Labels
from pipelines.field.pixels import Grey
from pipelines.field.spots import (
    SpotsPart,
    measure_spots_part,
    plane_key,
    spot_settings,
    spots_of,
    unused_rule,
)
from pipelines.slide.measuring import SlideImage, SlideLevels, aligned
from pipelines.slide.rounds import Scales
from pipelines.study import Study


@dataclass(frozen=True)
class _Plane:
    """A plane that spots are looked for in.

    Attributes:
        key: its name in the scales.
        channel: its channel.
        how: how they are looked for.
        counted: they are those asked for, not the ones of an unused channel.
    """

    key: str
    channel: str
    how: SpotSettings
    counted: bool


def first_scales(study: Study, levels: SlideLevels) -> Scales:
    """What grey values tell of each plane; all else is yet to come."""
    scales: dict[str, ImageScale] = {}
    for settings in spots_of(study):
        scales |= {plane_key(settings): _scale(levels, settings.channel)}
        if settings.unused is not None:
            scales |= {plane_key(settings, unused=True): _scale(levels, settings.unused.channel)}
    return scales


def block_evidence(
    slide: SlideImage, own: Box, study: Study, scales: Scales
) -> NDArray[np.float64]:
    """What a block adds to the next estimate of the noise, (planes, 2); blocks add up."""
    found = [
        noise_evidence(pixels, plane.how, cutout)
        for plane, pixels, cutout in _seen(slide, own, study, scales)
    ]
    return np.array([[evidence.counts[0], evidence.squares[0]] for evidence in found])


def block_heights(slide: SlideImage, own: Box, study: Study, scales: Scales) -> Counts:
    """Numbers of a block's summits by height, (planes, bins); 0 of unused channels."""
    return _of_counted(heights_in, EDGES.size - 1, _seen(slide, own, study, scales))


def block_evenness(slide: SlideImage, own: Box, study: Study, scales: Scales) -> Counts:
    """How often smoothed grey values occur between spots, (planes, bins); 0 of unused channels."""
    return _of_counted(evenness_in, 2 * LAST + 1, _seen(slide, own, study, scales))


def with_evenness_of(scales: Scales, counts: Counts) -> Scales:
    """Scales that are complete, from `block_evenness` of all blocks."""
    return {
        key: with_evenness(scale, of_plane)
        for (key, scale), of_plane in zip(scales.items(), counts, strict=True)
    }


def block_spots(slide: SlideImage, own: Box, study: Study, scales: Scales) -> SpotsPart:
    """Find the spots that lie in a block.

    Args:
        slide: the slide.
        own: the block's box.
        study: the settings.
        scales: of the whole slide, complete.

    Returns:
        The spots, with places on the slide, numbers and clumps of the block.
    """
    seen = list(_seen(slide, own, study, scales))
    planes = {plane.channel: pixels for plane, pixels, _ in seen}
    cutouts = {plane.key: cutout for plane, _, cutout in seen}
    view = seen[0][2].view
    labels = Labels(slide.labels("nuclei", view), slide.labels("cells", view), None)
    found = measure_spots_part(planes, labels, study, slide.pixel_size_um, cutouts)
    assert found is not None  # callers ask only where spots are asked for
    return found


def _planes(study: Study, pixel_size_um: float | None) -> Iterator[_Plane]:
    """In the order of `first_scales`."""
    for settings in spots_of(study):
        how = spot_settings(settings, pixel_size_um)
        yield _Plane(plane_key(settings), settings.channel, how, counted=True)
        if (unused := settings.unused) is not None:
            beside = unused_settings(how, unused_rule(unused))
            yield _Plane(plane_key(settings, unused=True), unused.channel, beside, counted=False)


def _scale(levels: SlideLevels, channel: str) -> ImageScale:
    known = levels[channel]
    ground = Ground(known.mean, known.sd, known.median)
    return ImageScale(known.dark, known.brightest, ground=ground)


def _seen(
    slide: SlideImage, own: Box, study: Study, scales: Scales
) -> Iterator[tuple[_Plane, Grey, Cutout]]:
    """The planes around a block, as far as its spots depend on them."""
    planes = list(_planes(study, slide.pixel_size_um))
    reach = ceil(REACH * max(plane.how.sigma for plane in planes)) + 1
    view = aligned(own.grown(reach, Box(0, 0, *slide.shape)))
    for plane in planes:
        yield plane, slide.plane(plane.channel, view), Cutout(view, own, scales[plane.key])


def _of_counted(
    count: Callable[[Grey, SpotSettings, Cutout], Counts],
    bins: int,
    seen: Iterator[tuple[_Plane, Grey, Cutout]],
) -> Counts:
    return np.array(
        [
            count(pixels, plane.how, cutout) if plane.counted else np.zeros(bins, np.int64)
            for plane, pixels, cutout in seen
        ]
    )
