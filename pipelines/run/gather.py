"""From the images' parts to the study's tables: cells, foci, aggregates, failures, provenance."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from measurements.columns import Column
from pipelines.field.summary import summary_columns
from pipelines.review.labels import corrected_warnings
from pipelines.review.store import apply_exclusions
from pipelines.run.batch_light import light_warnings
from pipelines.run.borrowed_light import settle_light
from pipelines.run.channel_doubts import channel_warnings
from pipelines.run.copositivity import write_together
from pipelines.run.densities import write_densities
from pipelines.run.foci import settle_foci
from pipelines.run.foci_doubts import foci_warnings
from pipelines.run.judge import judge
from pipelines.run.layout import Layout
from pipelines.run.levels import write_levels
from pipelines.run.parts import Part, read_parts
from pipelines.run.picture import pictures_to_draw
from pipelines.run.positivity import THRESHOLD_COLUMNS, decide_gates
from pipelines.run.record import write_provenance
from pipelines.run.references import References
from pipelines.run.reporters import (
    BLEED_COLUMNS,
    bleed_through_rows,
    raised_gates,
    report_reporters,
)
from pipelines.run.rows import IMAGE_ID, write_rows
from pipelines.run.shifted import shift_warnings
from pipelines.run.spots import settle_spots
from pipelines.run.spread import write_spread
from pipelines.run.stain_gates import stain_warnings
from pipelines.run.task import Failure, ImageOutcome, ImageTask, PictureTask
from pipelines.run.zonation import settle_zones, write_zonation
from pipelines.statistics import (
    POWER_COLUMNS,
    STATISTICS_COLUMNS,
    power_rows,
    statistics_rows,
)
from pipelines.study import Study
from pipelines.study.check import Checked
from pipelines.study.row import ImageRow
from pipelines.tables import columns_of, definition_rows, write_csv

FAILURE_COLUMNS = (
    IMAGE_ID,
    Column("stage", "key", "str", "Where it failed: read, segment, measure or write.", "run"),
    Column("error", "key", "str", "Why, in words.", "run"),
)
COLUMN_COLUMNS = (
    Column("table", "key", "str", "Table without its ending; image_flags are the flags in "
           "images.csv.", "run"),
    Column("column", "key", "str", "Column of the table.", "run"),
    Column("unit", "key", "str", "Unit of its values: a.u. for grey values of the file, 1 for "
           "ratios, flag for true and false, key for names.", "run"),
    Column("dtype", "key", "str", "Type of its values, as Parquet has it.", "run"),
    Column("meaning", "key", "str", "What it is.", "run"),
    Column("source", "key", "str", "Where the definition comes from.", "run"),
)  # fmt: skip


@dataclass(frozen=True)
class Gathered:
    """How much the tables hold, and the pictures that do not show it yet."""

    n_images: int
    n_cells: int
    n_failed: int
    pictures: Sequence[PictureTask]
    warnings: tuple[str, ...]


def gather(
    checked: Checked,
    output: Path,
    tasks: Sequence[ImageTask],
    outcomes: Sequence[ImageOutcome],
    references: References,
    started: float,
) -> Gathered:
    """Write every table of the study from the parts of its images.

    Args:
        checked: the study and its images.
        output: folder of the run.
        tasks: what was worked on; its keys say which parts belong to the present settings.
        outcomes: what became of the tasks.
        references: what else images were measured with.
        started: seconds since the epoch.
    """
    layout = Layout(output)
    key = tasks[0].measurement_key
    measured, controls = (
        judge(checked.study, read_parts(table.rows, layout, key))
        for table in (checked.samples, checked.controls)
    )
    lit = settle_light(checked, layout, references, measured)
    reviewed = apply_exclusions(checked.study, lit.parts, layout)
    checked, measured = replace(checked, study=reviewed.study), reviewed.parts
    counted, foci_thresholds = settle_foci(checked.study, layout, measured)
    counted, singles = settle_spots(checked.study, layout, counted)
    reported = report_reporters(checked.study, counted, controls)
    by_hand = corrected_warnings(layout, (part.image_id for part in measured))
    reported = replace(reported, warnings=(*by_hand, *reviewed.warnings, *reported.warnings))
    zoned = settle_zones(checked, reported.parts)
    reported = replace(reported, parts=zoned.parts)
    parts = reported.parts
    failures = _failures(checked.rows, layout, outcomes)
    gates = raised_gates(decide_gates(reported.study, parts, reported.controls), reported)
    shifted = shift_warnings(reported.study, parts, reported.controls)
    of_channels = (
        *channel_warnings(reported.study, parts),
        *light_warnings(reported.study, parts),
    )
    of_stain = stain_warnings(reported.study, parts, lit.refused)
    of_foci = foci_warnings(reported.study, parts)
    doubts = (*of_channels, *gates.warnings(), *of_stain, *of_foci, *shifted)
    reported = replace(reported, warnings=(*reported.warnings, *doubts))
    write_rows(parts, layout, checked, gates)
    tables = {
        path.stem: columns_of(pq.read_schema(path))
        for path in (layout.cells, layout.foci, layout.spots)
        if path.is_file()
    }
    tables |= write_levels(checked, parts, layout, gates)
    tables |= write_zonation(checked, layout, zoned.rows)
    tables |= write_densities(checked, layout, {part.image_id: _area(part) for part in parts})
    tables |= _write_statistics(reported.study, layout)
    tables |= write_together(checked, parts, layout, gates)
    tables |= write_spread(checked, layout)
    thresholds = [*gates.rows(), *foci_thresholds, *singles]
    _write_table(layout.table("thresholds"), thresholds, THRESHOLD_COLUMNS)
    _write_table(layout.failures, [vars(f) for f in failures], FAILURE_COLUMNS)
    if checked.controls.rows:
        _write_table(layout.table("bleed_through"), bleed_through_rows(reported), BLEED_COLUMNS)
        tables["bleed_through"] = list(BLEED_COLUMNS)
    else:
        layout.table("bleed_through").unlink(missing_ok=True)
    of_images = summary_columns(checked.study.planes)
    tables |= {
        "image_flags": [column for column in of_images if column.unit == "flag"],
        "thresholds": list(THRESHOLD_COLUMNS),
        "failures": list(FAILURE_COLUMNS),
        "columns": list(COLUMN_COLUMNS),
    }
    rows = [row for name, columns in tables.items() for row in definition_rows(name, columns)]
    _write_table(layout.table("columns"), rows, COLUMN_COLUMNS)
    inputs = references.inputs | ({"borrowed_light": lit.lent} if lit.lent else {})
    write_provenance(checked, layout, reported, tasks, inputs, gates, started)
    studies = {task.row.image_id: task.study for task in tasks}
    pictures = pictures_to_draw(checked, studies, layout, parts, gates)
    n_cells = sum(part.n_cells for part in parts)
    return Gathered(len(parts), n_cells, len(failures), pictures, reported.warnings)


def _area(part: Part) -> float:
    """Area of an image, µm²; NaN where its pixel size is unknown."""
    summary = part.marker["summary"]
    size = summary["pixel_size_um"] or float("nan")
    return float(summary["height_px"] * summary["width_px"] * size**2)


def _write_table(
    path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[Column]
) -> None:
    write_csv(path, rows, [column.name for column in columns])


def _write_statistics(study: Study, layout: Layout) -> dict[str, list[Column]]:
    """statistics.csv and power.csv, where the study compares anything."""
    columns = {"statistics": STATISTICS_COLUMNS, "power": POWER_COLUMNS}
    if study.statistics is None:
        for name in columns:
            layout.table(name).unlink(missing_ok=True)
        return {}
    rows = {
        "statistics": statistics_rows(study, layout.cells),
        "power": power_rows(study, layout.cells),
    }
    for name, defined in columns.items():
        _write_table(layout.table(name), rows[name], defined)
    return {name: list(defined) for name, defined in columns.items()}


def _failures(
    rows: Sequence[ImageRow], layout: Layout, outcomes: Iterable[ImageOutcome]
) -> list[Failure]:
    """This run's failures, and earlier ones of images that this run left out."""
    now = {outcome.image_id: outcome.failure for outcome in outcomes}
    earlier: dict[str, Failure] = {}
    if layout.failures.is_file():
        with layout.failures.open(newline="", encoding="utf-8") as file:
            earlier = {line["image_id"]: Failure(**line) for line in csv.DictReader(file)}
    chosen = [
        now[row.image_id] if row.image_id in now else earlier.get(row.image_id) for row in rows
    ]
    return [failure for failure in chosen if failure is not None]
