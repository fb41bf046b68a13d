"""The rounds over the blocks of a slide that find what may be foci, on any number of workers.

See `pipelines.slide.foci`. What a block found is kept until the slide's tables are whole.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.blocks import Box
from measurements.foci_noise import PASSES
from pipelines.slide.cells import Measuring, work_through
from pipelines.slide.cluster import Each
from pipelines.slide.foci import (
    Scales,
    asked_for,
    block_evidence,
    block_heights,
    block_peaks,
    first_scales,
    with_evidence,
    with_heights,
)
from pipelines.slide.job import told_if_full
from pipelines.slide.kept import keep_array, kept_array, kept_slide_levels
from pipelines.slide.measuring import SlideImage
from pipelines.slide.segmenting import Say
from pipelines.study import Study
from pipelines.tables import arrow_table, write_parquet, write_parquet_rows

Sums = Callable[[SlideImage, Box, Study, Scales], NDArray[Any]]
"""Numbers of one block that add up to those of the slide."""


def measure_peaks_of(
    job: Measuring, peaks: Path, nuclei: Path, each: Each, say: Say
) -> dict[str, list[int]]:
    """Measure all that may be a focus on a slide, once its cells are measured.

    Args:
        job: the slide and the settings.
        peaks: Parquet file of the peaks, to be written: a row group a block.
        nuclei: the same of the nuclei; rows are those of the cells' table.
        each: where blocks are computed.
        say: is told of every block that is done.

    Returns:
        Channel -> numbers of summits by height; empty where no foci are asked for.
    """
    if not asked_for(job.study):
        return {}
    with told_if_full(job.work):
        scales = first_scales(job.study, kept_slide_levels(job.slide_levels))
        for number in range(1, 2 + PASSES):
            stage = f"noise of foci {number} of {1 + PASSES}"
            scales = with_evidence(scales, _summed(job, stage, block_evidence, scales, each, say))
        heights = _summed(job, "heights of peaks", block_heights, scales, each, say)
        scales = with_heights(scales, heights)
        _measure(job, scales, each, say)
        for kind, path in (("peaks", peaks), ("nuclei", nuclei)):
            tables = (pq.read_table(_path(job, kind, number)) for number, _ in job.boxes())
            write_parquet_rows(path, tables)
    return {channel: counts.tolist() for channel, counts in zip(scales, heights, strict=True)}


def _path(job: Measuring, kind: str, number: int) -> Path:
    ending = "parquet" if kind in ("peaks", "nuclei") else "npy"
    return job.work / kind.replace(" ", "_") / f"{number:06d}.{ending}"


def _summed(
    job: Measuring, stage: str, sums: Sums, scales: Scales, each: Each, say: Say
) -> NDArray[Any]:
    boxes = job.boxes()
    left = [item for item in boxes if not _path(job, stage, item[0]).is_file()]
    work_through(stage, left, partial(_keep_sums, job, stage, sums, scales), len(boxes), each, say)
    total = kept_array(_path(job, stage, 0))
    for number, _ in boxes[1:]:
        total = total + kept_array(_path(job, stage, number))
    return total


def _keep_sums(
    job: Measuring, stage: str, sums: Sums, scales: Scales, item: tuple[int, Box]
) -> None:
    number, own = item
    keep_array(_path(job, stage, number), sums(job.slide, own, job.study, scales))


def _measure(job: Measuring, scales: Scales, each: Each, say: Say) -> None:
    boxes = job.boxes()
    left = [item for item in boxes if not _path(job, "nuclei", item[0]).is_file()]
    work_through("foci", left, partial(_keep_peaks, job, scales), len(boxes), each, say)


def _keep_peaks(job: Measuring, scales: Scales, item: tuple[int, Box]) -> None:
    number, own = item
    levels = kept_slide_levels(job.slide_levels)
    peaks, nuclei = block_peaks(job.slide, own, job.study, levels, scales)
    write_parquet(_path(job, "peaks", number), arrow_table(peaks))
    write_parquet(_path(job, "nuclei", number), arrow_table(nuclei))
