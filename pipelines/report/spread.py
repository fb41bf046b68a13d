"""How a response depends on the distance from sources: rings, and what chance gives beside them."""

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.report.data import RunData, joined, known_kind, readable
from pipelines.report.marks import style_of
from pipelines.report.outcomes import OutcomeFigure
from pipelines.report.superplot import Drawing
from pipelines.report.svg import STYLE, inline_svg, printable

MOST_GROUPS = 5
NEEDED = {"name", "from_um", "to_um", "contact", "n", "fraction", "expected_fraction"}
MEANING = (
    "Cells that respond, by distance from the nearest source (rings on the axis): lines are means "
    "of units, small marks the units, dashes what random shifts give, which keep the response's "
    "patches and the sources' clusters. Hollow marks: cells that may touch a source and show its "
    "light, left out of the test."
)
NUMBERS = ("from_um", "to_um", "fraction", "expected_fraction")


def spread_figures(run: RunData, key: str) -> list[OutcomeFigure]:
    """Draw the rings of every question; none where the study asks none.

    Args:
        run: the run.
        key: unique within the page.
    """
    table = run.tables["spread_rings"]
    if table.is_empty() or not set(table.columns) >= NEEDED:
        return []
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in NUMBERS]
    table = table.with_columns(numbers).with_columns(_groups(run, table).alias("_group"))
    found = []
    for number, name in enumerate(table["name"].unique(maintain_order=True)):
        rings = table.filter(pl.col("name") == name)
        drawing = _draw(rings, f"{key}{number}")
        found.append(OutcomeFigure(printable(readable(str(name))), MEANING, drawing, ""))
    return found


def _groups(run: RunData, table: pl.DataFrame) -> pl.Series:
    names = [name for name in run.listed("group_columns") if name in table.columns]
    numbers = [name for name in names if known_kind(run.definitions, name) == "number"]
    table = table.with_columns(pl.col(name).cast(pl.String) for name in names)
    table = table.with_columns((pl.lit(f"{readable(n)} ") + pl.col(n)).alias(n) for n in numbers)
    return joined(table, names)


def _draw(rings: pl.DataFrame, key: str) -> Drawing:
    groups = rings["_group"].unique(maintain_order=True).to_list()[:MOST_GROUPS]
    edges = rings["from_um"].unique().sort().to_list()
    said = []
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for index, group in enumerate(groups):
            mine = rings.filter(pl.col("_group") == group)
            said.append(_draw_group(axes, mine, edges, (index, len(groups))))
        axes.set_xticks(range(len(edges)), [_label(edges, i) for i in range(len(edges))])
        axes.set_xlabel("distance from the nearest source (µm)")
        axes.set_ylabel("% of cells that respond")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        if len(groups) > 1:
            figure.legend(loc="outside lower center", ncols=min(3, len(groups)))
        text = f"Share of cells that respond by distance from sources. {'; '.join(said)}."
        return Drawing(inline_svg(figure, key, printable(text)), "", wide=False)


def _draw_group(axes: Axes, mine: pl.DataFrame, edges: list[float], place: tuple[int, int]) -> str:
    """Draw one group; say its means in words."""
    index, count = place
    color, shape = style_of(index)
    shift = 0.3 * (index - (count - 1) / 2) / max(count, 1)
    means, expected = np.full(len(edges), np.nan), np.full(len(edges), np.nan)
    for number, edge in enumerate(edges):
        ring = mine.filter(pl.col("from_um") == edge)
        values = ring["fraction"].drop_nulls().drop_nans().to_numpy() * 100
        chance = ring["expected_fraction"].drop_nulls().drop_nans().to_numpy() * 100
        if not values.size:
            continue
        means[number] = values.mean()
        expected[number] = chance.mean() if chance.size else np.nan
        touching = str(ring["contact"][0]).lower() == "true"
        axes.plot(
            np.full(values.size, number + shift), values, shape, markersize=3.4, alpha=0.8,
            markeredgecolor=color, markerfacecolor="none" if touching else color,
        )  # fmt: skip
    x = np.arange(len(edges)) + shift
    group = str(mine["_group"][0]) if mine.height else ""
    axes.plot(x, means, color=color, linewidth=1.6, label=printable(group))
    axes.plot(x, expected, color=color, linewidth=1.0, linestyle="--")
    told = [f"{_label(edges, i)} µm {m:.0f} %" for i, m in enumerate(means) if np.isfinite(m)]
    return f"{group}: {', '.join(told)}".strip(": ")


def _label(edges: list[float], number: int) -> str:
    if number + 1 == len(edges):
        return f"> {edges[-1]:.0f}"
    return f"{edges[number]:.0f}–{edges[number + 1]:.0f}"
