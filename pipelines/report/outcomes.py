"""Which figures a report shows: the main outcomes by group, and the cells found an image."""

import re
from dataclasses import dataclass

import polars as pl

from pipelines.report.axes import Groups, Level, Quantity
from pipelines.report.data import SEPARATOR, RunData, joined, readable
from pipelines.report.superplot import Drawing, superplot

MAX_FIGURES = 8
SECTIONS = ("zonation", "densities")
BY = "by:"
MAX_LEVELS = 40
MAX_SERIES = 6
MIN_NUMBERS = 3
NOT_MEASURED = {"image_id", "cell_id", "label"}

# Where the study names no outcomes: what senescence is usually judged by, the most telling first.
CLASSES = r"^reporter_class_(?!unmeasured$)"
PREFERRED = (
    CLASSES,
    r"_positive$",
    r"foci_count$|spots?_count$",
    r"ratio$",
    r"beta_gal.*(mean|fraction)|csi",
    # With the camera's offset in, differences between groups look smaller than they are.
    r"nucleus_mean_above_background$",
    r"^(nucleus_)?area(_um2|_px2)?$",
)


@dataclass(frozen=True, slots=True)
class OutcomeFigure:
    """A figure with its heading, the definition of its column, and what it leaves out."""

    title: str
    meaning: str
    drawing: Drawing
    note: str


def outcome_columns(run: RunData) -> list[str]:
    """Columns of the cells to show first: the study's outcomes, else a choice by name.

    Where there are classes of reporters all of them are shown, so that none is dropped in silence.
    """
    measured = [
        name
        for name, definition in run.definitions.items()
        if definition.kind != "text"
        and definition.unit != "key"
        and name not in NOT_MEASURED | set(run.keys)
    ]
    named = [name for name in run.listed("outcomes") if name in measured]
    if named:
        classes = [name for name in measured if re.search(CLASSES, name)]
        return list(dict.fromkeys((*named, *classes)))[:MAX_FIGURES]
    chosen = [name for rule in PREFERRED for name in measured if re.search(rule, name)]
    return list(dict.fromkeys(chosen or measured))[:MAX_FIGURES]


def outcome_figures(run: RunData, key: str) -> list[OutcomeFigure]:
    """Draw the main outcomes.

    Args:
        run: the run.
        key: prefix that makes the figures' ids unique within the page.
    """
    figures = []
    for index, name in enumerate(outcome_columns(run)):
        definition = run.definitions[name]
        share = definition.kind == "flag"
        quantity = Quantity(readable(name), definition.unit, share)
        cells = _with_names(run, run.cells(name), name)
        aggregate = f"{name}_{'fraction' if share else 'mean'}"
        units = _unit_values(run, aggregate, cells)
        groups = _groups(run, cells)
        drawing = superplot(cells, units, quantity, groups, f"{key}-f{index}")
        if drawing is not None:
            note = " ".join(filter(None, [drawing.note, _left_out(cells)]))
            figures.append(OutcomeFigure(quantity.label, definition.meaning, drawing, note))
    return figures


def section_figures(run: RunData, key: str) -> list[OutcomeFigure]:
    """Draw the outcomes that whole sections have: images small, units large.

    Args:
        run: the run.
        key: prefix that makes the figures' ids unique within the page.
    """
    figures = []
    for name in run.listed("outcomes"):
        table = next((t for t in SECTIONS if name in run.tables[t].columns), None)
        if table is None or name in run.definitions:
            continue
        frame = run.tables[table]
        images, units = (
            _with_names(run, frame.filter(pl.col("level") == level), name)
            for level in ("image", "unit")
        )
        said = run.tables["columns"]
        unit, meaning = "1", ""
        if {"table", "column", "unit", "meaning"} <= set(said.columns):
            row = said.filter(pl.col("table") == table, pl.col("column") == name)
            unit, meaning = (row["unit"][0], row["meaning"][0]) if row.height else (unit, meaning)
        quantity = Quantity(readable(name), unit or "1")
        drawing = superplot(images, units, quantity, _groups(run, units), f"{key}-{name}")
        if drawing is not None:
            text = f"{meaning} Images (small) and units (large)."
            figures.append(OutcomeFigure(quantity.label, text, drawing, ""))
    return figures


def count_figure(run: RunData, key: str) -> OutcomeFigure | None:
    """Draw the number of cells found in each image, and its mean by unit; None for one image."""
    images = run.tables["images"]
    needed = {"image_id", "n_cells", *_group_columns(run), *_unit_columns(run)}
    if images.height == 1 or not needed <= set(images.columns):
        return None
    counts = _with_names(run, images, "n_cells")
    units = _mean_by_unit(counts)
    quantity = Quantity("cells per image", "count")
    drawing = superplot(counts, units, quantity, _groups(run, counts), key)
    if drawing is None:
        return None
    return OutcomeFigure(
        "Cells per image",
        "Number of cells found in each image (small) and its mean by unit (large).",
        drawing,
        "",
    )


def _group_columns(run: RunData) -> list[str]:
    """Columns that are compared; the unit's where the study compares nothing."""
    known = set(run.definitions) | set(run.tables["images"].columns)
    groups = [name for name in run.listed("group_columns") if name in known]
    return groups or [name for name in run.listed("unit_columns") if name in known]


def _unit_columns(run: RunData) -> list[str]:
    """Columns that tell units of one group apart; images are the units where none is named."""
    known = set(run.definitions) | set(run.tables["images"].columns)
    units = [name for name in run.listed("unit_columns") if name in known]
    return [name for name in units if name not in _group_columns(run)] if units else ["image_id"]


def _with_names(run: RunData, frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Columns ``group``, ``unit`` and ``value``, and the group columns behind a prefix.

    The prefix keeps apart what is ours and a sample column that is itself named group or value.
    """
    groups = _group_columns(run)
    return frame.select(
        *(pl.col(name).alias(BY + name) for name in groups),
        joined(frame, groups).alias("group"),
        joined(frame, _unit_columns(run)).alias("unit"),
        pl.col(column).cast(pl.Float64, strict=False).alias("value"),
    )


def _unit_values(run: RunData, aggregate: str, cells: pl.DataFrame) -> pl.DataFrame:
    """Means of units as tables/samples.csv has them, from the cells where it has not."""
    samples = run.tables["samples"]
    needed = {aggregate, *_group_columns(run), *_unit_columns(run)}
    if needed <= set(samples.columns):
        return _with_names(run, samples, aggregate)
    return _mean_by_unit(cells)


def _mean_by_unit(frame: pl.DataFrame) -> pl.DataFrame:
    finite = frame.filter(pl.col("value").is_finite())
    return finite.group_by("group", "unit", maintain_order=True).agg(pl.col("value").mean())


def _groups(run: RunData, frame: pl.DataFrame) -> Groups:
    """Levels of the horizontal axis: to scale where one group column holds numbers."""
    columns = _group_columns(run)
    if not columns:
        return Groups("", {"": Level("all")})
    levels = frame.select(*(BY + name for name in columns), "group").unique("group")
    numeric = _number_column(run, levels, columns)
    label = SEPARATOR.join(readable(name) for name in columns)
    if numeric is None:
        names = _in_order(run, levels)[:MAX_LEVELS]
        return Groups(label, {name: Level(name) for name in names})
    others = [name for name in columns if name != numeric]
    levels = levels.with_columns(
        joined(levels, [BY + name for name in others]).alias("series"),
        pl.col(BY + numeric).cast(pl.Float64).alias("number"),
    ).sort("number", "series")
    rows = levels.select("group", BY + numeric, "number", "series").head(MAX_LEVELS).iter_rows()
    return Groups(
        readable(numeric),
        {group: Level(name, number, series) for group, name, number, series in rows},
    )


def _number_column(run: RunData, levels: pl.DataFrame, columns: list[str]) -> str | None:
    """The one group column that holds three numbers or more, if the rest makes few series."""
    numbers = [
        name
        for name in columns
        if name in run.definitions
        and run.definitions[name].kind == "number"
        and levels[BY + name].n_unique() >= MIN_NUMBERS
        and _all_finite(levels[BY + name])
    ]
    if len(numbers) != 1:
        return None
    others = [BY + name for name in columns if name != numbers[0]]
    return numbers[0] if joined(levels, others).n_unique() <= MAX_SERIES else None


def _all_finite(column: pl.Series) -> bool:
    numbers = column.cast(pl.Float64, strict=False)
    return bool(numbers.is_finite().fill_null(value=False).all())


def _in_order(run: RunData, levels: pl.DataFrame) -> list[str]:
    """Names of the groups in the order of tables/groups.csv, others behind it by name."""
    table, columns = run.tables["groups"], _group_columns(run)
    found = set(levels["group"])
    first = joined(table, columns).to_list() if set(columns) <= set(table.columns) else []
    return list(dict.fromkeys([name for name in first if name in found] + sorted(found)))


def _left_out(cells: pl.DataFrame) -> str:
    extra = cells["group"].n_unique() - MAX_LEVELS
    return f"The first {MAX_LEVELS} groups are drawn, {extra} are not." if extra > 0 else ""
