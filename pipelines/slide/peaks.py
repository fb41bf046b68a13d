"""The rounds over the blocks of a slide that find what may be foci, on any number of workers.

See `pipelines.slide.foci`. What a block found is kept until the slide's tables are whole.
"""

from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from measurements.blocks import Box
from pipelines.slide.cells import Measuring, work_through
from pipelines.slide.cluster import Each
from pipelines.slide.foci import (
    asked_for,
    block_evidence,
    block_heights,
    block_peaks,
    first_scales,
)
from pipelines.slide.job import told_if_full
from pipelines.slide.kept import kept_slide_levels
from pipelines.slide.rounds import Scales, noise_known, summed, with_heights
from pipelines.slide.segmenting import Say
from pipelines.tables import arrow_table, write_parquet, write_parquet_rows


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
        scales = noise_known(job, "foci", block_evidence, scales, each, say)
        heights = summed(job, "heights of peaks", block_heights, scales, each, say)
        scales = with_heights(scales, heights)
        _measure(job, scales, each, say)
        for kind, path in (("peaks", peaks), ("nuclei", nuclei)):
            tables = (pq.read_table(_path(job, kind, number)) for number, _ in job.boxes())
            write_parquet_rows(path, tables)
    return {channel: counts.tolist() for channel, counts in zip(scales, heights, strict=True)}


def _path(job: Measuring, kind: str, number: int) -> Path:
    return job.work / kind / f"{number:06d}.parquet"


def _measure(job: Measuring, scales: Scales, each: Each, say: Say) -> None:
    done = partial(_path, job, "nuclei")
    work_through("foci", job.boxes(), done, partial(_keep_peaks, job, scales), each, say)


def _keep_peaks(job: Measuring, scales: Scales, item: tuple[int, Box]) -> None:
    number, own = item
    levels = kept_slide_levels(job.slide_levels)
    peaks, nuclei = block_peaks(job.slide, own, job.study, levels, scales)
    write_parquet(_path(job, "peaks", number), arrow_table(peaks))
    write_parquet(_path(job, "nuclei", number), arrow_table(nuclei))
