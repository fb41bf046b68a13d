"""What a figure is drawn with: clouds of cells, violins, and the colours of units."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.mlab import GaussianKDE
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Curve
from numpy.typing import NDArray

from pipelines.report.svg import RULE

Values = NDArray[np.float64]

# Okabe & Ito's palette, without black and with yellow last: it is faint on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C", "#F0E442")
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p")

SEED = 20
MAX_CELLS_FOR_DENSITY = 4000
MIN_CELLS_FOR_DENSITY = 20
SHOWN_PERCENTILES = (0.5, 99.5)


def style_of(index: int) -> tuple[str, str]:
    """Colour and marker number `index`; they repeat after eight."""
    return PALETTE[index % len(PALETTE)], SHAPES[index % len(SHAPES)]


def draw_cloud(axes: Axes, cells: pl.DataFrame, place: float, reach: float, most: int) -> None:
    """Draw the cells of one group: a violin, and a random draw of dots inside it.

    Args:
        axes: drawn on.
        cells: columns ``value`` (finite) and ``color``.
        place: middle of the cloud on the horizontal axis.
        reach: half of its greatest width.
        most: number of dots at most.
    """
    random = np.random.default_rng(SEED)
    density = violin(cells["value"].to_numpy())
    shown = pick(cells, most, random)
    values = shown["value"].to_numpy()
    size = 2.4 if values.size > MIN_CELLS_FOR_DENSITY else 4.5
    if density is None:
        width = np.full(values.size, 0.3 * reach)
    else:
        grid, height = density
        left, right = place - reach * height, place + reach * height
        axes.fill_betweenx(grid, left, right, facecolor=RULE, alpha=0.5, linewidth=0)
        width = reach * np.interp(values, grid, height)
    x = place + random.uniform(-0.95, 0.95, values.size) * width
    for color in shown["color"].unique(maintain_order=True):
        mine = (shown["color"] == color).to_numpy()
        _draw_dots(axes, x[mine], values[mine], color, size)


def violin(values: Values) -> tuple[Values, Values] | None:
    """Estimate the density of `values` on a grid, as a share of its peak.

    Args:
        values: (n,) finite.

    Returns:
        Grid and density, or None for fewer than 20 or equal values. The grid ends at the 0.5th
        and 99.5th percentile.
    """
    low, high = np.percentile(values, SHOWN_PERCENTILES) if values.size else (0.0, 0.0)
    if values.size < MIN_CELLS_FOR_DENSITY or low == high:
        return None
    smooth = values.size**-0.2
    if np.all(values == np.round(values)):
        # Whole numbers a step apart would otherwise give a comb instead of a shape.
        smooth = max(smooth, 0.6 / float(np.std(values)))
    grid = np.linspace(low, high, 96)
    height = np.asarray(GaussianKDE(values, bw_method=smooth).evaluate(grid), dtype=np.float64)
    return grid, height / height.max()


def pick(frame: pl.DataFrame, count: int, random: np.random.Generator) -> pl.DataFrame:
    """At most `count` rows, drawn at random, in their old order."""
    if frame.height <= count:
        return frame
    return frame[np.sort(random.choice(frame.height, count, replace=False))]


def _draw_dots(axes: Axes, x: Values, y: Values, color: str, size: float) -> None:
    """Draw dots as one path of zero-length strokes with round caps: a tenth of the bytes."""
    if x.size == 0:
        return
    points = np.repeat(np.column_stack([x, y]), 2, axis=0)
    codes = np.tile(np.array([Curve.MOVETO, Curve.LINETO], dtype=np.uint8), x.size)
    patch = PathPatch(
        Curve(points, codes), fill=False, edgecolor=color, linewidth=size, capstyle="round"
    )
    patch.set_alpha(0.45)
    axes.add_patch(patch)
