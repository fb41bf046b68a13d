"""What may be foci on a slide, block by block, with the numbers of the slide in one piece.

Heights of peaks are told in units of noise, the noise of a nucleus is drawn a little to that of a
usual one, and peaks are compared with surroundings that the slide's foci are left out of. So
every estimate of the noise is a pass over all blocks (`block_evidence`), the heights are one more
(`block_heights`), and only then are peaks measured (`block_peaks`). A nucleus is the block's that
its cell is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from measurements.blocks import Box
from measurements.columns import Measured
from measurements.foci import heights_in, noise_evidence
from measurements.foci_columns import NUCLEUS_ID
from measurements.foci_scale import ImageScale, reach_px
from measurements.foci_threshold import EDGES, Counts
from measurements.regions import Regions
from pipelines.field.foci import foci_settings, measure_foci_part
from pipelines.field.pixels import Grey, Pixels
from pipelines.slide.measuring import SlideImage, SlideLevels, stacked, views
from pipelines.slide.rounds import Scales
from pipelines.study import Study
from pipelines.study.settings import Foci


@dataclass(frozen=True, eq=False)
class _View:
    """A view of some nuclei that belong to a block.

    Attributes:
        nuclei: all in the view.
        wanted: which of them belong to the block and are whole.
        planes: channel -> pixels.
    """

    nuclei: Regions
    wanted: NDArray[np.bool_]
    planes: Mapping[str, Grey]


def asked_for(study: Study) -> list[Foci]:
    """The channels that foci are looked for in."""
    return [m for m in study.measurements if isinstance(m, Foci)]


def first_scales(study: Study, levels: SlideLevels) -> Scales:
    """What grey values tell of each channel; noise and threshold are yet to come."""
    channels = [settings.channel for settings in asked_for(study)]
    return {name: ImageScale(levels[name].dark, levels[name].brightest) for name in channels}


def block_evidence(
    slide: SlideImage, own: Box, study: Study, scales: Scales
) -> NDArray[np.float64]:
    """What a block's nuclei add to the next estimate of the noise; blocks add up.

    Returns:
        (channels, 2): pixels that count, and the sum of the squares of their responses.
    """
    total = np.zeros((len(scales), 2))
    for view in _views(slide, own, study):
        for row, settings in zip(total, asked_for(study), strict=True):
            plane, whole = view.planes[settings.channel], scales[settings.channel]
            chosen = foci_settings(settings, slide.pixel_size_um, None)
            found = noise_evidence(plane, view.nuclei, chosen, whole)
            row += found.counts[view.wanted].sum(), found.squares[view.wanted].sum()
    return total


def block_heights(slide: SlideImage, own: Box, study: Study, scales: Scales) -> Counts:
    """Numbers of a block's summits by height, (channels, bins); blocks add up."""
    total = np.zeros((len(scales), EDGES.size - 1), np.int64)
    for view in _views(slide, own, study):
        for row, settings in zip(total, asked_for(study), strict=True):
            plane, whole = view.planes[settings.channel], scales[settings.channel]
            chosen = foci_settings(settings, slide.pixel_size_um, None)
            row += heights_in(plane, view.nuclei, chosen, whole, view.wanted)
    return total


def block_peaks(
    slide: SlideImage, own: Box, study: Study, levels: SlideLevels, scales: Scales
) -> tuple[Measured, Measured]:
    """Measure what may be foci in the nuclei that belong to a block.

    Args:
        slide: the slide.
        own: the block's box.
        study: the settings.
        levels: of the whole slide.
        scales: of the whole slide, complete.

    Returns:
        One value a peak, and one value a nucleus by cell id, as `FociPart` has them, in physical
        units and places on the slide.
    """
    found = [_measured(view, slide, study, levels, scales) for view in _views(slide, own, study)]
    peaks, nuclei = (list(tables) for tables in zip(*found, strict=True))
    return stacked(peaks, NUCLEUS_ID), stacked(nuclei, NUCLEUS_ID)


def _views(slide: SlideImage, own: Box, study: Study) -> Iterator[_View]:
    channels = [settings.channel for settings in asked_for(study)]
    for ids, box in views(slide, own, study, _reach(study, slide.pixel_size_um)):
        nuclei = Regions.of(slide.labels("nuclei", box), origin=(box.top, box.left))
        planes = {channel: slide.plane(channel, box) for channel in channels}
        yield _View(nuclei, np.isin(nuclei.ids, ids), planes)


def _reach(study: Study, pixel_size_um: float | None) -> int:
    diameter = study.cellpose_settings()[0][1].in_px("diameter", pixel_size_um)
    reaches = [
        reach_px(foci_settings(settings, pixel_size_um, None), diameter)
        for settings in asked_for(study)
    ]
    return ceil(max(reaches)) + 1


def _measured(
    view: _View, slide: SlideImage, study: Study, levels: SlideLevels, scales: Scales
) -> tuple[Measured, Measured]:
    def background(_: Grey, channel: str) -> NDArray[np.float64]:
        return np.full(len(view.nuclei), levels[channel].background)

    pixels = Pixels("", view.planes, None, slide.pixel_size_um, ())
    found = measure_foci_part(pixels, view.nuclei, study, background, scales)
    assert found is not None  # callers ask only where foci are asked for
    ids = view.nuclei.ids[view.wanted]
    return _of(found.peaks, ids), _of(found.nuclei, ids)


def _of(table: Measured, ids: NDArray[np.uint32]) -> Measured:
    chosen = np.isin(table[NUCLEUS_ID], ids)
    return {column: values[chosen] for column, values in table.items()}
