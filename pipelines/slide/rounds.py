"""Rounds over the blocks of a slide: what only all of them tell is added up from what each has."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from measurements.blocks import Box
from measurements.foci_noise import PASSES
from measurements.foci_scale import ImageScale, typical_square
from measurements.foci_threshold import Counts, parting_heights
from pipelines.slide.cells import Measuring, work_through
from pipelines.slide.cluster import Each
from pipelines.slide.kept import keep_array, kept_array
from pipelines.slide.measuring import SlideImage
from pipelines.slide.segmenting import Say
from pipelines.study import Study

Scales = Mapping[str, ImageScale]
Sums = Callable[[SlideImage, Box, Study, Scales], NDArray[Any]]
"""Numbers of one block that add up to those of the slide."""


def noise_known(
    job: Measuring, what: str, evidence: Sums, scales: Scales, each: Each, say: Say
) -> Scales:
    """Estimate the noise, a round an estimate.

    Args:
        job: the slide and the settings.
        what: is looked for, for `say`.
        evidence: what a block adds to the next estimate: pixels that count, and the sum of the
            squares of their responses, (scales, 2).
        scales: what is known; nothing yet of the noise.
        each: where blocks are computed.
        say: is told of every block that is done.
    """
    for number in range(1, 2 + PASSES):
        stage = f"noise of {what} {number} of {1 + PASSES}"
        scales = with_evidence(scales, summed(job, stage, evidence, scales, each, say))
    return scales


def summed(
    job: Measuring, stage: str, sums: Sums, scales: Scales, each: Each, say: Say
) -> NDArray[Any]:
    """Sum of what every block has, each of them kept."""
    boxes, path = job.boxes(), partial(_path, job, stage)
    work_through(stage, boxes, path, partial(_keep_sums, job, stage, sums, scales), each, say)
    total = kept_array(path(0))
    for number, _ in boxes[1:]:
        total = total + kept_array(path(number))
    return total


def with_evidence(scales: Scales, evidence: NDArray[Any]) -> Scales:
    """Scales with one more estimate of the noise, from the evidence of all blocks."""
    return {
        name: replace(scale, typical=(*(scale.typical or ()), typical_square(*of_plane)))
        for (name, scale), of_plane in zip(scales.items(), evidence.tolist(), strict=True)
    }


def with_heights(scales: Scales, heights: Counts) -> Scales:
    """Scales with the threshold of the slide alone, from summits by height of all blocks."""
    return {
        name: replace(scale, threshold=float(parting_heights([counts]).thresholds[0]))
        for (name, scale), counts in zip(scales.items(), heights, strict=True)
    }


def _path(job: Measuring, stage: str, number: int) -> Path:
    return job.work / stage.replace(" ", "_") / f"{number:06d}.npy"


def _keep_sums(
    job: Measuring, stage: str, sums: Sums, scales: Scales, item: tuple[int, Box]
) -> None:
    number, own = item
    keep_array(_path(job, stage, number), sums(job.slide, own, job.study, scales))
