"""The cells of a segmented slide to their table, block by block, on any number of workers.

Two rounds, as `pipelines.slide.measuring` says: grey values of every block, then, when those of
the slide are known, its cells. What a block found is kept until the table is whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measurements.beta_gal_parts import WholePicture
from measurements.blocks import Box
from pipelines.slide.cluster import Each
from pipelines.slide.job import Progress, open_work, told_if_full
from pipelines.slide.kept import (
    keep_levels,
    keep_slide_levels,
    keep_summary,
    kept_levels,
    kept_slide_levels,
    kept_summary,
)
from pipelines.slide.measuring import (
    SlideImage,
    SlideLevels,
    add_levels,
    block_levels,
    slide_levels,
)
from pipelines.slide.segmenting import Say
from pipelines.slide.tables import BlockSummary, join_blocks, write_block
from pipelines.study import Study


@dataclass(frozen=True)
class Measuring:
    """The measuring of one slide; picklable.

    Attributes:
        slide: the slide and its labels.
        study: the settings.
        work: folder of what is not finished.
        block_px: side of a block.
    """

    slide: SlideImage
    study: Study
    work: Path
    block_px: int

    def levels(self, number: int) -> Path:
        """Grey values of one block."""
        return self.work / "levels" / f"{number:06d}.npz"

    def cells(self, number: int) -> Path:
        """Rows of one block's cells."""
        return self.work / "cells" / f"{number:06d}.parquet"

    def summary(self, number: int) -> Path:
        """What the slide must know of one block's cells; written after its rows."""
        return self.work / "cells" / f"{number:06d}.npz"

    @property
    def slide_levels(self) -> Path:
        """Background and saturation of the whole slide."""
        return self.work / "levels.npz"

    def boxes(self) -> list[tuple[int, Box]]:
        """The blocks, numbered row by row."""
        (rows, columns), side = self.slide.shape, self.block_px
        found = [
            Box(top, left, min(top + side, rows), min(left + side, columns))
            for top in range(0, rows, side)
            for left in range(0, columns, side)
        ]
        return list(enumerate(found))


def measure_cells_of(
    job: Measuring,
    key: str,
    table: Path,
    each: Each,
    say: Say,
    picture: WholePicture | None = None,
) -> int:
    """Measure all cells of a slide and write their table.

    Args:
        job: the slide and the settings.
        key: what stands for the settings and labels; what was kept under another one is dropped.
        table: Parquet file of the slide's cells.
        each: where blocks are computed.
        say: is told of every block that is done.
        picture: what SA-β-Gal is measured with, where the study asks for it.

    Returns:
        Number of cells.
    """
    boxes = job.boxes()
    with told_if_full(job.work):
        open_work(job.work, key)
        work_through("grey values", boxes, job.levels, partial(_keep_levels, job), each, say)
        if not job.slide_levels.is_file():
            keep_slide_levels(job.slide_levels, _slide_levels(job, boxes))
        work_through("measuring", boxes, job.summary, partial(_keep_cells, job, picture), each, say)
        return _joined(job, boxes, table).n_cells


def work_through(
    stage: str,
    boxes: Sequence[tuple[int, Box]],
    result: Callable[[int], Path],
    work: "partial[None]",
    each: Each,
    say: Say,
) -> None:
    """Do one round's work on the blocks that are left of it.

    Args:
        stage: what is done, for `say`.
        boxes: all blocks, with their numbers.
        result: file that a block's work leaves last; where it is, the work is done.
        work: does it on one block.
        each: where blocks are computed.
        say: is told of every block that is done.
    """
    left = [item for item in boxes if not result(item[0]).is_file()]
    done = len(boxes) - len(left)
    say(Progress(stage, done, len(boxes)))
    for _ in each(work, left):
        done += 1
        say(Progress(stage, done, len(boxes)))


def _keep_levels(job: Measuring, item: tuple[int, Box]) -> None:
    number, own = item
    keep_levels(job.levels(number), block_levels(job.slide, own, job.study))


def _slide_levels(job: Measuring, boxes: Sequence[tuple[int, Box]]) -> SlideLevels:
    """Background and saturation of the slide; grey values of two blocks at a time in memory."""
    total = kept_levels(job.levels(0))
    for number, _ in boxes[1:]:
        total = add_levels(total, kept_levels(job.levels(number)))
    return slide_levels(total, job.study, job.slide.pixel_size_um)


def _keep_cells(job: Measuring, picture: WholePicture | None, item: tuple[int, Box]) -> None:
    number, own = item
    levels = kept_slide_levels(job.slide_levels)
    summary = write_block(job.slide, own, job.study, levels, job.cells(number), picture)
    keep_summary(job.summary(number), summary)


def _joined(job: Measuring, boxes: Sequence[tuple[int, Box]], table: Path) -> BlockSummary:
    total = kept_summary(job.summary(0))
    for number, _ in boxes[1:]:
        total = total + kept_summary(job.summary(number))
    return join_blocks([job.cells(number) for number, _ in boxes], job.study, total, table)
