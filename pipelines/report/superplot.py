"""Figures of a report: every cell's value behind the means of the units that were compared.

The layout is the SuperPlot of Lord et al., J Cell Biol 219:e202001064 (2020): cells are drawn
small and pale, the mean of each unit (donor, animal, well) large, because the units are the n.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipelines.report.axes import Groups, Quantity, closest, positions
from pipelines.report.marks import (
    MAX_CELLS_FOR_DENSITY,
    PALETTE,
    SEED,
    SHOWN_PERCENTILES,
    draw_cloud,
    pick,
    style_of,
)
from pipelines.report.svg import INK, PAPER, STYLE, inline_svg, printable

MAX_CELLS_DRAWN = 1200
MAX_CELLS_PER_LEVEL = 200
MAX_TICKS = 24
LETTERS_PER_INCH = 13
LEGEND_LETTERS = 54
MAX_NAME = 26
NARROW, WIDE, HEIGHT = 4.6, 9.4, 3.3
MAX_LEVELS_NARROW = 8


@dataclass(frozen=True, slots=True)
class Drawing:
    """An ``<svg>`` element, what it leaves out, whether it wants the full width, what drew it."""

    svg: str
    note: str
    wide: bool
    figure: Figure | None = field(default=None, compare=False, repr=False)


def superplot(
    cells: pl.DataFrame, units: pl.DataFrame, quantity: Quantity, groups: Groups, key: str
) -> Drawing | None:
    """Draw the distribution of cells and the means of units, by group.

    Args:
        cells: columns ``group``, ``unit`` (str) and ``value`` (float); may have no rows.
        units: the same columns, one row a unit in a group.
        quantity: what ``value`` is.
        groups: the levels; rows of other groups are left out.
        key: unique within the page.

    Returns:
        None where no unit has a finite value.
    """
    cells, units = _finite(cells, groups), _finite(units, groups)
    if units.is_empty():
        return None
    if quantity.share:
        cells = cells.clear()
        units = units.with_columns(pl.col("value") * 100)
    style, entries = _styles(units, groups)
    places = dict(zip(groups.levels, positions(list(groups.levels.values())), strict=True))
    wide = len(groups.levels) > MAX_LEVELS_NARROW
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDE if wide else NARROW, HEIGHT), layout="constrained")
        axes = figure.add_subplot()
        note = _limit(axes, cells, units, quantity)
        _draw_cells(axes, cells, places, style)
        _draw_units(axes, units, places, style)
        _draw_means(axes, units, groups, places)
        _label(axes, units, quantity, groups, places)
        _add_legend(figure, entries)
        svg = inline_svg(figure, key, describe(units, quantity, groups))
    return Drawing(svg, note, wide, figure)


def describe(units: pl.DataFrame, quantity: Quantity, groups: Groups) -> str:
    """Say in words what the figure shows, for readers who cannot see it."""
    parts = []
    for group, level in groups.levels.items():
        values = units.filter(pl.col("group") == group)["value"]
        if len(values):
            name = " ".join(filter(None, [level.name, level.series]))
            parts.append(f"{name}: mean {float(values.to_numpy().mean()):.3g} of {len(values)}")
    more = f" and {len(parts) - 12} more groups" if len(parts) > 12 else ""
    by = f" by {groups.label}" if groups.label else ""
    return printable(f"{quantity.axis_label}{by}. Unit means: {'; '.join(parts[:12])}{more}.")


def _finite(frame: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    known = pl.col("group").is_in(list(groups.levels))
    return frame.filter(known & pl.col("value").is_finite())


def _styles(
    units: pl.DataFrame, groups: Groups
) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """Number the style of every (group, unit): by series, else by unit, else one for all.

    Returns:
        The number of each pair, and the legend: name to number, empty where none is needed.
    """
    pairs = list(units.select("group", "unit").unique(maintain_order=True).iter_rows())
    names = sorted({unit for _, unit in pairs})
    series = list(dict.fromkeys(level.series for level in groups.levels.values()))
    if len(series) > 1:
        style = {pair: series.index(groups.levels[pair[0]].series) for pair in pairs}
        return style, {name: index for index, name in enumerate(series[: len(PALETTE)])}
    if len(names) > len(PALETTE):
        return dict.fromkeys(pairs, 0), {}
    style = {pair: names.index(pair[1]) for pair in pairs}
    return style, {name: index for index, name in enumerate(names)} if len(names) > 1 else {}


def _draw_cells(
    axes: Axes,
    cells: pl.DataFrame,
    places: Mapping[str, float],
    style: Mapping[tuple[str, str], int],
) -> None:
    most = max(10, min(MAX_CELLS_PER_LEVEL, MAX_CELLS_DRAWN // len(places)))
    reach = 0.4 * closest(places)
    random = np.random.default_rng(SEED)
    for group, place in places.items():
        mine = pick(cells.filter(pl.col("group") == group), MAX_CELLS_FOR_DENSITY, random)
        colors = [style_of(style.get((group, unit), 0))[0] for unit in mine["unit"]]
        mine = mine.with_columns(color=pl.Series(colors, dtype=pl.String))
        draw_cloud(axes, mine, place, reach, most)


def _draw_units(
    axes: Axes,
    units: pl.DataFrame,
    places: Mapping[str, float],
    style: Mapping[tuple[str, str], int],
) -> None:
    """Draw the units of a group side by side, so that equal means stay apart."""
    for group, place in places.items():
        mine = units.filter(pl.col("group") == group).sort("unit")
        reach = min(0.28, 0.08 * mine.height) * closest(places)
        spread = np.linspace(-reach, reach, mine.height) if mine.height > 1 else [0.0]
        for shift, unit, value in zip(spread, mine["unit"], mine["value"], strict=True):
            color, marker = style_of(style[group, unit])
            axes.plot(
                [place + shift],
                [value],
                marker=marker,
                markersize=7.5,
                markerfacecolor=color,
                markeredgecolor=PAPER,
                markeredgewidth=0.9,
                linestyle="none",
                zorder=6,
            )


def _draw_means(
    axes: Axes, units: pl.DataFrame, groups: Groups, places: Mapping[str, float]
) -> None:
    """Draw mean and SD of the unit means; join the means where the axis is one of numbers."""
    means: dict[str, list[tuple[float, float]]] = {}
    reach = 0.3 * closest(places)
    for group, place in places.items():
        values = units.filter(pl.col("group") == group)["value"].to_numpy()
        if values.size == 0:
            continue
        mean = float(values.mean())
        means.setdefault(groups.levels[group].series, []).append((place, mean))
        axes.hlines(mean, place - reach, place + reach, color=INK, linewidth=1.3, zorder=5)
        if values.size > 1:
            sd = float(values.std(ddof=1))
            axes.vlines(place, mean - sd, mean + sd, color=INK, linewidth=0.9, zorder=3)
    for points in means.values() if groups.numeric else ():
        axes.plot(*zip(*points, strict=True), color=INK, linewidth=0.9, zorder=3)


def _limit(axes: Axes, cells: pl.DataFrame, units: pl.DataFrame, quantity: Quantity) -> str:
    """Set the vertical range; a few extreme cells must not flatten the rest, but are counted."""
    values, means = cells["value"].to_numpy(), units["value"].to_numpy()
    shown = np.percentile(values, SHOWN_PERCENTILES) if values.size else means
    low, high = min(shown.min(), means.min()), max(shown.max(), means.max())
    if quantity.share:
        low, high = 0.0, max(high, 5.0)
    elif low >= 0 and low < high / 2:
        low = 0.0
    room = (high - low) * 0.06 or max(abs(high) * 0.1, 0.5)
    bottom, top = float(low - room), float(high + room)
    axes.set_ylim(bottom, top)
    beyond = int(((values < bottom) | (values > top)).sum())
    return f"{beyond:,} of {values.size:,} cells lie beyond the axis." if beyond else ""


def _label(
    axes: Axes,
    units: pl.DataFrame,
    quantity: Quantity,
    groups: Groups,
    places: Mapping[str, float],
) -> None:
    axes.set_ylabel(_short(quantity.axis_label, 44))
    axes.set_xlabel(_short(groups.label, 60))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=quantity.unit == "count"))
    axes.grid(axis="y")
    counts = dict(units.group_by("group").len().iter_rows())
    ticks: dict[str, list[float]] = {}
    for group, level in groups.levels.items():
        n = "" if groups.numeric else f"\nn = {counts.get(group, 0)}"
        ticks.setdefault(_short(level.name, MAX_NAME) + n, []).append(places[group])
    step = -(-len(ticks) // MAX_TICKS)
    names = list(ticks)[::step]
    width = WIDE if len(groups.levels) > MAX_LEVELS_NARROW else NARROW
    crowded = max(map(len, names)) * len(names) > LETTERS_PER_INCH * width
    axes.set_xticks(
        [float(np.mean(ticks[name])) for name in names],
        [name.replace("\n", ", ") for name in names] if crowded else names,
        rotation=30 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor" if crowded else "default",
    )
    margin = 0.6 * closest(places)
    axes.set_xlim(min(places.values()) - margin, max(places.values()) + margin)


def _add_legend(figure: Figure, entries: Mapping[str, int]) -> None:
    if not entries:
        return
    names = [_short(name, MAX_NAME) for name in entries]
    columns = min(len(names), max(1, LEGEND_LETTERS // (max(map(len, names)) + 5)))
    handles = []
    for name, index in zip(names, entries.values(), strict=True):
        color, marker = style_of(index)
        handles.append(Line2D([], [], color=color, marker=marker, linestyle="none", label=name))
    # Matplotlib fills a legend by columns, people read it by rows.
    by_rows = [handle for start in range(columns) for handle in handles[start::columns]]
    figure.legend(
        handles=by_rows,
        loc="outside lower center",
        ncols=columns,
        handletextpad=0.1,
        columnspacing=1.2,
    )


def _short(text: str, most: int) -> str:
    text = printable(" ".join(text.split()))
    return text if len(text) <= most else text[: most - 1] + "…"
