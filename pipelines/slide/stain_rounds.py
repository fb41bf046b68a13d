"""The rounds over the blocks of a slide that tell what SA-β-Gal is measured with.

See `pipelines.slide.stain`. What a block found is kept until the slide's tables are whole.
"""

from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from pathlib import Path

import numpy as np

from measurements.beta_gal_parts import PictureLight, WholePicture
from measurements.blocks import Box
from measurements.columns import Measured
from measurements.jpeg import Traces
from pipelines.slide.cells import Measuring, work_through
from pipelines.slide.cluster import Each
from pipelines.slide.job import told_if_full
from pipelines.slide.kept import Arrays, histogram_arrays, keep, kept, kept_histogram
from pipelines.slide.segmenting import Say
from pipelines.slide.stain import (
    BlockColours,
    BlockStain,
    block_colours,
    block_stain,
    picture_light,
    slide_columns,
    slide_stain_settings,
    whole_picture,
)
from pipelines.study.beta_gal import beta_gal_of

COLOURS = ("red", "green", "blue")
STAINS = ("outside", "smooth_outside", "smooth")


@dataclass(frozen=True, eq=False)
class SlidePicture:
    """What SA-β-Gal of a slide rests on, and the slide's own columns, lengths in px."""

    whole: WholePicture
    columns: Measured


def picture_of(job: Measuring, each: Each, say: Say) -> SlidePicture | None:
    """Learn what SA-β-Gal is measured with, in two rounds; None where it is not asked for.

    Args:
        job: the slide and the settings, whose folder of work is open.
        each: where blocks are computed.
        say: is told of every block that is done.
    """
    if beta_gal_of(job.study) is None:
        return None
    boxes, size = job.boxes(), job.slide.pixel_size_um
    with told_if_full(job.work):
        done = partial(_path, job, "colours")
        work_through("colours", boxes, done, partial(_keep_colours, job), each, say)
        found = ((own, _kept_colours(_path(job, "colours", n))) for n, own in boxes)
        light = picture_light(found, job.slide.shape, job.study, size)
        done = partial(_path, job, "stain")
        work_through("stain", boxes, done, partial(_keep_stain, job, light), each, say)
        total = reduce(add, (_kept_stain(_path(job, "stain", n)) for n, _ in boxes))
        dtype = kept(_path(job, "colours", 0))["sample"].dtype
    settings = slide_stain_settings(job.study, dtype, size)
    whole = whole_picture(total, light, settings)
    return SlidePicture(whole, slide_columns(total, whole, settings))


def _path(job: Measuring, kind: str, number: int) -> Path:
    return job.work / kind / f"{number:06d}.npz"


def _keep_colours(job: Measuring, item: tuple[int, Box]) -> None:
    number, own = item
    found = block_colours(job.slide, own, job.study)
    arrays: Arrays = {
        "traces": np.array([found.traces.n_pixels, found.traces.n_valid]),
        "pairs": found.traces.pairs,
        "even": found.even,
        "sample": found.sample,
        "shown": found.shown,
    }
    for name, colour in zip(COLOURS, found.colours, strict=True):
        arrays |= histogram_arrays(name, colour)
    keep(_path(job, "colours", number), arrays)


def _kept_colours(path: Path) -> BlockColours:
    arrays = kept(path)
    red, green, blue = (kept_histogram(arrays, name) for name in COLOURS)
    n_pixels, n_valid = arrays["traces"].tolist()
    return BlockColours(
        (red, green, blue),
        Traces(n_pixels, n_valid, arrays["pairs"].astype(bool)),
        arrays["even"].astype(np.int64),
        arrays["sample"],
        arrays["shown"].astype(bool),
    )


def _keep_stain(job: Measuring, light: PictureLight, item: tuple[int, Box]) -> None:
    number, own = item
    found = block_stain(job.slide, own, job.study, light)
    arrays: Arrays = {
        "total": np.array(found.total),
        "counts": np.array([found.n_known, *found.n_clipped, *found.n_pixels]),
    }
    for name in STAINS:
        arrays |= histogram_arrays(name, getattr(found, name))
    keep(_path(job, "stain", number), arrays)


def _kept_stain(path: Path) -> BlockStain:
    arrays = kept(path)
    outside, smooth_outside, smooth = (kept_histogram(arrays, name) for name in STAINS)
    known, clipped_outside, clipped, n_outside, n_pixels = arrays["counts"].tolist()
    total, pixels = float(arrays["total"]), (n_outside, n_pixels)
    return BlockStain(
        outside, smooth_outside, smooth, known, total, (clipped_outside, clipped), pixels
    )
