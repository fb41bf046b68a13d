"""QC pictures once cells are gated: drawn again where they do not show which cells are positive.

With foci, which are told over all images, this is the first time that they are drawn. A picture
carries the key of what it was drawn from: settings, positive cells and foci. One whose
key is the wanted one is left untouched, so that a run that was stopped goes on where it was.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.field import Labels, overlay, read_pixels
from pipelines.labels_store import read_labels
from pipelines.overlay import drawn_from, save_png
from pipelines.overlay.outlines import Picture
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.positivity import Gates, positive_columns
from pipelines.run.task import PictureOutcome, PictureTask, picture_key
from pipelines.study import Study
from pipelines.study.check import Checked, open_row


def pictures_to_draw(
    checked: Checked,
    studies: Mapping[str, Study],
    layout: Layout,
    parts: Sequence[Part],
    gates: Gates,
) -> list[PictureTask]:
    """The pictures that show something else than the present gates.

    Args:
        checked: the study.
        studies: image id -> the settings with what was decided for the image, such as the picture
            of its light; the study's own where an image has none.
        layout: of the run.
        parts: the images that are in the tables.
        gates: their thresholds.
    """
    tasks = [
        _task(part, studies.get(part.image_id, checked.study), checked.slides, layout, gates)
        for part in parts
    ]
    return [task for task in tasks if drawn_from(layout.qc(task.row.image_id)) != task.key]


def draw_picture(task: PictureTask) -> PictureOutcome:
    """Draw one image's picture; never raises, since its numbers are in the tables all the same."""
    layout, image_id = Layout(task.output), task.row.image_id
    try:
        picture = _slide(layout, task) if task.is_slide else _field(layout, task)
        save_png(layout.qc(image_id), picture, task.key)
    except Exception as error:  # noqa: BLE001  a picture must never stop a run
        layout.qc(image_id).unlink(missing_ok=True)
        return PictureOutcome(image_id, str(error) or type(error).__name__)
    return PictureOutcome(image_id)


def _field(layout: Layout, task: PictureTask) -> Picture:
    image_id, path = task.row.image_id, layout.labels(task.row.image_id)
    pixels = read_pixels(open_row(task.study, task.row), task.study)
    labels = Labels(read_labels(path, "nuclei"), read_labels(path, "cells"), None)
    return overlay(pixels, labels, task.study, _foci(layout, image_id), task.positive)


def _slide(layout: Layout, task: PictureTask) -> Picture:
    # Imported here: only slides need it, and it brings the network's library, which takes seconds.
    from pipelines.run.slide import slide_overlay

    image_id, field = task.row.image_id, open_row(task.study, task.row)
    plane = np.load(layout.small_picture(image_id))
    return slide_overlay(field, task.study, layout.labels(image_id), plane, task.positive)


def _task(
    part: Part, study: Study, slides: frozenset[str], layout: Layout, gates: Gates
) -> PictureTask:
    positive, is_slide = _positive(part, gates), part.image_id in slides
    # A slide's picture is too small to show foci.
    places = () if is_slide else _foci(layout, part.image_id).values()
    foci = sha256(b"".join(each.tobytes() for each in places)).hexdigest() if places else ""
    key = picture_key(part.marker["measurement_key"], positive, foci)
    return PictureTask(part.row, study, layout.root, positive, key, is_slide)


def _positive(part: Part, gates: Gates) -> dict[str, tuple[int, ...] | None]:
    """Marker -> ids of its positive cells; None where no cell could be judged."""
    found: dict[str, tuple[int, ...] | None] = {}
    for name, (_, called) in zip(gates.rules, positive_columns(part, gates), strict=True):
        refused = len(called) > 0 and called.null_count == len(called)
        ids = part.values("cell_id")[called.fill_null(False).to_numpy(zero_copy_only=False)]
        found[name] = None if refused else tuple(int(i) for i in ids)
    return found


def _foci(layout: Layout, image_id: str) -> Mapping[str, NDArray[np.generic]]:
    path = layout.foci_part(image_id)
    if not path.is_file():
        return {}
    table = pq.read_table(path)
    return {name: table.column(name).to_numpy() for name in table.column_names if name[0] in "xy"}
