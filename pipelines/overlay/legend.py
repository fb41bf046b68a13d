"""What explains a picture: the scale bar, and a strip with a title and the legend."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

FONT_SIZE = 15
PADDING = 10
LINE_HEIGHT = FONT_SIZE + 9
MARK_SIZE = 12
MARK_ROOM = 20
GAP = 22


@dataclass(frozen=True, slots=True)
class Entry:
    """One legend entry.

    Attributes:
        mark: ``box`` for a channel, ``outline`` for a contour, ``ring`` for a focus, ``none`` for
            text that explains itself.
        color: 8-bit RGB of the mark.
        text: what it stands for.
    """

    mark: Literal["box", "outline", "ring", "none"]
    color: Color
    text: str


@dataclass(frozen=True, slots=True)
class Strip:
    """Colours of the strip itself: `paper` behind `ink`, both 8-bit RGB."""

    paper: Color
    ink: Color


def with_legend(
    canvas: Image.Image, title: str, entries: Sequence[Entry], strip: Strip
) -> NDArray[np.uint8]:
    """Append the strip to a picture.

    Args:
        canvas: RGB picture, left as it is.
        title: first line; none where empty; cut where wider than the picture.
        entries: wrapped to the width of the picture.
        strip: colours of background and text.

    Returns:
        (h + strip, w, 3) uint8.
    """
    room = canvas.width - 2 * PADDING
    rows = _wrap(entries, room)
    height = 2 * PADDING + LINE_HEIGHT * (len(rows) + bool(title)) - 4
    full = Image.new("RGB", (canvas.width, canvas.height + height), strip.paper)
    full.paste(canvas, (0, 0))
    pen = ImageDraw.Draw(full)
    y = canvas.height + PADDING
    if title:
        pen.text((PADDING, y), _fitted(title, room), strip.ink, font(FONT_SIZE))
        y += LINE_HEIGHT
    for row in rows:
        for x, entry in row:
            _draw_mark(pen, entry, PADDING + x, y + 3)
            pen.text((PADDING + x + _room(entry), y), entry.text, strip.ink, font(FONT_SIZE))
        y += LINE_HEIGHT
    return np.asarray(full, dtype=np.uint8)


def draw_scale_bar(
    canvas: Image.Image, scale: float, pixel_size_um: float | None, strip: Strip
) -> None:
    """Draw a bar of a round length, at most a fifth of the width, into the lower right corner.

    Args:
        canvas: RGB picture, drawn on in place.
        scale: picture pixels per image pixel.
        pixel_size_um: edge length of an image pixel in µm; None labels the bar in image pixels.
        strip: the bar has the colour of its ink, framed by its paper.
    """
    per_unit = scale / pixel_size_um if pixel_size_um else scale
    length = round_length(canvas.width / per_unit / 5)
    bar = max(1, round(length * per_unit))
    right, bottom = canvas.width - 2 * PADDING, canvas.height - 2 * PADDING
    pen = ImageDraw.Draw(canvas)
    box = (right - bar, bottom - 5, right, bottom)
    pen.rectangle(box, fill=strip.ink)
    pen.rectangle((box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1), outline=strip.paper)
    pen.text(
        (right - bar / 2, bottom - 10),
        f"{length:g} {'µm' if pixel_size_um else 'px'}",
        fill=strip.ink,
        font=font(FONT_SIZE),
        anchor="mb",
        stroke_width=2,
        stroke_fill=strip.paper,
    )


def round_length(longest: float) -> float:
    """Largest 1, 2 or 5 times a power of ten that is not above `longest` (> 0)."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9)))


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans of matplotlib: unlike Pillow's own font it has the Greek of γH2AX and β-Gal."""
    package = find_spec("matplotlib")  # found, not imported: that would take half a second
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)


def _fitted(text: str, room: int) -> str:
    """The text on one line, cut with an ellipsis where it is wider than `room` px."""
    text = " ".join(text.split())
    if font(FONT_SIZE).getlength(text) <= room:
        return text
    while text and font(FONT_SIZE).getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"


def _wrap(entries: Sequence[Entry], room: int) -> list[list[tuple[int, Entry]]]:
    """Place entries in rows: x offset in px and entry."""
    rows: list[list[tuple[int, Entry]]] = []
    x = 0
    for entry in entries:
        shown = Entry(entry.mark, entry.color, _fitted(entry.text, room - MARK_ROOM))
        needed = _room(shown) + int(font(FONT_SIZE).getlength(shown.text))
        if not rows or x + needed > room:
            rows.append([])
            x = 0
        rows[-1].append((x, shown))
        x += needed + GAP
    return rows


def _room(entry: Entry) -> int:
    return 0 if entry.mark == "none" else MARK_ROOM


def _draw_mark(pen: ImageDraw.ImageDraw, entry: Entry, x: int, y: int) -> None:
    box = (x, y, x + MARK_SIZE, y + MARK_SIZE)
    if entry.mark == "box":
        pen.rectangle(box, fill=entry.color)
    elif entry.mark == "ring":
        pen.ellipse(box, outline=entry.color, width=2)
    elif entry.mark == "outline":
        pen.rectangle(box, outline=entry.color, width=2)
