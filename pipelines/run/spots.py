"""How many molecules spots are: decided over the images of a batch, once all are measured.

Spots of a slide are read a block at a time. A clump may go on in another block, so what such clumps
hold in all is added up first; cells may too, and their spots are summed up.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.columns import Column
from measurements.regions import Floats
from measurements.spots.cells import (
    SUMS,
    SpotValues,
    count_in_cells,
    molecules_of,
    sums_in_cells,
)
from measurements.spots.columns import (
    SPOT_CELL,
    SPOT_CHANNEL,
    SPOT_CLUMP,
    SPOT_IN_NUCLEUS,
    SPOT_INTEGRATED,
    SPOT_ISOLATED,
    SPOT_MOLECULES,
    SPOT_REJECTED,
)
from measurements.spots.molecules import ClumpTotals, single_intensity
from measurements.spots.score import ScoreTable
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.settling import Decision, batches_of, of_channel, settle, together
from pipelines.study import Study
from pipelines.study.csv_table import Value
from pipelines.study.spots import Spots
from pipelines.tables import append_arrow, row_groups, write_parquet_rows

Singles = Decision[Spots, float]
"""Light of one molecule, image by image."""


def settle_spots(
    study: Study, layout: Layout, parts: Sequence[Part]
) -> tuple[list[Part], list[Mapping[str, object]]]:
    """Decide what one molecule's light is, count the molecules of every cell, write the spots.

    Args:
        study: the settings.
        layout: the run's files.
        parts: the images.

    Returns:
        The images with their counts added, and the rows of tables/thresholds.csv.
    """
    asked_for = [m for m in study.measurements if isinstance(m, Spots)]
    decisions = [_decide(settings, layout, parts) for settings in asked_for]
    return settle(study, parts, decisions, lambda part: _settle(part, layout, decisions))


def _decide(settings: Spots, layout: Layout, parts: Sequence[Part]) -> Singles:
    batches = batches_of(parts, settings.by)
    decided = [_decide_batch(settings, layout, *batch) for batch in batches.items()]
    return together(settings, decided)


def _decide_batch(settings: Spots, layout: Layout, batch: Value, parts: Sequence[Part]) -> Singles:
    light = np.concatenate([_isolated(layout, part.image_id, settings) for part in parts])
    single = settings.single or single_intensity(light)
    row = _row(settings, batch, single, light.size)
    return Decision(settings, dict.fromkeys((part.image_id for part in parts), single), [row])


def _row(settings: Spots, batch: Value, single: float, n: int) -> Mapping[str, object]:
    note = f"light of one molecule, grey values x px, from {n} isolated spots in cells"
    if settings.single is not None:
        note = "light of one molecule, grey values x px, as the study gives it"
    elif np.isnan(single):
        note = (
            f"only {n} isolated spots in cells, too few to tell the light of one molecule: every "
            "spot counts as one, clusters too"
        )
    return {
        "name": f"{settings.channel}_molecules",
        "of": SPOT_INTEGRATED.name,
        "rule": "fixed" if settings.single is not None else "single_molecule",
        "by": settings.by,
        "batch": batch,
        "threshold": single,
        "note": note,
    }


def _isolated(layout: Layout, image_id: str, settings: Spots) -> Floats:
    """Light of an image's isolated spots."""
    columns = (SPOT_CHANNEL, SPOT_ISOLATED, SPOT_REJECTED, SPOT_CELL, SPOT_INTEGRATED)
    blocks = row_groups(layout.found_spots_part(image_id), [column.name for column in columns])
    of_blocks = (of_channel(block, SPOT_CHANNEL, settings.channel) for block in blocks)
    return np.concatenate([_isolated_of(spots) for spots in of_blocks])


def _isolated_of(spots: pa.Table) -> Floats:
    chosen = _flags(spots, SPOT_ISOLATED) & ~_flags(spots, SPOT_REJECTED)
    chosen &= spots.column(SPOT_CELL.name).to_numpy() > 0  # what lies outside is often noise
    light: Floats = spots.column(SPOT_INTEGRATED.name).to_numpy()[chosen]
    return light


def _settle(part: Part, layout: Layout, decisions: Sequence[Singles]) -> Part:
    """Count one image's molecules, and write its spots; of a slide one block after the other."""
    path, ids = layout.found_spots_part(part.image_id), part.values("cell_id").astype(np.uint32)
    order = np.argsort(ids)  # cells of a slide are in the order of its blocks
    ids = ids[order]
    across = [_across(path, each, part.image_id) for each in decisions]
    sums = [np.zeros((SUMS, ids.size)) for _ in decisions]

    def counted() -> Iterator[pa.Table]:
        for block in row_groups(path):
            tables = []
            for each, clumps, of_cells in zip(decisions, across, sums, strict=True):
                found = of_channel(block, SPOT_CHANNEL, each.settings.channel)
                spots = _values(found)
                molecules = molecules_of(spots, each.rules[part.image_id], clumps)
                here = np.isin(ids, spots.cell)
                of_cells[:, order[here]] += sums_in_cells(spots, molecules, ids[here])
                tables.append(append_arrow(found, SPOT_MOLECULES, pa.array(molecules)))
            yield pa.concat_tables(tables)

    write_parquet_rows(layout.spots_part(part.image_id), counted())
    columns: dict[Column, NDArray[np.generic]] = {}
    for each, of_cells in zip(decisions, sums, strict=True):
        table = ScoreTable(each.settings.bounds, each.settings.clustered)
        columns |= count_in_cells(each.settings.channel, of_cells, table)
    return part.adding(columns)


def _across(path: Path, decision: Singles, image_id: str) -> ClumpTotals | None:
    """What the clumps hold that lie in several blocks; None where none do."""
    channel, single = decision.settings.channel, decision.rules[image_id]
    if pq.read_metadata(path).num_row_groups < 2 or np.isnan(single):
        return None
    seen, cut = np.zeros(0, dtype=bool), [np.zeros(0, dtype=np.int64)]
    for block in row_groups(path, [SPOT_CHANNEL.name, SPOT_CLUMP.name]):
        found = of_channel(block, SPOT_CHANNEL, channel).column(SPOT_CLUMP.name).to_numpy()
        clumps = np.unique(found)
        more = int(clumps.max(initial=-1)) + 1 - seen.size
        seen = np.concatenate([seen, np.zeros(max(0, 2 * more), dtype=bool)])
        cut.append(clumps[seen[clumps]])
        seen[clumps] = True
    wanted = np.unique(np.concatenate(cut))
    if not wanted.size:
        return None
    of_blocks = (
        _values(of_channel(block, SPOT_CHANNEL, channel)).clumps(single)
        for block in row_groups(path)
    )
    return reduce(add, (each.where(np.isin(each.clump, wanted)) for each in of_blocks))


def _values(found: pa.Table) -> SpotValues:
    return SpotValues(
        found.column(SPOT_CELL.name).to_numpy(),
        _flags(found, SPOT_IN_NUCLEUS),
        found.column(SPOT_INTEGRATED.name).to_numpy(),
        found.column(SPOT_CLUMP.name).to_numpy(),
        _flags(found, SPOT_REJECTED),
    )


def _flags(table: pa.Table, column: Column) -> NDArray[np.bool_]:
    return np.asarray(table.column(column.name).to_numpy(zero_copy_only=False), dtype=bool)
