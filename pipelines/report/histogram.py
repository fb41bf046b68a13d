"""A gated column's distribution with its threshold: control cells filled, the others as a line."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipelines.report.axes import Quantity
from pipelines.report.marks import PALETTE, SHOWN_PERCENTILES
from pipelines.report.superplot import Drawing
from pipelines.report.svg import INK, STYLE, inline_svg, printable

Values = NDArray[np.float64]

CONTROL, OTHER = PALETTE[0], PALETTE[5]
BINS = 48
MOST_STEPS = 60
"""Whole numbers that span fewer steps get a bin each."""
SKEWED = 3.0
"""A distribution whose upper part is so many times as wide as its lower one is drawn on a scale
that is linear around 0 and logarithmic beyond."""
TICKS_APART = 0.08
WIDTH, FIRST, FURTHER = 4.6, 2.9, 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One batch.

    Attributes:
        name: of the batch; empty where there is one threshold for all.
        controls: finite values of the control cells; empty where the rule has none.
        others: of all other cells.
        threshold: NaN where it was refused.
        interval: its 95 % interval, NaN where there is none.
        left_out: thresholds that judge one unit each.
    """

    name: str
    controls: Values
    others: Values
    threshold: float
    interval: tuple[float, float]
    left_out: Values

    @property
    def values(self) -> Values:
        """Of all cells."""
        return np.concatenate([self.controls, self.others])

    def shares(self) -> list[tuple[str, float]]:
        """Which cells there are, and what share of them is above the threshold."""
        rest = "others" if self.controls.size else "cells"
        kinds = (("controls", self.controls), (rest, self.others))
        return [
            (name, float(np.mean(values > self.threshold)))
            for name, values in kinds
            if values.size and np.isfinite(self.threshold)
        ]


def gate_histogram(
    panels: Sequence[Panel], quantity: Quantity, key: str, *, logarithmic: bool
) -> Drawing | None:
    """Draw the batches below each other on one axis.

    Args:
        panels: one a batch.
        quantity: what was gated.
        key: unique within the page.
        logarithmic: the rule looked at the log scale, so the axis shows it; else only where the
            values are skewed.

    Returns:
        None where no cell has a value.
    """
    drawn = [panel for panel in panels if panel.values.size]
    if not drawn:
        return None
    values = np.concatenate([panel.values for panel in drawn])
    scale = linear_width(values, SKEWED if not logarithmic else 0.0)
    edges = bin_edges(values, [p.threshold for p in drawn], scale)
    with matplotlib.rc_context(STYLE):
        height = FIRST + FURTHER * (len(drawn) - 1)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        rows = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(rows, drawn, strict=True):
            _draw(axes, panel, edges)
        if scale is not None:
            ticks = asinh_ticks(float(edges[0]), float(edges[-1]), scale)
            rows[-1].set_xscale("asinh", linear_width=scale)
            rows[-1].set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
            rows[-1].set_xticks([], minor=True)
        rows[-1].set_xlim(edges[0], edges[-1])
        rows[-1].set_xlabel(printable(quantity.axis_label))
        rows[len(rows) // 2].set_ylabel("% of cells")
        _legend(figure, drawn)
        svg = inline_svg(figure, key, describe(drawn, quantity))
    beyond = int(((values < edges[0]) | (values > edges[-1])).sum())
    note = f"{beyond:,} of {values.size:,} cells lie beyond the axis." if beyond else ""
    return Drawing(svg, note, wide=False, figure=figure)


def linear_width(values: Values, skewed: float) -> float | None:
    """Up to where the axis is linear; None for an axis that is linear throughout.

    Args:
        values: finite, at least one.
        skewed: how many times as wide as the lower part the upper one must be for another axis.
    """
    low, quarter, middle, high = np.percentile(values, (2.5, 25, 50, 99))
    if quarter <= low or high - middle <= skewed * (middle - low):
        return None
    return float(quarter - low)


def bin_edges(values: Values, thresholds: Sequence[float], scale: float | None) -> Values:
    """Edges of bins that are equally wide on the axis; whole numbers stand in their middles."""
    shown = np.percentile(values, SHOWN_PERCENTILES)
    known = [t for t in thresholds if np.isfinite(t)]
    low, high = min([shown[0], *known]), max([shown[1], *known])
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    if high - low <= MOST_STEPS and np.all(values == np.round(values)):
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)
    room = 0.02 * (high - low)
    if scale is None:
        return np.linspace(low - room, high + room, BINS + 1)
    ends = np.arcsinh(np.array([low, high]) / scale)
    margin = 0.02 * float(ends[1] - ends[0])
    edges: Values = scale * np.sinh(np.linspace(ends[0] - margin, ends[1] + margin, BINS + 1))
    return edges


def asinh_ticks(low: float, high: float, scale: float) -> list[float]:
    """Round numbers that are well apart on an axis of arcsinh(x / scale): 0, 1, 2 or 5 times 10ⁿ.

    Args:
        low: left end of the axis.
        high: right end.
        scale: up to where it is linear.
    """
    ends = np.arcsinh(np.array([low, high]) / scale)
    apart = TICKS_APART * float(ends[1] - ends[0])
    powers = 10.0 ** np.arange(np.floor(np.log10(scale)) - 1, np.log10(max(-low, high, scale)) + 1)
    chosen: list[float] = []
    for step in (0.0, *(sign * factor for factor in (1, 5, 2) for sign in (1, -1))):
        for tick in [0.0] if step == 0 else step * powers:
            places = np.arcsinh(np.array(chosen) / scale)
            place = np.arcsinh(tick / scale)
            if low <= tick <= high and (np.abs(places - place) >= apart).all():
                chosen.append(float(tick))
    return sorted(chosen)


def describe(panels: Sequence[Panel], quantity: Quantity) -> str:
    """Say in words what the figure shows, for readers who cannot see it."""
    parts = []
    for panel in panels:
        threshold = (
            f"threshold {panel.threshold:.4g}" if np.isfinite(panel.threshold) else "no threshold"
        )
        above = ", ".join(f"{share:.1%} of {name}" for name, share in panel.shares())
        parts.append(f"{panel.name + ': ' if panel.name else ''}{threshold}, above it {above}")
    return printable(
        f"Distribution of {quantity.axis_label} with its threshold. {'; '.join(parts)}."
    )


def _draw(axes: Axes, panel: Panel, edges: Values) -> None:
    if panel.controls.size:
        heights = _per_cent(panel.controls, edges)
        axes.stairs(heights, edges, fill=True, color=CONTROL, alpha=0.45)
    if panel.others.size:
        axes.stairs(_per_cent(panel.others, edges), edges, color=OTHER, linewidth=1.3)
    if np.isfinite(panel.threshold):
        axes.axvline(panel.threshold, color=INK, linewidth=1.2)
    if np.isfinite(panel.interval).all():
        axes.axvspan(*panel.interval, color=INK, alpha=0.13, linewidth=0)
    if panel.left_out.size:
        heights = np.full(panel.left_out.size, 0.97)
        place = axes.get_xaxis_transform()
        axes.plot(panel.left_out, heights, "|", color=INK, markersize=6, transform=place)
    above = ", ".join(f"{share:.0%} of {name}" for name, share in panel.shares())
    verdict = f"above: {above}" if above else "no threshold"
    axes.set_title(
        printable(" – ".join(filter(None, [panel.name, verdict]))), fontsize=8.5, loc="left"
    )
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")


def _per_cent(values: Values, edges: Values) -> Values:
    """Share of all values in each bin, those beyond the axis counted in the total."""
    return np.histogram(values, edges)[0] / values.size * 100


def _legend(figure: Figure, panels: Sequence[Panel]) -> None:
    controls, others = (
        sum(values.size for values in found)
        for found in ([p.controls for p in panels], [p.others for p in panels])
    )
    handles: list[Patch | Line2D] = []
    if controls:
        handles.append(Patch(color=CONTROL, alpha=0.45, label=f"control cells ({controls:,})"))
    if others:
        label = f"{'other ' if controls else ''}cells ({others:,})"
        handles.append(Line2D([], [], color=OTHER, linewidth=1.3, label=label))
    if any(np.isfinite(p.threshold) for p in panels):
        handles.append(Line2D([], [], color=INK, linewidth=1.2, label="threshold"))
    if any(np.isfinite(p.interval).all() for p in panels):
        handles.append(Patch(color=INK, alpha=0.13, linewidth=0, label="its 95 % interval"))
    if any(p.left_out.size for p in panels):
        label = "threshold for a control unit, from the others"
        handles.append(Line2D([], [], color=INK, marker="|", linestyle="none", label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=1.4)
