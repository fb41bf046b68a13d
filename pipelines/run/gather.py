"""From the images' parts to the study's tables: cells, foci, aggregates, failures, provenance."""

import csv
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from measurements.columns import Column
from pipelines.errors import StudyError
from pipelines.field.summary import summary_columns
from pipelines.review.store import apply_exclusions
from pipelines.run.copositivity import write_together
from pipelines.run.densities import write_densities
from pipelines.run.foci import settle_foci
from pipelines.run.judge import judge
from pipelines.run.layout import Layout
from pipelines.run.levels import write_levels
from pipelines.run.parts import Part, read_parts
from pipelines.run.picture import pictures_to_draw
from pipelines.run.positivity import (
    SEED,
    THRESHOLD_COLUMNS,
    Gates,
    decide_gates,
    positive_columns,
)
from pipelines.run.provenance import fingerprint, machine, versions
from pipelines.run.reporters import (
    BLEED_COLUMNS,
    Reported,
    bleed_through_rows,
    class_columns,
    raised_gates,
    report_reporters,
)
from pipelines.run.spots import settle_spots
from pipelines.run.spread import write_spread
from pipelines.run.spread_pairs import with_distances
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
from pipelines.study.csv_table import Value
from pipelines.study.design import group_columns, unit_columns
from pipelines.study.messages import nearest
from pipelines.study.neighbours import Neighbours
from pipelines.study.reporters import Reporters
from pipelines.study.row import ImageRow
from pipelines.tables import (
    append_arrow,
    columns_of,
    definition_rows,
    row_groups,
    with_constants,
    write_csv,
    write_parquet_rows,
    write_text,
)
from segmentation.catalogue import weights_file, weights_sha256

IMAGE_ID = Column("image_id", "key", "str", "Name of the image.", "sample table", aggregate=False)
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
    references: Mapping[str, object],
    started: float,
) -> Gathered:
    """Write every table of the study from the parts of its images.

    Args:
        checked: the study and its images.
        output: folder of the run.
        tasks: what was worked on; its keys say which parts belong to the present settings.
        outcomes: what became of the tasks.
        references: what else images were measured with, for provenance.json.
        started: seconds since the epoch.
    """
    layout = Layout(output)
    key = tasks[0].measurement_key
    measured, controls = (
        judge(checked.study, read_parts(table.rows, layout, key))
        for table in (checked.samples, checked.controls)
    )
    reviewed = apply_exclusions(checked.study, measured, layout)
    checked, measured = replace(checked, study=reviewed.study), reviewed.parts
    counted, foci_thresholds = settle_foci(checked.study, layout, measured)
    counted, singles = settle_spots(checked.study, layout, counted)
    reported = report_reporters(checked.study, counted, controls)
    reported = replace(reported, warnings=(*reviewed.warnings, *reported.warnings))
    zoned = settle_zones(checked, reported.parts)
    reported = replace(reported, parts=zoned.parts)
    parts = reported.parts
    failures = _failures(checked.rows, layout, outcomes)
    gates = raised_gates(decide_gates(reported.study, parts, reported.controls), reported)
    _write_rows(parts, layout, checked, gates)
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
    of_images = summary_columns(tuple(checked.study.channels))
    tables |= {
        "image_flags": [column for column in of_images if column.unit == "flag"],
        "thresholds": list(THRESHOLD_COLUMNS),
        "failures": list(FAILURE_COLUMNS),
        "columns": list(COLUMN_COLUMNS),
    }
    rows = [row for name, columns in tables.items() for row in definition_rows(name, columns)]
    _write_table(layout.table("columns"), rows, COLUMN_COLUMNS)
    _write_provenance(checked, layout, reported, tasks, references, gates, started)
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


def _write_rows(parts: Sequence[Part], layout: Layout, checked: Checked, gates: Gates) -> None:
    """tables/cells.parquet, foci.parquet and spots.parquet, one image at a time."""
    sample_columns = checked.samples.columns
    _check_names(parts, sample_columns)
    _check_excluded(parts, checked.study.exclude.flags, gates)
    columns = _sample_definitions(parts, sample_columns)
    asked = [m for m in checked.study.measurements if isinstance(m, Neighbours)]
    write_parquet_rows(
        layout.cells,
        (
            with_distances(
                with_constants(
                    _gated(part, gates, checked.study.reporters), _constants(part.row, columns)
                ),
                asked,
                checked.study.exclude.flags,
            )
            for part in parts
        ),
    )
    for table, part_of in ((layout.foci, layout.foci_part), (layout.spots, layout.spots_part)):
        found = [(part, path) for part in parts if (path := part_of(part.image_id)).is_file()]
        write_parquet_rows(
            table,
            (
                with_constants(group, _constants(part.row, columns))
                for part, path in found
                for group in row_groups(path)
            ),
        )


def _gated(part: Part, gates: Gates, reporters: Reporters | None) -> pa.Table:
    table = part.table()
    for column, called in positive_columns(part, gates):
        table = append_arrow(table, column, called)
    for column, called in class_columns(table, reporters):
        table = append_arrow(table, column, called)
    return table


def _check_names(parts: Sequence[Part], sample_columns: Sequence[str]) -> None:
    """A sample column must not hide a measured one."""
    measured = parts[0].names if parts else []
    if twice := sorted({*sample_columns} & {IMAGE_ID.name, *measured}):
        raise StudyError(
            f"samples: {', '.join(twice)}: senescope measures a column of that name; "
            "rename it in the sample table. What was measured is kept."
        )


def _check_excluded(parts: Sequence[Part], flags: Sequence[str], gates: Gates) -> None:
    """A flag that no cell can carry would exclude nothing, in silence."""
    known = {*parts[0].names, *(f"{name}_positive" for name in gates.rules)} if parts else {*flags}
    for flag in flags:
        if flag not in known:
            raise StudyError(
                f"exclude.flags: the cells table has no column '{flag}'; {nearest(flag, known)} "
                "What was measured is kept."
            )


def _constants(row: ImageRow, columns: Sequence[Column]) -> dict[Column, Value]:
    """The image's id and sample columns, the same in each of its rows."""
    return {IMAGE_ID: row.image_id, **{c: row.sample[c.name] for c in columns}}


def _sample_definitions(parts: Sequence[Part], names: Sequence[str]) -> list[Column]:
    return [
        Column(name, "", _dtype([part.row.sample[name] for part in parts]),
               f"Sample column '{name}'.", "sample table", aggregate=False)
        for name in names
    ]  # fmt: skip


def _dtype(values: Iterable[object]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if not kinds or str in kinds:
        return "str"
    return "float64" if float in kinds else "int64"


def _write_provenance(
    checked: Checked,
    layout: Layout,
    reported: Reported,
    tasks: Sequence[ImageTask],
    references: Mapping[str, object],
    gates: Gates,
    started: float,
) -> None:
    """provenance.json: inputs, settings, versions, models and times, and what a report needs."""
    study, folder, ended = checked.study, checked.path.resolve().parent, time.time()
    text = checked.path.read_text(encoding="utf-8")
    content = {
        "study": {
            "name": study.study,
            "title": study.title or study.study,
            "text": text,
            "sha256": fingerprint(text),
            "sample_columns": list(checked.samples.columns),
            "unit_columns": list(unit_columns(study, checked.samples)),
            "group_columns": list(group_columns(study)),
            "outcomes": study.statistics.model_dump(mode="json")["outcomes"]
            if study.statistics
            else [],
        },
        "settings": study.model_dump(mode="json"),
        "warnings": [*(f"{p.where}: {p.message}" for p in checked.problems), *reported.warnings],
        "keys": {
            "segmentation": tasks[0].segmentation_key,
            "measurement": tasks[0].measurement_key,
        },
        "models": [
            {"name": name, "sha256": _weights_hash(weights)}
            for name, weights in sorted(
                {(s.model, s.weights(folder)) for _, s in study.cellpose_settings()}
            )
        ],
        **references,
        "gates": {name: rule.model_dump(mode="json") for name, rule in gates.rules.items()},
        "seeds": {"gating": SEED},
        "versions": versions(),
        "machine": machine(),
        "started": _iso(started),
        "finished": _iso(ended),
        "seconds": round(ended - started, 1),
        "images": _inputs(reported.parts),
        **({"control_images": _inputs(reported.controls)} if reported.controls else {}),
    }
    write_text(layout.provenance, json.dumps(content, indent=1, ensure_ascii=False))


def _inputs(parts: Sequence[Part]) -> list[dict[str, object]]:
    return [{"image_id": part.image_id, "files": part.marker["files"]} for part in parts]


def _weights_hash(weights: str) -> str | None:
    path = weights_file(weights)
    return weights_sha256(path) if path is not None else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
