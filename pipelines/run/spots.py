"""How many molecules spots are: decided over the images of a batch, once all are measured."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.columns import Column
from measurements.spots.cells import SpotValues, count_in_cells, molecules_of
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
from measurements.spots.molecules import single_intensity
from measurements.spots.score import ScoreTable
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.study import Study
from pipelines.study.csv_table import Value
from pipelines.study.spots import Spots
from pipelines.tables import append_arrow, write_parquet

Singles = Mapping[str, float]
"""Image -> light of one molecule."""


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
    if not asked_for:
        return list(parts), []
    decided = [_singles(settings, layout, parts) for settings in asked_for]
    chosen = [(s, singles) for s, (singles, _) in zip(asked_for, decided, strict=True)]
    settled = [_settle(part, layout, chosen) for part in parts]
    return settled, [row for _, rows in decided for row in rows]


def _singles(
    settings: Spots, layout: Layout, parts: Sequence[Part]
) -> tuple[Singles, list[Mapping[str, object]]]:
    batches: dict[Value, list[str]] = {}
    for part in parts:
        batch = part.row.sample[settings.by] if settings.by else None
        batches.setdefault(batch, []).append(part.image_id)
    singles: dict[str, float] = {}
    rows: list[Mapping[str, object]] = []
    for batch, images in batches.items():
        light = np.concatenate([_isolated(layout, name, settings) for name in images])
        single = settings.single or single_intensity(light)
        singles |= dict.fromkeys(images, single)
        rows.append(_row(settings, batch, single, light.size))
    return singles, rows


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


def _isolated(layout: Layout, image_id: str, settings: Spots) -> NDArray[np.float64]:
    spots = _of_channel(pq.read_table(layout.found_spots_part(image_id)), settings)
    chosen = _flags(spots, SPOT_ISOLATED) & ~_flags(spots, SPOT_REJECTED)
    chosen &= spots.column(SPOT_CELL.name).to_numpy() > 0  # what lies outside is often noise
    light: NDArray[np.float64] = spots.column(SPOT_INTEGRATED.name).to_numpy()[chosen]
    return light


def _settle(part: Part, layout: Layout, chosen: Sequence[tuple[Spots, Singles]]) -> Part:
    """Count one image's molecules, and write its spots where that is not done."""
    every = pq.read_table(layout.found_spots_part(part.image_id))
    ids = part.values("cell_id").astype(np.uint32)
    counted: dict[Column, NDArray[np.generic]] = {}
    tables = []
    for settings, singles in chosen:
        found = _of_channel(every, settings)
        spots = SpotValues(
            found.column(SPOT_CELL.name).to_numpy(),
            _flags(found, SPOT_IN_NUCLEUS),
            found.column(SPOT_INTEGRATED.name).to_numpy(),
            found.column(SPOT_CLUMP.name).to_numpy(),
            _flags(found, SPOT_REJECTED),
        )
        molecules = molecules_of(spots, singles[part.image_id])
        table = ScoreTable(settings.bounds, settings.clustered)
        counted |= count_in_cells(settings.channel, spots, molecules, ids, table)
        tables.append(append_arrow(found, SPOT_MOLECULES, pa.array(molecules)))
    table = pa.concat_tables(tables)
    path = layout.spots_part(part.image_id)
    if not (path.is_file() and pq.read_table(path).equals(table)):
        write_parquet(path, table)
    return part.adding(counted)


def _of_channel(table: pa.Table, settings: Spots) -> pa.Table:
    names = table.column(SPOT_CHANNEL.name).to_numpy(zero_copy_only=False)
    return table.filter(pa.array(names == settings.channel))


def _flags(table: pa.Table, column: Column) -> NDArray[np.bool_]:
    return np.asarray(table.column(column.name).to_numpy(zero_copy_only=False), dtype=bool)
