"""One cell, small: its surroundings in grey, or in the colours of a picture, with its outline."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.overlay.outlines import Picture, outline
from pipelines.overlay.picture import ON_BRIGHT, ON_DARK

SIDE = 112
LIMITS = (1.0, 99.5)
OUTSIDE = 0.3
"""Grey of what lies outside the image: neither black nor white, which pixels can be."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Pixels around one cell.

    Attributes:
        plane: (h, w), or (h, w, 3) for a brightfield picture; any real dtype.
        cell: (h, w), True in the cell.
        offset: rows and columns that the image lacks above and left of the window.
        side: edge of the whole window in px; what the image lacks of it is shown grey.
    """

    plane: NDArray[Any]
    cell: NDArray[np.bool_]
    offset: tuple[int, int]
    side: int


def common_limits(windows: list[Window]) -> tuple[float, float]:
    """Grey values to show as black and white in all windows alike: 1st and 99.5th percentile.

    Colours are shown from 0, which keeps their hue.
    """
    if not windows:
        return 0.0, 0.0
    values = np.concatenate([np.asarray(w.plane, dtype=np.float64).ravel() for w in windows])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    low, high = np.percentile(finite, LIMITS)
    return (0.0 if windows[0].plane.ndim == 3 else float(low)), float(high)


def draw_portrait(window: Window, limits: tuple[float, float]) -> Picture:
    """Draw one cell, `SIDE` px wide.

    Args:
        window: the pixels.
        limits: values shown as black and white.
    """
    colours = window.plane.ndim == 3
    low, high = limits
    shown = np.nan_to_num(np.asarray(window.plane, dtype=np.float64), nan=low)
    unit = np.clip((shown - low) / (high - low), 0, 1) if high > low else np.zeros_like(shown)
    rgb = np.full((window.side, window.side, 3), OUTSIDE)
    cell = np.zeros((window.side, window.side), dtype=bool)
    top, left = window.offset
    bottom, right = top + shown.shape[0], left + shown.shape[1]
    rgb[top:bottom, left:right] = unit if colours else unit[..., None]
    cell[top:bottom, left:right] = window.cell
    small = Image.fromarray((rgb * 255).astype(np.uint8))
    large = np.array(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    nearest = ((np.arange(SIDE) + 0.5) * window.side / SIDE).astype(np.intp)
    ink = ON_BRIGHT if colours else ON_DARK
    large[outline(cell[np.ix_(nearest, nearest)].astype(np.uint8))] = ink.positive
    return large
