"""densities.csv: cells of a class, and what they hold, for each mm² of tissue."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from measurements.columns import Column
from measurements.errors import MeasurementError
from measurements.spread import Section, find_window
from pipelines.errors import StudyError
from pipelines.run.cohort import Cohort, cohort_of
from pipelines.run.layout import Layout
from pipelines.run.section_values import IMAGE, LEVEL, N_CELLS, N_IMAGES, Row, with_units
from pipelines.selection import chosen, place_of, written_otherwise
from pipelines.study.check import Checked
from pipelines.study.density import Density
from pipelines.study.messages import nearest
from pipelines.tables import write_csv

SOURCE = "cells.parquet"
MM2 = 1e6
TISSUE = Column(
    "tissue_mm2", "mm²", "float64", "Area that cells fill, lumens and tears included: all places "
    "within half the cells' distance of one, gaps of up to six distances closed.",
    "measurements.spread.find_window",
)  # fmt: skip
FRAME = Column("image_mm2", "mm²", "float64", "Area of the image.", "image file")


def write_densities(
    checked: Checked, layout: Layout, frames: dict[str, float]
) -> dict[str, list[Column]]:
    """Write the table, or remove it where the study does not ask.

    Args:
        checked: the study and its images.
        layout: of the run, whose cells table is written.
        frames: area of every image in the tables, µm²; NaN where its pixel size is unknown.

    Returns:
        Table -> its columns.

    Raises:
        StudyError: the cells table lacks a column that is asked for.
    """
    asked = [m for m in checked.study.measurements if isinstance(m, Density)]
    if not asked or not layout.cells.is_file():
        layout.table("densities").unlink(missing_ok=True)
        return {}
    cohort = cohort_of(checked, layout)
    cells = _read(layout, asked, cohort)
    samples = {row.image_id: row.sample for row in checked.samples.rows}
    names = [name for name in cohort.unit_names if name != IMAGE.name]
    rows = [
        _image_row(image_id, area, cells.filter(pl.col("image_id") == image_id), asked)
        | {name: samples[image_id][name] for name in names}
        for image_id, area in frames.items()
    ]
    own = _columns(asked)
    sums = [c.name for c in (N_CELLS, TISSUE, FRAME, *own) if not c.name.endswith("_per_mm2")]
    areas = {m.name: (TISSUE if m.area == "tissue" else FRAME).name for m in asked}
    means = {name: areas[m.name] for m in asked for name in _names(m) if name.endswith("_per_mm2")}
    written = with_units(rows, cohort.unit_names, sums, means)
    columns = [LEVEL, IMAGE, *(u for u in cohort.units if u.name != IMAGE.name)]
    columns += [N_IMAGES, N_CELLS, TISSUE, FRAME, *own]
    write_csv(layout.table("densities"), written, [column.name for column in columns])
    return {"densities": columns}


def _names(settings: Density) -> list[str]:
    sums = [f"{settings.name}_{column}" for column in settings.sums]
    return [name for of in (settings.name, *sums) for name in (f"{of}_n", f"{of}_per_mm2")]


def _columns(asked: Sequence[Density]) -> list[Column]:
    found = []
    for m in asked:
        which = ", ".join(f"{name} {value}" for name, value in m.cells.items())
        area, cells = f"{m.area}_mm2", f"cells with {which}"
        each = f"for each mm² of {m.area}"
        found += [
            Column(f"{m.name}_n", "count", "int64", f"Number of {cells}.", SOURCE),
            _per_mm2(m.name, f"Number of {cells} {each}.", area),
        ]
        for column in m.sums:
            of, sums = f"{m.name}_{column}", f"Sum of {column} over {cells}"
            found += [
                Column(f"{of}_n", "count", "float64", f"{sums}.", SOURCE),
                _per_mm2(of, f"{sums} {each}.", area),
            ]
    return found


def _per_mm2(of: str, meaning: str, area: str) -> Column:
    return Column(f"{of}_per_mm2", "1/mm²", "float64", meaning, f"{of}_n / {area}")


def _read(layout: Layout, asked: Sequence[Density], cohort: Cohort) -> pl.DataFrame:
    """Cells that are not excluded: image, place, which classes they are of, and what is summed."""
    known = pq.read_schema(layout.cells).names
    place = place_of(known)
    if place is None:
        raise StudyError(
            "measurements.density: cells have no place in µm; add {type: morphology}, and "
            "pixel_size_um where the images have none. What was measured is kept."
        )
    for m in asked:
        for name in (*m.cells, *m.sums):
            if name not in known:
                raise StudyError(
                    f"measurements.density ({m.name}): the cells table has no column '{name}'; "
                    f"{nearest(name, known)} What was measured is kept."
                )
        if otherwise := written_otherwise(m.cells, pl.scan_parquet(layout.cells)):
            raise StudyError(
                f"measurements.density ({m.name}): {otherwise}. What was measured is kept."
            )
    places = [f"{place}_{axis}_um" for axis in "yx"]
    needed = [n for m in asked for n in (*m.cells, *m.sums)]
    wanted = dict.fromkeys(["image_id", *places, *needed, *cohort.exclude])
    cells = cohort.kept(pl.read_parquet(layout.cells, columns=list(wanted)))
    sums = dict.fromkeys(column for m in asked for column in m.sums)
    return cells.select(
        "image_id",
        pl.col(places[0]).alias("_y"),
        pl.col(places[1]).alias("_x"),
        *(chosen(m.cells).alias(f"_is_{m.name}") for m in asked),
        *(pl.col(column).cast(pl.Float64).alias(f"_of_{column}") for column in sums),
    )


def _image_row(image_id: str, frame: float, cells: pl.DataFrame, asked: Sequence[Density]) -> Row:
    areas = {"tissue": float(np.fmin(_tissue(cells), frame / MM2)), "image": frame / MM2}
    row: Row = {IMAGE.name: image_id, N_CELLS.name: cells.height}
    row |= {TISSUE.name: areas["tissue"], FRAME.name: areas["image"]}
    for m in asked:
        mine = cells.filter(pl.col(f"_is_{m.name}"))
        totals: dict[str, float | int] = {m.name: mine.height}
        for column in m.sums:
            totals[f"{m.name}_{column}"] = float(mine[f"_of_{column}"].fill_nan(0).sum())
        for of, total in totals.items():
            area = areas[m.area]
            row |= {f"{of}_n": total, f"{of}_per_mm2": total / area if area > 0 else np.nan}
    return row


def _tissue(cells: pl.DataFrame) -> float:
    """Area that the cells fill, mm²; NaN where they do not span any."""
    n = cells.height
    section = Section.of(cells.select("_y", "_x").to_numpy(), np.zeros(n), np.zeros(n))
    try:
        return find_window(section.positions, section.spacing).area / MM2
    except MeasurementError:
        return float("nan")
