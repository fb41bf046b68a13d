"""The rounds over the blocks of a slide that find its RNA spots, on any number of workers.

See `pipelines.slide.spots`. What a block found is kept until the slide's tables are whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from measurements.blocks import Box
from measurements.spots.clumps import Numbering, Rim, join_clumps
from measurements.spots.columns import IMAGE_THRESHOLD, SPOT_CHANNEL, SPOT_CLUMP, SPOT_ID
from pipelines.field.spots import spots_of
from pipelines.slide.cells import Measuring, work_through
from pipelines.slide.cluster import Each
from pipelines.slide.job import told_if_full
from pipelines.slide.kept import Arrays, keep, kept, kept_slide_levels
from pipelines.slide.rounds import Scales, noise_known, summed, with_heights
from pipelines.slide.segmenting import Say
from pipelines.slide.spots import (
    block_evenness,
    block_evidence,
    block_heights,
    block_spots,
    first_scales,
    with_evenness_of,
)
from pipelines.tables import arrow_table, write_parquet, write_parquet_rows


def measure_spots_of(job: Measuring, table: Path, each: Each, say: Say) -> Mapping[str, float]:
    """Find the RNA spots of a slide, once its cells are measured.

    Args:
        job: the slide and the settings.
        table: Parquet file of the spots, to be written: a row group a block.
        each: where blocks are computed.
        say: is told of every block that is done.

    Returns:
        The slide's own columns; empty where no spots are asked for.
    """
    if not spots_of(job.study):
        return {}
    with told_if_full(job.work):
        scales = first_scales(job.study, kept_slide_levels(job.slide_levels))
        scales = noise_known(job, "spots", block_evidence, scales, each, say)
        heights = summed(job, "heights of spots", block_heights, scales, each, say)
        scales = with_heights(scales, heights)
        evenness = summed(job, "between spots", block_evenness, scales, each, say)
        scales = with_evenness_of(scales, evenness)
        done = partial(_rims, job)
        work_through("spots", job.boxes(), done, partial(_keep_spots, job, scales), each, say)
        clumps = {s.channel: join_clumps(_rows(job, s.channel)) for s in spots_of(job.study)}
        write_parquet_rows(table, _numbered(job, clumps))
        return _summary(job)


def _table(job: Measuring, number: int) -> Path:
    """Spots of one block."""
    return job.work / "spots" / f"{number:06d}.parquet"


def _rims(job: Measuring, number: int) -> Path:
    """What the slide must know of one block's spots; written after its spots."""
    return job.work / "spots" / f"{number:06d}.npz"


def _keep_spots(job: Measuring, scales: Scales, item: tuple[int, Box]) -> None:
    number, own = item
    found = block_spots(job.slide, own, job.study, scales)
    write_parquet(_table(job, number), arrow_table(found.spots))
    arrays: Arrays = {
        "names": np.array(list(found.summary), np.str_),
        "values": np.array(list(found.summary.values()), np.float64),
    }
    for channel, rim in found.rims.items():
        arrays |= {f"{channel}/{f.name}": np.array(getattr(rim, f.name)) for f in fields(rim)}
    keep(_rims(job, number), arrays)


def _rows(job: Measuring, channel: str) -> Iterator[list[Rim]]:
    """Rims of a channel's clumps, a row of blocks at a time."""
    numbers, columns = (
        [number for number, _ in job.boxes()],
        ceil(job.slide.shape[1] / job.block_px),
    )
    for start in range(0, len(numbers), columns):
        yield [_rim(_rims(job, number), channel) for number in numbers[start : start + columns]]


def _rim(path: Path, channel: str) -> Rim:
    arrays = kept(path)
    n, *edges = (arrays[f"{channel}/{f.name}"] for f in fields(Rim))
    return Rim(int(n), *(edge.astype(np.int32) for edge in edges))


def _numbered(job: Measuring, clumps: Mapping[str, Numbering]) -> Iterator[pa.Table]:
    """Spots of each block, with numbers and clumps of the slide."""
    before = dict.fromkeys(clumps, 0)
    for number, _ in job.boxes():
        table = pq.read_table(_table(job, number))
        channels = table.column(SPOT_CHANNEL.name).to_numpy(zero_copy_only=False)
        ids, own = (table.column(c.name).to_numpy().copy() for c in (SPOT_ID, SPOT_CLUMP))
        for channel, numbering in clumps.items():
            here = channels == channel
            ids[here] += before[channel]
            own[here] = numbering.of(number, own[here])
            before[channel] += int(here.sum())
        for column, values in ((SPOT_ID, ids), (SPOT_CLUMP, own)):
            at = table.schema.get_field_index(column.name)
            table = table.set_column(at, table.schema.field(at), pa.array(values))
        yield table


def _summary(job: Measuring) -> dict[str, float]:
    """Thresholds, which all blocks share, and counts of all blocks."""
    found = [kept(_rims(job, number)) for number, _ in job.boxes()]
    shared = {IMAGE_THRESHOLD.bind(channel=s.channel).name for s in spots_of(job.study)}
    values = np.array([block["values"] for block in found], np.float64)
    return {
        str(name): float(of_blocks[0] if name in shared else of_blocks.sum())
        for name, of_blocks in zip(found[0]["names"], values.T, strict=True)
    }
