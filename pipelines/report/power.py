"""What a next experiment would find: the plan of tables/power.csv as curves and sentences."""

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from pipelines.report.data import RunData, known_kind, readable
from pipelines.report.marks import style_of
from pipelines.report.outcomes import OutcomeFigure
from pipelines.report.superplot import Drawing
from pipelines.report.svg import STYLE, inline_svg, printable
from pipelines.report.tables import format_number
from pipelines.words import counted

NEEDED = {"outcome", "within", "sampling", "n_units", "detectable_80", "detectable_80_cautious"}
AS_NOW = "as in this study"
NAMED_UNITS = ("3", "6", "12")
TICKS = (2, 3, 5, 10, 20, 50)
SIZE = (4.6, 3.3)
MOST = 8


def power_figures(run: RunData, key: str) -> list[OutcomeFigure]:
    """Draw the smallest difference that is found against the number of units.

    Args:
        run: the run.
        key: prefix that makes the figures' ids unique within the page.
    """
    return [_figure(run, rows, f"{key}-w{i}") for i, rows in enumerate(_plans(run)[:MOST])]


def power_sentences(run: RunData) -> list[str]:
    """For each outcome: what 3, 6 and 12 units a group would find; or why that is not known."""
    table = run.tables["power"]
    if table.is_empty() or not set(table.columns) >= NEEDED | {"note"}:
        return []
    unknown = table.filter(pl.col("sampling").is_null())
    said = [f"{_name(row)}: {row['note']}." for row in unknown.iter_rows(named=True)]
    return [_sentence(run, rows) for rows in _plans(run)] + said


def _plans(run: RunData) -> list[pl.DataFrame]:
    """The rows of each outcome that has a plan."""
    table = run.tables["power"]
    if table.is_empty() or not set(table.columns) >= NEEDED:
        return []
    rows = table.filter(pl.col("sampling").is_not_null())
    return rows.partition_by("outcome", "within", maintain_order=True)


def _figure(run: RunData, rows: pl.DataFrame, key: str) -> OutcomeFigure:
    first = rows.row(0, named=True)
    share = known_kind(run.definitions, first["outcome"]) == "flag"
    scale, label = _scale(rows, share=share)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        for index, curve in enumerate(rows.partition_by("sampling", maintain_order=True)):
            _draw(axes, curve, scale, index)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
        axes.set_xlabel(printable(f"{_plural(first['unit'])} a group"))
        axes.set_ylabel(label)
        axes.set_ylim(0, 1.05 * scale * _most_shown(rows))
        axes.set_xlim(2.8, 52)
        axes.grid(axis="y")
        figure.legend(loc="outside lower center", ncols=2)
        svg = inline_svg(figure, key, printable(_sentence(run, rows)))
    meaning = (
        "The smallest increase (of a fraction above one half: decrease) that 80 of 100 experiments "
        "of that size would find at p < 0.05, from how much units, images and cells vary in this "
        "study."
    )
    assumed = f" The SD is taken to be {first['sd_assumed']}." if first.get("sd_assumed") else ""
    note = f"SD of each level: {first['components']}.{assumed} {_capital(first['note'])}"
    return OutcomeFigure(_name(first), meaning, Drawing(svg, "", wide=False, figure=figure), note)


def _most_shown(rows: pl.DataFrame) -> float:
    """What the fewest units find that find anything, but for 2: that would hide all others."""
    found = rows.with_columns(pl.col("detectable_80").cast(pl.Float64, strict=False))
    found = found.filter((pl.col("n_units") != "2") & pl.col("detectable_80").is_not_null())
    first = found.filter(pl.col("n_units") == found["n_units"][0]) if found.height else found
    return float(first["detectable_80"].to_numpy().max()) if first.height else 1.0


def _draw(axes: Axes, curve: pl.DataFrame, scale: float, index: int) -> None:
    color, marker = style_of(index)
    units = curve["n_units"].cast(pl.Float64).to_numpy()
    values = _curve(curve, "detectable_80", scale)
    name = curve["sampling"][0]
    now = name == AS_NOW
    axes.plot(
        units, values, color=color, marker=marker, markersize=4.5 if now else 3.2,
        linewidth=1.8 if now else 1.0, label=name, zorder=4 if now else 3,
    )  # fmt: skip
    if now:
        cautious = _curve(curve, "detectable_80_cautious", scale)
        axes.plot(units, cautious, "--", color=color, linewidth=1.2, label=f"{name}, cautious")


def _scale(rows: pl.DataFrame, *, share: bool) -> tuple[float, str]:
    """Factor and axis label: points of per cent for fractions, else a share of the mean."""
    if share:
        return 100.0, "difference found (% points)"
    mean = float(rows["mean"][0] or 0)
    # A share of it says nothing where values lie on both sides of 0, such as an index.
    if mean <= 0:
        return 1.0, "difference found"
    return 100.0 / mean, "difference found (% of mean)"


def _curve(rows: pl.DataFrame, column: str, scale: float) -> NDArray[np.float64]:
    """Differences by units; NaN, which is not drawn, where so few units find none."""
    values = rows[column].cast(pl.Float64, strict=False).fill_null(float("nan"))
    return values.to_numpy() * scale


def _found(rows: pl.DataFrame, column: str, units: str, scale: float, unit: str) -> str:
    value = float(_curve(rows.filter(pl.col("n_units") == units), column, scale)[0])
    return f"{format_number(value)}{unit}" if np.isfinite(value) else "none, however large"


def _sentence(run: RunData, rows: pl.DataFrame) -> str:
    first = rows.row(0, named=True)
    share = known_kind(run.definitions, first["outcome"]) == "flag"
    scale, _ = _scale(rows, share=share)
    unit = " points" if share else " %" if scale != 1.0 else ""
    now = rows.filter(pl.col("sampling") == AS_NOW)
    found = []
    for units in NAMED_UNITS:
        now_80, cautious = (
            _found(now, column, units, scale, unit)
            for column in ("detectable_80", "detectable_80_cautious")
        )
        found.append(f"{units} find {now_80} ({cautious} with a cautious SD)")
    of = "" if share or scale == 1.0 else ", in per cent of the reference’s mean"
    sampled = counted(float(first["n_images_per_unit"]), "image")
    cells = counted(float(first["n_cells_per_image"]), "cell")
    return (
        f"{_name(first)}, {_plural(first['unit'])} a group with {sampled} of {cells}, "
        f"power 0.8{of}: {'; '.join(found)}."
    )


def _name(row: dict[str, str | None]) -> str:
    name = readable(row["outcome"] or "")
    return f"{name} in {row['within']}" if row["within"] else name


def _plural(unit: str) -> str:
    return f"{readable(unit)}s"


def _capital(text: str | None) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""
