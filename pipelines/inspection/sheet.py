"""A contact sheet: every channel of a scene beside the others, stretched for the eye."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from pipelines.inspection.look import Channel
from pipelines.overlay import save_png
from pipelines.overlay.picture import stretch_limits

EDGE = 420
_STRIP = 22


def write_sheet(path: Path, channels: tuple[Channel, ...]) -> None:
    """Write the channels as one PNG, each under its name and grey values.

    Args:
        path: target.
        channels: at least one.
    """
    columns = min(4, len(channels))
    rows = -(-len(channels) // columns)
    sheet = Image.new("RGB", (columns * EDGE, rows * (EDGE + _STRIP)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, channel in enumerate(channels):
        y, x = divmod(i, columns)
        corner = (x * EDGE, y * (EDGE + _STRIP))
        low, high = stretch_limits(channel.grey)
        title = f"{channel.name}   shown {low:g} to {high:g}"
        draw.text((corner[0] + 4, corner[1] + 5), title, fill="black")
        shown = Image.fromarray(_shown(channel.pixels, low, high))
        tile = ImageOps.contain(shown, (EDGE - 4, EDGE - 4))
        sheet.paste(tile, (corner[0] + 2, corner[1] + _STRIP))
    save_png(path, np.asarray(sheet))


def _shown(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Grey values as bytes; a brightfield picture keeps its own, where they are bytes."""
    if pixels.ndim == 3 and pixels.dtype == np.uint8:
        return pixels
    scaled = (np.nan_to_num(pixels.astype(np.float32)) - low) / max(high - low, 1e-9)
    return np.asarray(np.clip(scaled, 0, 1) * 255, dtype=np.uint8)
