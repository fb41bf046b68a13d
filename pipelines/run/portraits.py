"""Single cells at the ends, in the middle and at the gate of every outcome, as small pictures.

A number is believed when the cells behind it have been seen. All cells of one column are shown
with the same contrast and at the same size, whatever their group. Pixels are read in windows
around the cells, except where a file or a projection can only be read as a whole.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.errors import ImageError, SenescopeError
from pipelines.images import Field
from pipelines.images.formats import is_zarr
from pipelines.images.header import is_tiff
from pipelines.images.lazy import is_large
from pipelines.labels_store import label_names, read_labels
from pipelines.overlay import save_png
from pipelines.overlay.portrait import Window, common_limits, draw_portrait
from pipelines.report.data import read_run
from pipelines.run.chosen import Box, Cell, Chosen, chosen_cells
from pipelines.run.layout import Layout
from pipelines.run.provenance import fingerprint
from pipelines.study.check import Checked, open_row
from pipelines.tables import write_csv, write_text

ROOM = 1.35
"""Edge of a window, in long sides of the larger cells' boxes [judgement]."""
LARGER = 90
MOST_PX = 512
COLUMNS = (
    "column", "channel", "low", "high", "side", "unit", "place", "group", "image_id", "cell_id",
    "value", "file",
)  # fmt: skip
Seen = dict[tuple[str, Cell], tuple[Window, float]]
"""Column and cell -> its pixels, and the edge of the window in the table's unit."""


def draw_portraits(checked: Checked, layout: Layout) -> tuple[str, ...]:
    """Draw the chosen cells of a run into its folder ``portraits``, unless they are there already.

    Args:
        checked: the study and its images.
        layout: of the run, whose tables are written.

    Returns:
        Images that could not be shown and why; pictures never stop a run.
    """
    run = read_run(layout.root)
    chosen = chosen_cells(run, checked.study)
    key = fingerprint(run.provenance.get("keys"), [asdict(each) for each in chosen])
    if _drawn_from(layout) == key:
        return ()
    shutil.rmtree(layout.portraits, ignore_errors=True)
    if not chosen:
        return ()
    placed = _placed(chosen, checked, layout)
    seen, lost = _look_at(placed, checked, layout)
    rows = [row for each in placed for row in _draw(each, seen, layout)]
    write_csv(layout.portraits / "cells.csv", rows, COLUMNS)
    write_text(layout.portraits / "drawn_from.json", json.dumps({"key": key}))
    return tuple(f"{name}: {why}" for name, why in lost.items())


def _drawn_from(layout: Layout) -> str:
    try:
        text = (layout.portraits / "drawn_from.json").read_text(encoding="utf-8")
        return str(json.loads(text)["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _placed(chosen: Sequence[Chosen], checked: Checked, layout: Layout) -> list[Chosen]:
    """The cells with their boxes, from the labels and in px where the table has none.

    Cells of slides, whose labels are not read as a whole, are then left out.
    """
    lacking = {cell.image_id for each in chosen for cell in each.cells if cell.box is None}
    if not lacking:
        return list(chosen)
    boxes = {name: _boxes(layout.labels(name)) for name in sorted(lacking - checked.slides)}
    placed = []
    for each in chosen:
        cells = [replace(c, box=boxes.get(c.image_id, {}).get(c.cell_id)) for c in each.cells]
        placed.append(replace(each, cells=tuple(c for c in cells if c.box is not None)))
    return placed


def _boxes(store: Path) -> dict[int, Box]:
    """Bounding boxes by cell, in px; none for labels that cannot be read."""
    try:
        found = ndimage.find_objects(read_labels(store, _shown_labels(store)))
    except ImageError:
        return {}
    return {
        number: (box[0].start, box[1].start, box[0].stop - box[0].start, box[1].stop - box[1].start)
        for number, box in enumerate(found, start=1)
        if box is not None
    }


def _shown_labels(store: Path) -> str:
    return "cells" if "cells" in label_names(store) else "nuclei"


def _look_at(
    chosen: Sequence[Chosen], checked: Checked, layout: Layout
) -> tuple[Seen, dict[str, str]]:
    """Read the windows, image by image."""
    by_image: dict[str, list[tuple[Chosen, float, Cell]]] = {}
    for each in chosen:
        side = _side(each)
        for cell in each.cells:
            by_image.setdefault(cell.image_id, []).append((each, side, cell))
    rows = {row.image_id: row for row in checked.samples.rows}
    seen: Seen = {}
    lost: dict[str, str] = {}
    for image_id, wanted in by_image.items():
        try:
            field = open_row(checked.study, rows[image_id])
            read = _Reader(field, layout)
            for each, side, cell in wanted:
                seen[each.column, cell] = (read.window(each, side, cell), side)
        except (SenescopeError, OSError, ValueError, KeyError) as error:
            lost[image_id] = str(error) or type(error).__name__
    return seen, lost


def _side(chosen: Chosen) -> float:
    """Edge of the windows of one column, in the unit of the boxes."""
    longest = [max(cell.box[2:]) for cell in chosen.cells if cell.box is not None]
    return ROOM * float(np.percentile(longest, LARGER)) if longest else 0.0


class _Reader:
    """One image's channels and labels; what can only be read as a whole is read once."""

    def __init__(self, field: Field, layout: Layout) -> None:
        self.field = field
        self.store = layout.labels(field.image_id)
        self.labels = _shown_labels(self.store)
        self.whole: dict[str, NDArray[Any]] = {}

    def window(self, chosen: Chosen, side: float, cell: Cell) -> Window:
        """The pixels around one cell."""
        assert cell.box is not None  # held by _placed
        scale = (self.field.pixel_size_um or 1.0) if chosen.in_um else 1.0
        edge = int(np.clip(np.ceil(side / scale), 8, MOST_PX))
        top, left = (
            round((start + length / 2) / scale - edge / 2)
            for start, length in zip(cell.box[:2], cell.box[2:], strict=True)
        )
        rows, columns = (
            slice(max(0, start), min(size, start + edge))
            for start, size in zip((top, left), self.field.shape, strict=True)
        )
        labels = read_labels(self.store, self.labels, (rows, columns))
        plane = self._plane(chosen.channel, (rows, columns))
        return Window(plane, labels == cell.cell_id, (rows.start - top, columns.start - left), edge)

    def _plane(self, channel: str, box: tuple[slice, slice]) -> NDArray[Any]:
        source = self.field.sources[channel]
        path, focused = source.info.path, self.field.z == "best_focus" and source.info.n_z > 1
        if is_large(source.info) or ((is_zarr(path) or is_tiff(path)) and not focused):
            return self.field.plane(channel, box)
        if channel not in self.whole:
            self.whole[channel] = self.field.plane(channel)
        return self.whole[channel][box]


def _draw(chosen: Chosen, seen: Seen, layout: Layout) -> list[dict[str, object]]:
    """Draw the cells of one column that were seen, and say what each picture is."""
    shown = [cell for cell in chosen.cells if (chosen.column, cell) in seen]
    low, high = common_limits([seen[chosen.column, cell][0] for cell in shown])
    rows = []
    for number, cell in enumerate(shown, start=1):
        window, side = seen[chosen.column, cell]
        name = f"{chosen.column}-{number:02d}.png"
        save_png(layout.portraits / name, draw_portrait(window, (low, high)))
        values = (chosen.column, chosen.channel, low, high, side, "µm" if chosen.in_um else "px")
        found = (cell.place, cell.group, cell.image_id, cell.cell_id, cell.value, name)
        rows.append(dict(zip(COLUMNS, values + found, strict=True)))
    return rows
