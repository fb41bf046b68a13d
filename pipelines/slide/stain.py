"""SA-β-Gal of a slide: what only the whole picture tells, added up over its blocks.

Two passes: `block_colours` gives the light, the camera's limit and what JPEG did to the picture;
`block_stain` the stain of the background and the slide's own numbers. Cells are then measured with
all the others (`pipelines.slide.measuring`). Of the pixels that light is fitted to a slide has no
more than a field: every so-manieth row and column.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.background import outside_cells
from measurements.beta_gal import BetaGalSettings, level_outside, smoothed, taken_off
from measurements.beta_gal_image import StainSums, image_columns, outside_level
from measurements.beta_gal_parts import PictureLight, WholePicture, part_reach, part_stain
from measurements.blocks import Box
from measurements.columns import Measured
from measurements.histogram import Histogram
from measurements.jpeg import (
    EVEN_REACH,
    Traces,
    even_counts,
    restored,
    sample_step,
    stored_levels,
)
from measurements.optical_density import colourless, fit_light, sampling_step, saturated
from measurements.quality import clipping_level
from pipelines.errors import ImageError
from pipelines.field.beta_gal import GREY, stain_settings
from pipelines.field.pixels import Grey
from pipelines.field.place import local_background
from pipelines.slide.measuring import SlideImage
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of


@dataclass(frozen=True, eq=False)
class BlockColours:
    """Colours of one block.

    Attributes:
        colours: all values of red, green and blue.
        traces: of JPEG.
        even: `measurements.jpeg.even_counts`.
        sample: (y, x, 3), the rows and columns that light is fitted to.
        shown: bool (y, x), which of these pixels show background.
    """

    colours: tuple[Histogram, Histogram, Histogram]
    traces: Traces
    even: NDArray[np.int64]
    sample: Grey
    shown: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class BlockStain:
    """Stain of one block; those of all blocks add up to the slide's.

    Attributes:
        outside: stain outside cells.
        smooth_outside: the same, smoothed.
        smooth: smoothed stain, outside and in cells.
        n_known: pixels whose stain is known.
        total: sum of their stain.
        n_clipped: pixels at the camera's limit, outside cells and everywhere.
        n_pixels: pixels, outside cells and everywhere.
    """

    outside: Histogram
    smooth_outside: Histogram
    smooth: Histogram
    n_known: int
    total: float
    n_clipped: tuple[int, int]
    n_pixels: tuple[int, int]

    def __add__(self, other: "BlockStain") -> "BlockStain":
        """Stain of both blocks."""
        return BlockStain(
            self.outside + other.outside,
            self.smooth_outside + other.smooth_outside,
            self.smooth + other.smooth,
            self.n_known + other.n_known,
            self.total + other.total,
            (self.n_clipped[0] + other.n_clipped[0], self.n_clipped[1] + other.n_clipped[1]),
            (self.n_pixels[0] + other.n_pixels[0], self.n_pixels[1] + other.n_pixels[1]),
        )


def slide_stain_settings(
    study: Study, dtype: np.dtype[Any], pixel_size_um: float | None
) -> BetaGalSettings:
    """How the study measures SA-β-Gal on a slide."""
    asked = beta_gal_of(study)
    assert asked is not None  # callers ask only where it is asked for
    local = replace(local_background(study, pixel_size_um), method=asked.background)
    return replace(stain_settings(asked, dtype), background=local)


def block_colours(slide: SlideImage, own: Box, study: Study) -> BlockColours:
    """Colours of one block.

    Args:
        slide: the slide, a picture.
        own: the block's box; the boxes of all blocks cover the slide once.
        study: the settings.
    """
    view = own.grown(EVEN_REACH, Box(0, 0, *slide.shape))
    around = slide.rgb(view)
    part = own.slices(view)
    rgb = around[part]
    step = sampling_step(slide.shape)
    every = slice(-own.top % step, None, step), slice(-own.left % step, None, step)
    return BlockColours(
        (Histogram.of(rgb[..., 0]), Histogram.of(rgb[..., 1]), Histogram.of(rgb[..., 2])),
        Traces.of(rgb[_looked_at(own, slide.shape)]),
        even_counts(around, part),
        rgb[every],
        _outside(slide, own, study)[every],
    )


def picture_light(
    blocks: Iterable[tuple[Box, BlockColours]],
    shape: tuple[int, int],
    study: Study,
    pixel_size_um: float | None,
) -> PictureLight:
    """Light of a slide from the colours of all its blocks, of which one is held at a time.

    Args:
        blocks: each with its box.
        shape: of the slide.
        study: the settings.
        pixel_size_um: edge of a pixel; None where unknown.

    Raises:
        ImageError: the slide has no colour.
    """
    step, empty = sampling_step(shape), Histogram.of(np.zeros(0))
    sample: Grey | None = None
    shown = np.zeros(tuple(-(-side // step) for side in shape), dtype=bool)
    colours, traces, even = [empty] * 3, Traces.of(np.zeros((0, 3))), even_counts_of_nothing()
    for own, block in blocks:
        if sample is None:
            sample = np.zeros((*shown.shape, 3), block.sample.dtype)
        colours = [a + b for a, b in zip(colours, block.colours, strict=True)]
        traces, even = traces + block.traces, even + block.even
        top, left = -(-own.top // step), -(-own.left // step)
        rows, columns = block.shown.shape
        sample[top : top + rows, left : left + columns] = block.sample
        shown[top : top + rows, left : left + columns] = block.shown
    assert sample is not None  # a slide has blocks
    if colourless(sample):
        raise ImageError(f"beta_gal: {GREY}; give the slide as the colour camera took it")
    dtype = sample.dtype
    settings = slide_stain_settings(study, dtype, pixel_size_um).light
    stored = stored_levels(even) if traces.decoded else None
    picture = sample if stored is None else restored(sample.astype(np.uint8), stored)
    red, green, blue = (clipping_level(colour, dtype) for colour in colours)
    light = fit_light(picture, shown, settings, settings.order, shape)
    return PictureLight(light, (red, green, blue), stored)


def even_counts_of_nothing() -> NDArray[np.int64]:
    """`measurements.jpeg.even_counts` to add others to."""
    return even_counts(np.zeros((0, 0, 3)), (slice(None), slice(None)))


def block_stain(slide: SlideImage, own: Box, study: Study, light: PictureLight) -> BlockStain:
    """Stain of one block.

    Args:
        slide: the slide, a picture.
        own: the block's box.
        study: the settings.
        light: of the whole slide.
    """
    rgb = slide.rgb(own)
    settings = slide_stain_settings(study, rgb.dtype, slide.pixel_size_um)
    view = own.grown(ceil(part_reach(settings)) + 1, Box(0, 0, *slide.shape))
    od = part_stain(slide.rgb(view), (view.top, view.left), settings, light)
    part = own.slices(view)
    od, smooth = od[part], smoothed(od, settings)[part]
    outside, known = _outside(slide, own, study), np.isfinite(od)
    clipped = saturated(rgb, light.saturation)
    return BlockStain(
        Histogram.of(od[outside]),
        Histogram.of(smooth[outside & np.isfinite(smooth)]),
        Histogram.of(smooth[known]),
        int(known.sum()),
        float(od[known].sum(dtype=np.float64)),
        (int(clipped[outside].sum()), int(clipped.sum())),
        (int(outside.sum()), outside.size),
    )


def whole_picture(
    total: BlockStain, light: PictureLight, settings: BetaGalSettings
) -> WholePicture:
    """What cells are measured with, from the stain of all blocks together.

    Raises:
        ImageError: hardly any background is seen.
    """
    limit = level_outside(total.smooth_outside, settings)
    if limit is None:
        raise ImageError(
            f"beta_gal: only {total.smooth_outside.total} pixels of the slide lie outside cells, "
            f"and {settings.background.minimum_pixels} are needed to tell what is stained: give "
            "stained_od"
        )
    share = total.n_pixels[0] / total.n_pixels[1]
    return WholePicture(light, outside_level(total.outside, share, settings.background), limit)


def slide_columns(total: BlockStain, whole: WholePicture, settings: BetaGalSettings) -> Measured:
    """The slide's own columns, lengths in px."""
    level, smooth = taken_off(whole.level, settings), total.smooth
    of = 0 if total.n_pixels[0] else 1
    sums = StainSums(
        total.n_known,
        total.total,
        int(smooth.counts[smooth.values - level > whole.limit].sum()),
        total.n_pixels[0] / total.n_pixels[1],
        total.n_clipped[of] / total.n_pixels[of],
        whole.light.stored is not None,
    )
    return image_columns(sums, level, settings.stain)


def _outside(slide: SlideImage, own: Box, study: Study) -> NDArray[np.bool_]:
    """Where a block shows background."""
    gap = local_background(study, slide.pixel_size_um).gap
    view = own.grown(ceil(gap) + 1, Box(0, 0, *slide.shape))
    return outside_cells(slide.labels("cells", view), gap)[own.slices(view)]


def _looked_at(own: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The block's pixels that are looked at for traces of JPEG."""
    rows, columns = np.arange(own.top, own.bottom), np.arange(own.left, own.right)
    place = rows[:, np.newaxis] * shape[1] + columns
    looked_at: NDArray[np.bool_] = place % sample_step(shape[0] * shape[1]) == 0
    return looked_at
