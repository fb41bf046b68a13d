"""The table of a slide: one Parquet part a block, each with one writer, then one file in a stream.

No step holds more than one block's cells.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from measurements.beta_gal_parts import WholePicture
from measurements.blocks import Box
from measurements.histogram import Histogram
from measurements.quality import (
    EDGE_STEEPNESS,
    OUT_OF_FOCUS,
    QualityLimits,
    log_levels,
    outliers_below,
)
from pipelines.errors import ImageError
from pipelines.field.cells import CELL_ID
from pipelines.slide.measuring import SlideImage, SlideLevels, measure_block
from pipelines.study import Study
from pipelines.tables import arrow_table, write_parquet, write_parquet_rows


@dataclass(frozen=True, slots=True, eq=False)
class BlockSummary:
    """What the slide needs to know of a block's cells; summaries add up.

    Attributes:
        n_cells: cells that the block measured.
        sharpness: logarithms of the nuclei's edge steepness; None where no nuclei are segmented.
    """

    n_cells: int
    sharpness: Histogram | None

    def __add__(self, other: "BlockSummary") -> "BlockSummary":
        """Summary of both blocks' cells."""
        sharpness = self.sharpness
        if sharpness is not None and other.sharpness is not None:
            sharpness = sharpness + other.sharpness
        return BlockSummary(self.n_cells + other.n_cells, sharpness)


def write_block(
    slide: SlideImage,
    own: Box,
    study: Study,
    levels: SlideLevels,
    path: Path,
    picture: WholePicture | None = None,
) -> BlockSummary:
    """Measure a block's cells (`measure_block`) and write them to `path`, whole or not at all."""
    table = arrow_table(measure_block(slide, own, study, levels, picture))
    write_parquet(path, table)
    name = _steepness(study)
    values = None if name is None else table.column(name).to_numpy()
    return BlockSummary(table.num_rows, None if values is None else log_levels(values))


def join_blocks(
    parts: Sequence[Path], study: Study, summary: BlockSummary, path: Path
) -> BlockSummary:
    """Write the slide's cells to `path`: the blocks' below each other, one in memory at a time.

    The flag out_of_focus is set here, since it compares a nucleus with all nuclei of the slide.

    Args:
        parts: of `write_block`, in the order of the blocks.
        study: the settings.
        summary: of all blocks together.
        path: of the slide's cells.

    Returns:
        `summary`.

    Raises:
        ImageError: two blocks measured one cell: labels that lie in pieces too far apart.
    """
    write_parquet_rows(path, _checked(parts, study, summary))
    return summary


def _checked(parts: Sequence[Path], study: Study, summary: BlockSummary) -> Iterator[pa.Table]:
    # A bit a label: a slide's labels run from 1 to about the number of its cells.
    seen = np.zeros(0, dtype=bool)
    for part in parts:
        table = pq.read_table(part)
        ids = table.column(CELL_ID.name).to_numpy()
        if ids.size and ids[-1] >= seen.size:
            seen = np.concatenate([seen, np.zeros(2 * int(ids[-1]), dtype=bool)])
        if seen[ids].any():
            raise ImageError(
                f"cell {ids[seen[ids]][0]} is in two places of the slide: a label must be one "
                "object, with nothing of it far from the rest"
            )
        seen[ids] = True
        yield _with_focus(table, study, summary)


def _with_focus(table: pa.Table, study: Study, summary: BlockSummary) -> pa.Table:
    name = _steepness(study)
    if name is None or summary.sharpness is None:
        return table
    blurred = outliers_below(
        table.column(name).to_numpy(), summary.sharpness, QualityLimits().blur_sd
    )
    place = table.schema.get_field_index(OUT_OF_FOCUS.name)
    return table.set_column(place, table.schema.field(place), pa.array(blurred))


def _steepness(study: Study) -> str | None:
    nuclei = study.segmentation.nuclei
    return None if nuclei is None else EDGE_STEEPNESS.bind(channel=nuclei.channel).name
