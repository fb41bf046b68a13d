"""Outlines of nuclei and cells, and which of them are positive, drawn on a picture."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from pipelines.overlay.legend import Color, Entry, Strip, font
from pipelines.words import counted

Picture = NDArray[np.uint8]
Labels = NDArray[np.integer]
Positive = Mapping[str, Collection[int] | None]
"""Marker -> ids of its positive cells; None where no cell could be judged."""
NUMBER_SIZE = 12


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours of what is drawn on an image.

    Attributes:
        nucleus: outline of a nucleus.
        cell: outline of a cell, drawn half transparent.
        positive: outline of a positive nucleus (twice as thick) and of its cell.
        focus: ring around a focus.
    """

    nucleus: Color
    cell: Color
    positive: Color
    focus: Color


def positive_for_any(positive: Positive | None) -> NDArray[np.int64]:
    """Ids of the cells that are positive for at least one marker, ascending."""
    found = [list(ids) for ids in (positive or {}).values() if ids is not None]
    return np.unique(np.array([i for ids in found for i in ids], dtype=np.int64))


def draw_cells(picture: Picture, labels: Labels, positive: NDArray[np.int64], ink: Ink) -> None:
    """Outline cells half transparent, positive ones in their own colour; in place."""
    edge = outline(labels)
    of_positive = np.isin(labels, positive)
    for where, color in ((edge & ~of_positive, ink.cell), (edge & of_positive, ink.positive)):
        mixed = 0.45 * picture[where] + 0.55 * np.asarray(color, dtype=np.float32)
        picture[where] = mixed.astype(np.uint8)


def draw_nuclei(picture: Picture, labels: Labels, positive: NDArray[np.int64], ink: Ink) -> None:
    """Outline nuclei; positive ones twice as thick, so that colour is not the only cue."""
    edge = outline(labels)
    picture[edge] = ink.nucleus
    if positive.size:
        only_positive = np.where(np.isin(labels, positive), labels, 0)
        outer = edge & (only_positive > 0)
        picture[outer | outline(np.where(outer, 0, only_positive))] = ink.positive


def outline(labels: Labels) -> NDArray[np.bool_]:
    """Pixels of a region that touch another region or background, through an edge."""
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(labels, axis=axis) != 0
        first, last = [slice(None)] * 2, [slice(None)] * 2
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        edge[tuple(first)] |= differs
        edge[tuple(last)] |= differs
    return edge & (labels > 0)


def number_markers(
    canvas: Image.Image, labels: Labels, positive: Positive | None, ink: Ink, strip: Strip
) -> None:
    """Write the markers' numbers beside each positive cell, where there are several markers.

    Args:
        canvas: RGB picture, drawn on in place.
        labels: (h, w) of the canvas; the numbers stand to the right of the labelled object.
        positive: by marker.
        ink: the numbers have the colour of positive outlines.
        strip: the numbers are framed by its paper.
    """
    cells = positive_for_any(positive)
    if positive is None or len(positive) < 2 or not cells.size:
        return
    called = [np.isin(cells, [] if ids is None else list(ids)) for ids in positive.values()]
    areas = ndimage.sum_labels(labels > 0, labels, cells)
    places = ndimage.center_of_mass(labels > 0, labels, cells)
    pen = ImageDraw.Draw(canvas)
    for of_cell, area, (y, x) in zip(np.array(called).T, areas, places, strict=True):
        if area > 0:
            text = " ".join(str(n) for n, on in enumerate(of_cell, start=1) if on)
            right = (x + np.sqrt(area / np.pi) + 3, y)
            pen.text(right, text, ink.positive, font(NUMBER_SIZE), "lm", stroke_width=2,
                     stroke_fill=strip.paper)  # fmt: skip


def outline_entries(
    nuclei: Labels, cells: Labels | None, positive: Positive | None, ink: Ink
) -> list[Entry]:
    """Legend entries of the outlines with their numbers, one for each marker."""
    n_nuclei = int(np.count_nonzero(np.unique(nuclei)))
    entries = [Entry("outline", ink.nucleus, counted(n_nuclei, "nucleus", "nuclei"))]
    if cells is not None:
        n_cells = int(np.count_nonzero(np.unique(cells)))
        entries.append(Entry("outline", ink.cell, counted(n_cells, "cell")))
    several = len(positive or {}) > 1
    if several:
        count = positive_for_any(positive).size
        entries.append(Entry("outline", ink.positive, f"{count:,} positive for any marker:"))
    for number, (marker, ids) in enumerate((positive or {}).items(), start=1):
        count_text = "not decided" if ids is None else f"{len(ids):,} positive"
        text = f"{number} = {marker}, {count_text}" if several else f"{marker}: {count_text}"
        entries.append(Entry("none" if several else "outline", ink.positive, text))
    return entries
