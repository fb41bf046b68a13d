"""From the images' parts to the study's tables: cells, foci, aggregates, failures, provenance."""

import csv
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from measurements.columns import Column
from pipelines.errors import StudyError
from pipelines.run.aggregate import summarise_cells, summarise_units
from pipelines.run.layout import Layout, read_part
from pipelines.run.positivity import SEED, THRESHOLD_COLUMNS, Gates, decide_gates, gate_cells
from pipelines.run.provenance import fingerprint, machine, versions
from pipelines.run.task import Failure, ImageOutcome, ImageTask
from pipelines.study.check import Checked
from pipelines.study.csv_table import Value
from pipelines.study.design import group_columns, unit_columns
from pipelines.study.samples import ImageRow, Samples
from pipelines.tables import (
    aggregated_columns,
    definitions,
    with_constants,
    write_csv,
    write_parquet_rows,
    write_text,
)
from segmentation.catalogue import weights_file, weights_sha256

IMAGE_ID = Column("image_id", "key", "str", "Name of the image.", "sample table", aggregate=False)
FAILURE_COLUMNS = ("image_id", "stage", "error")
COLUMN_COLUMNS = ("table", "column", "unit", "dtype", "meaning", "source")


@dataclass(frozen=True)
class Gathered:
    """How much the tables hold."""

    n_images: int
    n_cells: int
    n_failed: int


@dataclass(frozen=True)
class _Part:
    """One image that is in the tables."""

    row: ImageRow
    marker: Mapping[str, Any]


def gather(
    checked: Checked,
    output: Path,
    tasks: Sequence[ImageTask],
    outcomes: Sequence[ImageOutcome],
    started: float,
) -> Gathered:
    """Write every table of the study from the parts of its images.

    Args:
        checked: the study and its images.
        output: folder of the run.
        tasks: what was worked on; its keys say which parts belong to the present settings.
        outcomes: what became of the tasks.
        started: seconds since the epoch.
    """
    layout = Layout(output)
    parts = _parts(checked.samples, layout, tasks[0].measurement_key)
    failures = _failures(checked.samples, layout, outcomes)
    gates = decide_gates(
        checked.study, [(part.row, layout.cells_part(part.row.image_id)) for part in parts]
    )
    _write_rows(parts, layout, checked.samples.columns, gates)
    _write_aggregates(checked, parts, layout)
    _write_columns(layout)
    write_csv(layout.table("thresholds"), gates.rows(), THRESHOLD_COLUMNS)
    write_csv(layout.failures, [vars(f) for f in failures], FAILURE_COLUMNS)
    _write_provenance(checked, layout, parts, tasks, started)
    n_cells = sum(part.marker["n_cells"] for part in parts)
    return Gathered(len(parts), n_cells, len(failures))


def _parts(samples: Samples, layout: Layout, measurement_key: str) -> list[_Part]:
    """The images measured with the present settings, in the order of the sample table."""
    found = [(row, read_part(layout, row.image_id)) for row in samples.rows]
    return [
        _Part(row, marker)
        for row, marker in found
        if marker is not None and marker["measurement_key"] == measurement_key
    ]


def _failures(samples: Samples, layout: Layout, outcomes: Iterable[ImageOutcome]) -> list[Failure]:
    """This run's failures, and earlier ones of images that this run left out."""
    now = {outcome.image_id: outcome.failure for outcome in outcomes}
    earlier: dict[str, Failure] = {}
    if layout.failures.is_file():
        with layout.failures.open(newline="", encoding="utf-8") as file:
            earlier = {line["image_id"]: Failure(**line) for line in csv.DictReader(file)}
    chosen = [
        now[row.image_id] if row.image_id in now else earlier.get(row.image_id)
        for row in samples.rows
    ]
    return [failure for failure in chosen if failure is not None]


def _write_rows(
    parts: Sequence[_Part], layout: Layout, sample_columns: Sequence[str], gates: Gates
) -> None:
    """tables/cells.parquet and foci.parquet, one image at a time."""
    _check_names(parts, layout, sample_columns)
    columns = _sample_definitions(parts, sample_columns)
    with_foci = [part for part in parts if layout.foci_part(part.row.image_id).is_file()]
    write_parquet_rows(
        layout.cells,
        (
            with_constants(
                gate_cells(pq.read_table(layout.cells_part(p.row.image_id)), p.row, gates),
                _constants(p.row, columns),
            )
            for p in parts
        ),
    )
    write_parquet_rows(
        layout.foci,
        (
            with_constants(
                pq.read_table(layout.foci_part(p.row.image_id)), _constants(p.row, columns)
            )
            for p in with_foci
        ),
    )


def _check_names(parts: Sequence[_Part], layout: Layout, sample_columns: Sequence[str]) -> None:
    """A sample column must not hide a measured one."""
    measured = pq.read_schema(layout.cells_part(parts[0].row.image_id)).names if parts else []
    if twice := sorted({*sample_columns} & {IMAGE_ID.name, *measured}):
        raise StudyError(
            f"samples: {', '.join(twice)}: senescope measures a column of that name; "
            "rename it in the sample table. What was measured is kept."
        )


def _constants(row: ImageRow, columns: Sequence[Column]) -> dict[Column, Value]:
    """The image's id and sample columns, the same in each of its rows."""
    return {IMAGE_ID: row.image_id, **{c: row.sample[c.name] for c in columns}}


def _sample_definitions(parts: Sequence[_Part], names: Sequence[str]) -> list[Column]:
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


def _write_aggregates(checked: Checked, parts: Sequence[_Part], layout: Layout) -> None:
    """images.csv, samples.csv and groups.csv."""
    if not parts:
        for level in ("images", "samples", "groups"):
            write_csv(layout.table(level), [], ("n_cells",))
        return
    study, samples = checked.study, checked.samples
    numbers, flags = aggregated_columns(pq.read_schema(layout.cells))
    present = set(pq.read_schema(layout.cells).names)
    exclude = [name for name in study.exclude.flags if name in present]
    units, groups = unit_columns(study, samples) or ("image_id",), group_columns(study)
    base = pl.from_dicts(
        [{"image_id": p.row.image_id, **p.row.sample} for p in parts], infer_schema_length=None
    )
    quality = pl.from_dicts([dict(p.marker["summary"]) for p in parts], infer_schema_length=None)
    images = _joined(
        base.hstack(quality), summarise_cells(layout.cells, ["image_id"], numbers, flags, exclude)
    )
    counts = base.group_by(units, maintain_order=True).agg(pl.len().alias("n_images"))
    by_unit = _joined(counts, summarise_cells(layout.cells, units, numbers, flags, exclude))
    _write_frame(layout.table("images"), images)
    _write_frame(layout.table("samples"), by_unit.sort(units, nulls_last=True))
    by_group = summarise_units(by_unit, groups) if groups else pl.DataFrame()
    _write_frame(layout.table("groups"), by_group)


def _joined(base: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
    """`base` with the summaries behind it; a row without a cell has n_cells 0."""
    keys = [name for name in base.columns if name in summary.columns]
    joined = base.join(summary, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(pl.col("n_cells", "n_excluded").fill_null(0))


def _write_frame(path: Path, frame: pl.DataFrame) -> None:
    write_csv(path, frame.to_dicts(), frame.columns or ["n_units"])


def _write_columns(layout: Layout) -> None:
    """tables/columns.csv, from the definitions in the tables themselves."""
    rows = [
        row
        for path in (layout.cells, layout.foci)
        if path.is_file()
        for row in definitions(pq.read_schema(path), path.stem)
    ]
    write_csv(layout.table("columns"), rows, COLUMN_COLUMNS)


def _write_provenance(
    checked: Checked,
    layout: Layout,
    parts: Sequence[_Part],
    tasks: Sequence[ImageTask],
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
            "outcomes": list(study.statistics.outcomes) if study.statistics else [],
        },
        "settings": study.model_dump(mode="json"),
        "warnings": [f"{p.where}: {p.message}" for p in checked.problems],
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
        "seeds": {"gating": SEED},
        "versions": versions(),
        "machine": machine(),
        "started": _iso(started),
        "finished": _iso(ended),
        "seconds": round(ended - started, 1),
        "images": [
            {"image_id": part.row.image_id, "files": part.marker["files"]} for part in parts
        ],
    }
    write_text(layout.provenance, json.dumps(content, indent=1, ensure_ascii=False))


def _weights_hash(weights: str) -> str | None:
    path = weights_file(weights)
    return weights_sha256(path) if path is not None else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
