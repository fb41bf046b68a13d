"""The cells of a slide measured block by block, each cell once and whole.

Two passes over the blocks, each of them any number of tasks in any order:

1. `block_levels` of every block, added up, give `slide_levels`: background and saturation;
2. `measure_block` measures the cells that belong to a block (`measurements.blocks`) by the same
   functions as an image in one piece, and to the same numbers, whatever the blocks.
"""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from measurements.background import BackgroundSettings, field_level, outside_cells
from measurements.beta_gal import BetaGalSettings
from measurements.beta_gal_parts import WholePicture, part_reach
from measurements.blocks import Box, ownership
from measurements.columns import Column, Measured, in_physical_units
from measurements.foci_scale import Ground, brightest, darkest, sampled
from measurements.histogram import GreyLevels, Histogram
from measurements.quality import clipping_level
from measurements.transcripts import Transcripts
from pipelines.errors import StudyError
from pipelines.field.cells import CELL_ID, measure_cell_stain, measure_cells
from pipelines.field.labels import Labels
from pipelines.field.pixels import Grey, Pixels
from pipelines.field.place import ChannelLevels, Place, local_background
from pipelines.field.transcripts import count_transcripts_in_view, transcripts_in
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of
from pipelines.study.settings import Chromatin
from pipelines.study.slides import why_not_in_blocks
from pipelines.study.transcripts_check import transcripts_of

BlockLevels = Mapping[str, GreyLevels]
SlideLevels = Mapping[str, ChannelLevels]
# How far the sharpness of a nucleus looks beyond it, px: a Gaussian of 1 px, cut at 4 SD.
GRADIENT_REACH = 5
# How far the smoothing of chromatin looks, in its scales: a Gaussian of half of one, cut at 4 SD.
SMOOTHING_REACH = 2
# How long a cell may be, in nuclear diameters, before it needs a view of its own [judgement].
USUAL_LENGTH = 3.0
# Where views begin: every second row is taken for foci, and what is computed for several columns at
# a time is rounded otherwise in the columns left over at the end, which are the same ones then.
LANES = 64


class SlideImage(Protocol):
    """What measuring needs of a slide; boxes never reach beyond it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        ...

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel; None where unknown."""
        ...

    def labels(self, name: Literal["nuclei", "cells"], box: Box) -> NDArray[np.uint32]:
        """Labels in a box: ids unique over the slide, the same for a nucleus and its cell."""
        ...

    def plane(self, channel: str, box: Box) -> Grey:
        """One channel's pixels in a box; of a picture the mean of its colours."""
        ...

    def rgb(self, box: Box) -> Grey:
        """The picture's colours in a box, (y, x, 3)."""
        ...

    def n_nuclei(self, ids: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Nuclei in each of these cells."""
        ...


def block_levels(slide: SlideImage, own: Box, study: Study) -> BlockLevels:
    """Grey values of one block, which add up (`add_levels`) to the slide's (`slide_levels`).

    Args:
        slide: the slide.
        own: the block's box; the boxes of all blocks cover the slide once.
        study: the settings.
    """
    gap = local_background(study, slide.pixel_size_um).gap
    view = own.grown(ceil(gap) + 1, Box(0, 0, *slide.shape))
    outside = outside_cells(slide.labels("cells", view), gap)[own.slices(view)]
    planes = {channel: slide.plane(channel, own) for channel in study.planes}
    return {channel: _levels(plane, outside, own) for channel, plane in planes.items()}


def _levels(plane: Grey, outside: NDArray[np.bool_], own: Box) -> GreyLevels:
    return GreyLevels(
        Histogram.of(plane),
        Histogram.of(plane[outside]),
        plane.dtype,
        sampled(plane, (own.top, own.left)),
        brightest(plane),
    )


def add_levels(some: BlockLevels, others: BlockLevels) -> BlockLevels:
    """Grey values of two parts of a slide together."""
    return {channel: levels + others[channel] for channel, levels in some.items()}


def slide_levels(whole: BlockLevels, study: Study, pixel_size_um: float | None) -> SlideLevels:
    """What is known of every channel, from the grey values of all blocks together."""
    settings = local_background(study, pixel_size_um)
    return {channel: _channel_levels(grey, settings) for channel, grey in whole.items()}


def _channel_levels(grey: GreyLevels, settings: BackgroundSettings) -> ChannelLevels:
    ground = Ground.of(grey.everywhere)
    return ChannelLevels(
        background=field_level(grey.outside, settings),
        saturation=clipping_level(grey.everywhere, grey.dtype),
        dark=darkest(grey.sampled),
        brightest=grey.brightest,
        mean=ground.mean,
        sd=ground.sd,
        median=ground.median,
    )


def measure_block(
    slide: SlideImage,
    own: Box,
    study: Study,
    levels: SlideLevels,
    picture: WholePicture | None = None,
) -> Measured:
    """Measure the cells that belong to a block.

    Args:
        slide: the slide.
        own: the block's box.
        study: the settings.
        levels: of the whole slide.
        picture: what SA-β-Gal is measured with, where the study asks for it.

    Returns:
        One value a cell and column, in physical units, by cell id. The flag out_of_focus compares
        a nucleus with those of its block only, until `pipelines.slide.tables` sets it.

    Raises:
        StudyError: the study asks for what is not measured by blocks.
    """
    _check(study)
    whole, reach = Box(0, 0, *slide.shape), _reach(study, slide.pixel_size_um)
    transcripts = transcripts_in(study, slide.shape, slide.pixel_size_um)
    tables = [
        _measured(slide, study, Place(ids, view, whole, levels), picture, transcripts)
        for ids, view in views(slide, own, study, reach)
    ]
    return in_physical_units(stacked(tables), slide.pixel_size_um)


def views(
    slide: SlideImage, own: Box, study: Study, reach: int
) -> Iterator[tuple[NDArray[np.uint32], Box]]:
    """The cells that belong to a block, and views in which they are whole with their surroundings.

    Args:
        slide: the slide.
        own: the block's box.
        study: the settings.
        reach: px around a cell that its measurements look at.

    Yields:
        Ids, increasing, and the view: first of the cells of usual length, be there any or none,
        then of those that need a larger view. Views begin at multiples of `LANES`.
    """
    whole, margin = Box(0, 0, *slide.shape), reach + _usual_length(study, slide.pixel_size_um)
    view = aligned(own.grown(margin, whole))
    found = ownership(slide.labels("cells", view), own, view, whole, reach)
    yield found.ids, view
    while found.spilling.size:
        margin *= 2
        view = aligned(own.grown(margin, whole))
        cells = slide.labels("cells", view)
        left = np.where(np.isin(cells, found.spilling), cells, np.uint32(0))
        found = ownership(left, own, view, whole, reach)
        if found.ids.size:
            yield found.ids, view


def aligned(view: Box) -> Box:
    """A view that begins where `LANES` says, and shows what it showed."""
    return Box(view.top // LANES * LANES, view.left // LANES * LANES, view.bottom, view.right)


def _measured(
    slide: SlideImage,
    study: Study,
    place: Place,
    picture: WholePicture | None,
    transcripts: Transcripts | None,
) -> Measured:
    planes = {channel: slide.plane(channel, place.view) for channel in study.planes}
    rgb = None if picture is None else slide.rgb(place.view)
    pixels = Pixels("", planes, rgb, slide.pixel_size_um, ())
    labels = Labels(
        slide.labels("nuclei", place.view),
        slide.labels("cells", place.view),
        slide.n_nuclei(place.ids),
    )
    corner = place.view.top, place.view.left
    cells = {
        **measure_cells(pixels, labels, study, place),
        **count_transcripts_in_view(
            study, transcripts, labels.cells, place.ids, corner, slide.pixel_size_um
        ),
    }
    if picture is None:
        return cells
    return {**cells, **measure_cell_stain(pixels, labels, study, place, picture)}


def stacked(tables: list[Measured], key: Column = CELL_ID) -> Measured:
    """Tables of the views of one block as one, in the order of their cells' ids."""
    columns: dict[Column, NDArray[np.generic]] = {
        column: np.concatenate([table[column] for table in tables]) for column in tables[0]
    }
    order = np.argsort(columns[key], kind="stable")
    return {column: values[order] for column, values in columns.items()}


def _reach(study: Study, pixel_size_um: float | None) -> int:
    """How far around a cell the measurements look, px.

    The ring of background ends gap + width from the cell, and whether a pixel of it is the cell's
    depends on cells as far from that pixel.
    """
    local = local_background(study, pixel_size_um)
    reaches = [2 * (local.gap + local.width), GRADIENT_REACH]
    if study.segmentation.cytoplasm is not None:
        ring = study.segmentation.cytoplasm
        reaches.append(ring.in_px("gap", pixel_size_um) + ring.in_px("width", pixel_size_um))
    reaches += [
        SMOOTHING_REACH * m.in_px("scale", pixel_size_um)
        for m in study.measurements
        if isinstance(m, Chromatin)
    ]
    if (transcripts := transcripts_of(study)) is not None:
        # A transcript of the cell may be as near to another one.
        reaches.append(2 * transcripts.in_px("distance", pixel_size_um))
    if beta_gal_of(study) is not None:
        # Stain is told from what lies around a pixel, of the cell and of its ring.
        reaches.append(local.gap + local.width + part_reach(BetaGalSettings()))
    return ceil(max(reaches)) + 1


def _usual_length(study: Study, pixel_size_um: float | None) -> int:
    settings = study.cellpose_settings()[0][1]
    return ceil(USUAL_LENGTH * settings.in_px("diameter", pixel_size_um))


def _check(study: Study) -> None:
    for measurement in study.measurements:
        why = why_not_in_blocks(measurement)
        if why is not None:
            raise StudyError(f"measurements: {why}")
