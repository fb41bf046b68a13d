"""Single cells in a report: for every column those at its ends, in its middle and at its gate."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image

from pipelines.report.data import SEPARATOR, RunData, known_kind, readable
from pipelines.report.tables import format_number
from pipelines.run.layout import Layout

WEBP_QUALITY = 82
NEEDED = {
    "column", "channel", "low", "high", "side", "unit", "place", "group", "image_id", "cell_id",
    "value", "file",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Portrait:
    """One cell: its picture as data URI, its image and number there, its value with the unit."""

    source: str
    image: str
    number: str
    value: str

    @property
    def name(self) -> str:
        """The image and the number in it."""
        return f"{self.image} · {self.number}"


@dataclass(frozen=True, slots=True)
class Strip:
    """The cells of one column.

    Attributes:
        title: the column's name in words.
        note: what is shown, how wide, with which contrast.
        groups: names of the groups.
        rows: a place and, for each group, its cells.
    """

    title: str
    note: str
    groups: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[Portrait, ...], ...]], ...]


def portrait_strips(run: RunData) -> list[Strip]:
    """The cells that a run has drawn; none where it has drawn none."""
    folder = Layout(run.folder).portraits
    table = _read(folder / "cells.csv")
    if table is None:
        return []
    columns = table["column"].unique(maintain_order=True)
    strips = [_strip(run, table.filter(pl.col("column") == name), folder) for name in columns]
    return [strip for strip in strips if strip.rows]


def _read(path: Path) -> pl.DataFrame | None:
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError):
        return None
    return table.fill_null("") if set(table.columns) >= NEEDED else None


def _strip(run: RunData, table: pl.DataFrame, folder: Path) -> Strip:
    first = table.row(0, named=True)
    column = str(first["column"])
    unit = run.definitions[column].unit if column in run.definitions else "1"
    groups = table["group"].unique(maintain_order=True).to_list()
    rows = []
    for place in table["place"].unique(maintain_order=True):
        mine = table.filter(pl.col("place") == place)
        cells = tuple(
            tuple(
                portrait
                for row in mine.filter(pl.col("group") == group).iter_rows(named=True)
                if (portrait := _portrait(row, unit, folder)) is not None
            )
            for group in groups
        )
        if any(cells):
            rows.append((str(place), cells))
    names = tuple(_group_name(run, group) for group in groups)
    return Strip(readable(column), _note(first), names, tuple(rows))


def _group_name(run: RunData, group: str) -> str:
    """A bare number says little above pictures: dose 3, not 3."""
    columns = [name for name in run.listed("group_columns") if name in run.definitions]
    parts = group.split(SEPARATOR)
    if len(parts) != len(columns):
        return group
    return SEPARATOR.join(
        f"{readable(name)} {part}" if known_kind(run.definitions, name) == "number" else part
        for name, part in zip(columns, parts, strict=True)
    )


def _note(row: Mapping[str, str]) -> str:
    side, low, high = (format_number(_number(row[name])) for name in ("side", "low", "high"))
    return (
        f"Channel {row['channel']}, values {low} (black) to {high} (white) in all pictures, "
        f"which are {side} {row['unit']} wide."
    )


def _portrait(row: Mapping[str, str], unit: str, folder: Path) -> Portrait | None:
    """The cell with its picture; None where the file is missing, broken or not of this run."""
    name = row["file"]
    if Path(name).name != name:
        return None
    buffer = io.BytesIO()
    try:
        with Image.open(folder / name) as image:
            image.convert("RGB").save(buffer, format="WEBP", quality=WEBP_QUALITY, method=4)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    source = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    suffix = "" if unit in {"1", "count", "flag"} else f" {unit}"
    value = _short(_number(row["value"])) + suffix
    return Portrait(source, row["image_id"], row["cell_id"], value)


def _short(value: float | None) -> str:
    """A value that fits under a small picture: two digits where it begins with many zeros."""
    return f"{value:.2g}" if value and abs(value) < 0.01 else format_number(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
