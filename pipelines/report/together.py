"""Markers that single cells are positive for together: bars over a matrix of dots.

The layout is that of UpSet plots (Lex et al. 2014, IEEE TVCG 20:1983): a column for each
combination, filled dots for the markers in it, and above it how many cells have it; here by group,
with the units as dots and what chance would bring as a dash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipelines.report.data import RunData, joined, known_kind, readable
from pipelines.report.marks import PALETTE
from pipelines.report.outcomes import OutcomeFigure
from pipelines.report.superplot import Drawing
from pipelines.report.svg import INK, PAPER, RULE, STYLE, inline_svg, printable

MOST_COMBINATIONS = 12
MOST_GROUPS = 5
BAR_ROOM = 0.8
WIDE_FROM = 7
NARROW, WIDE, BARS_HEIGHT, ROW_HEIGHT = 4.6, 9.4, 2.4, 0.24
NEEDED = {"level", "combination", "n_markers_positive", "fraction", "expected_fraction"}
MEANING = (
    "Cells by the markers that they are positive for (filled dots): bars are means of units, small "
    "marks the units, dashes what is expected if the markers were independent within each unit."
)


@dataclass(frozen=True, slots=True)
class Combination:
    """One column of the figure: which markers are positive, in the order of the rows."""

    name: str
    positive: tuple[bool, ...]


def together_figure(run: RunData, key: str) -> OutcomeFigure | None:
    """Draw which markers go together; None where the run gated no two markers.

    Args:
        run: the run.
        key: unique within the page.
    """
    table = run.tables["copositivity"]
    if table.is_empty() or not set(table.columns) >= NEEDED:
        return None
    units = _units(run, table)
    shares = units.group_by("combination", maintain_order=True).agg(
        pl.col("fraction").mean(), pl.col("n_markers_positive").first().cast(pl.Int64)
    )
    some = shares.filter(pl.col("n_markers_positive") > 0).sort(
        "fraction", descending=True, maintain_order=True
    )
    if some.is_empty():
        return None
    shown = [_read(name) for name in some["combination"][:MOST_COMBINATIONS]]
    markers = [part[:-1] for part in shown[0].name.split(" ")]
    groups = units["group"].unique(maintain_order=True).to_list()[:MOST_GROUPS]
    drawing = _draw(units, shown, markers, groups, key)
    none = shares.filter(pl.col("n_markers_positive") == 0)["fraction"]
    notes = [f"{none[0]:.1%} of cells are negative for all markers."] if len(none) else []
    rest = some.height - len(shown)
    notes += [f"{rest} rarer combinations are in tables/copositivity.csv."] if rest > 0 else []
    extra = units["group"].n_unique() - len(groups)
    notes += [f"The first {MOST_GROUPS} groups are drawn, {extra} are not."] if extra > 0 else []
    return OutcomeFigure("Markers together", MEANING, drawing, " ".join(notes))


def _units(run: RunData, table: pl.DataFrame) -> pl.DataFrame:
    """The units' rows with the name of their group, and numbers as numbers."""
    groups = [name for name in run.listed("group_columns") if name in table.columns]
    units = table.filter(pl.col("level") == "unit")
    # A bare number says little in a legend: dose 3, not 3.
    numbers = [name for name in groups if known_kind(run.definitions, name) == "number"]
    units = units.with_columns((pl.lit(f"{readable(n)} ") + pl.col(n)).alias(n) for n in numbers)
    return units.select(
        "combination",
        "n_markers_positive",
        joined(units, groups).alias("group"),
        pl.col("fraction").cast(pl.Float64, strict=False),
        pl.col("expected_fraction").cast(pl.Float64, strict=False),
    )


def _read(name: str) -> Combination:
    return Combination(name, tuple(part.endswith("+") for part in name.split(" ")))


def _draw(
    units: pl.DataFrame,
    shown: Sequence[Combination],
    markers: Sequence[str],
    groups: Sequence[str],
    key: str,
) -> Drawing:
    wide = len(shown) >= WIDE_FROM
    height = BARS_HEIGHT + ROW_HEIGHT * (len(markers) + 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDE if wide else NARROW, height), layout="constrained")
        above, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[BARS_HEIGHT, ROW_HEIGHT * len(markers)]
        )
        for place, combination in enumerate(shown):
            mine = units.filter(pl.col("combination") == combination.name)
            _draw_bars(above, mine, place, groups)
            _draw_dots(below, combination, place)
        above.set_ylabel("% of cells")
        above.set_ylim(bottom=0)
        above.grid(axis="y")
        above.tick_params(axis="x", length=0)
        _label_rows(below, markers, len(shown))
        _legend(figure, groups)
        svg = inline_svg(figure, key, _describe(units, shown, groups))
    return Drawing(svg, "", wide, figure)


def _draw_bars(axes: Axes, rows: pl.DataFrame, place: int, groups: Sequence[str]) -> None:
    width = BAR_ROOM / len(groups)
    for index, group in enumerate(groups):
        mine = rows.filter(pl.col("group") == group)
        values = mine["fraction"].drop_nulls().to_numpy() * 100
        if not values.size:
            continue
        middle = place + (index - (len(groups) - 1) / 2) * width
        color = PALETTE[index % len(PALETTE)]
        axes.bar(middle, values.mean(), 0.86 * width, color=color, alpha=0.55)
        spread = np.linspace(-0.2, 0.2, values.size) * width if values.size > 1 else [0.0]
        axes.plot(
            middle + np.asarray(spread), values, "o", markersize=3.2, markerfacecolor=color,
            markeredgecolor=PAPER, markeredgewidth=0.5,
        )  # fmt: skip
        expected = float(mine["expected_fraction"].drop_nulls().to_numpy().mean()) * 100
        ends = (middle - 0.46 * width, middle + 0.46 * width)
        axes.hlines(expected, *ends, color=INK, linewidth=1.2, zorder=4)


def _draw_dots(axes: Axes, combination: Combination, place: int) -> None:
    rows = np.arange(len(combination.positive))
    on = np.array(combination.positive)
    axes.plot(np.full((~on).sum(), place), rows[~on], "o", color=RULE, markersize=6.5)
    axes.plot(np.full(on.sum(), place), rows[on], "o-", color=INK, markersize=6.5, linewidth=1.6)


def _label_rows(axes: Axes, markers: Sequence[str], columns: int) -> None:
    axes.set_yticks(range(len(markers)), [printable(marker) for marker in markers])
    axes.set_ylim(len(markers) - 0.4, -0.6)
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _legend(figure: Figure, groups: Sequence[str]) -> None:
    handles: list[Patch | Line2D] = [
        Patch(color=PALETTE[index % len(PALETTE)], alpha=0.55, label=printable(group))
        for index, group in enumerate(groups)
        if group
    ]
    handles.append(Line2D([], [], color=INK, linewidth=1.2, label="expected if independent"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))


def _describe(units: pl.DataFrame, shown: Sequence[Combination], groups: Sequence[str]) -> str:
    """Say in words what the figure shows, for readers who cannot see it."""
    parts = []
    for combination in shown:
        mine = units.filter(pl.col("combination") == combination.name)
        means = {
            group: mine.filter(pl.col("group") == group)["fraction"].drop_nulls().to_numpy()
            for group in groups
        }
        parts.append(f"{combination.name}: {_means(means)}")
    return printable(f"Mean share of cells by combination of markers. {'; '.join(parts)}.")


def _means(values: Mapping[str, np.ndarray]) -> str:
    known = [(group, found.mean()) for group, found in values.items() if found.size]
    return ", ".join(f"{group} {mean:.1%}".strip() for group, mean in known)
