"""The tasks that measure a slide, as a Dask graph: two passes over blocks, summed up in trees.

A tree's node holds the sum of a few nodes below it, so that neither a worker nor the scheduler
holds what all blocks, or all slides, return.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from dask.delayed import Delayed, delayed

from measurements.blocks import Box
from pipelines.slide.measuring import SlideImage, add_levels, block_levels, slide_levels
from pipelines.slide.tables import BlockSummary, join_blocks, write_block
from pipelines.study import Study

FAN_IN = 8

Part = TypeVar("Part")


def measure_slide(
    slide: SlideImage, boxes: Sequence[Box], study: Study, parts: Path, cells: Path
) -> Delayed:
    """Plan the measuring of a slide; computing the result gives its `BlockSummary`.

    Args:
        slide: the slide; it is sent to every task, so it opens its files when it is read.
        boxes: boxes of the blocks, which cover the slide once.
        study: the settings.
        parts: folder of the blocks' Parquet files.
        cells: Parquet file of the slide's cells.
    """
    grey = tree([delayed(block_levels)(slide, own, study) for own in boxes], add_levels)
    levels = delayed(slide_levels)(grey, study, slide.pixel_size_um)
    paths = [parts / f"{number:06d}.parquet" for number in range(len(boxes))]
    blocks = [
        delayed(write_block)(slide, own, study, levels, path)
        for own, path in zip(boxes, paths, strict=True)
    ]
    joined: Delayed = delayed(join_blocks)(paths, study, tree(blocks, _both), cells)
    return joined


def tree(parts: Sequence[Delayed], add: Callable[[Part, Part], Part]) -> Delayed:
    """Sum of all parts, by sums of `FAN_IN` neighbours at a time.

    Args:
        parts: at least one.
        add: sum of two, whatever their order.
    """
    level = list(parts)
    while len(level) > 1:
        groups = [level[i : i + FAN_IN] for i in range(0, len(level), FAN_IN)]
        level = [delayed(_sum)(group, add) for group in groups]
    return level[0]


def _sum(parts: Sequence[Part], add: Callable[[Part, Part], Part]) -> Part:
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return total


def _both(some: BlockSummary, others: BlockSummary) -> BlockSummary:
    return some + others
