"""Cells left out by hand: review/exclusions.csv in the folder of a run.

A cell is named by its image and its number in the labels, so that a decision is good for these
labels alone: beside it stands which ones it was made on, and one made on others is not applied and
said to be so.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from measurements.columns import Column
from pipelines.errors import StudyError
from pipelines.run.layout import Layout, read_part
from pipelines.run.parts import Part
from pipelines.run.provenance import fingerprint
from pipelines.study import Study
from pipelines.tables import write_csv

BY_HAND = Column(
    "excluded_by_hand", "flag", "bool", "Left out by a person, in review/exclusions.csv.",
    "review", aggregate=False,
)  # fmt: skip
NEEDED = ("image_id", "cell_id")
FIELDS = (*NEEDED, "labels", "reason")


@dataclass(frozen=True)
class Exclusion:
    """One cell that a person left out.

    Attributes:
        image_id: its image.
        cell_id: its number in the labels and the tables.
        labels: `labels_key` of what it was seen on; empty for whatever there is.
        reason: in words, may be empty.
    """

    image_id: str
    cell_id: int
    labels: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Reviewed:
    """A run's images with the cells that a person left out.

    Attributes:
        study: its settings, which leave these cells out where there are any.
        parts: the images.
        warnings: how many are left out, and what could not be applied.
    """

    study: Study
    parts: list[Part]
    warnings: tuple[str, ...]


def labels_key(marker: Mapping[str, Any]) -> str:
    """What an image's labels were made from, in short: settings and files.

    Args:
        marker: the image's image.json.
    """
    return fingerprint(marker["segmentation_key"], [f["sha256"] for f in marker["files"]])[:16]


def read_exclusions(layout: Layout) -> list[Exclusion]:
    """The cells that were left out; none where there is no such file.

    Raises:
        StudyError: the file is not the table that it should be.
    """
    path = layout.exclusions
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    found = []
    for number, row in enumerate(rows, start=2):
        given = {name: (row.get(name) or "").strip() for name in FIELDS}
        if not given["image_id"] or not given["cell_id"].isdigit():
            raise StudyError(
                f"{path} line {number}: expected the columns {', '.join(FIELDS)}, with a cell's "
                f"number in cell_id; found {dict(row)}"
            )
        found.append(
            Exclusion(given["image_id"], int(given["cell_id"]), given["labels"], given["reason"])
        )
    return found


def write_exclusions(layout: Layout, exclusions: Iterable[Exclusion]) -> None:
    """Write them sorted, each cell once."""
    once = {(e.image_id, e.cell_id): e for e in exclusions}
    write_csv(layout.exclusions, [asdict(once[key]) for key in sorted(once)], FIELDS)


def toggled(layout: Layout, image_id: str, cell_id: int, reason: str = "") -> bool:
    """Leave a cell out, or take it in again; stored at once.

    Returns:
        Whether it is now left out.

    Raises:
        StudyError: the image is not in the run.
    """
    part = read_part(layout, image_id)
    if part is None:
        raise StudyError(f"{layout.root}: the image {image_id} is not measured")
    key, known = labels_key(part), read_exclusions(layout)
    same = [e for e in known if (e.image_id, e.cell_id) == (image_id, cell_id)]
    others = [e for e in known if e not in same]
    now = not any(e.labels in ("", key) for e in same)
    mine = [Exclusion(image_id, cell_id, key, reason)] if now else []
    write_exclusions(layout, [*others, *mine])
    return now


def rename_images(layout: Layout, renamed: Mapping[str, str]) -> None:
    """Let exclusions follow images whose ids have changed.

    Args:
        layout: of the run.
        renamed: id that an image had -> id that it has now.

    Raises:
        StudyError: see `read_exclusions`.
    """
    exclusions = read_exclusions(layout)
    write_exclusions(
        layout, [replace(e, image_id=renamed.get(e.image_id, e.image_id)) for e in exclusions]
    )


def apply_exclusions(study: Study, parts: Sequence[Part], layout: Layout) -> Reviewed:
    """Flag the cells that a person left out, and leave them out of all that is computed.

    Args:
        study: the settings.
        parts: images that are measured.
        layout: of the run.

    Raises:
        StudyError: see `read_exclusions`.
    """
    exclusions = read_exclusions(layout)
    if not exclusions or not parts:
        return Reviewed(study, list(parts), ())
    wanted: dict[str, list[Exclusion]] = {}
    for exclusion in exclusions:
        wanted.setdefault(exclusion.image_id, []).append(exclusion)
    flagged, lost, n_cells, n_images = [], [], 0, 0
    for part in parts:
        mine = wanted.pop(part.image_id, [])
        ids = part.values("cell_id").astype(np.int64)
        fitting = [e.cell_id for e in mine if e.labels in ("", labels_key(part.marker))]
        here = np.isin(ids, fitting)
        lost += [part.image_id] * (len(mine) - int(here.sum()))
        n_cells, n_images = n_cells + int(here.sum()), n_images + bool(here.any())
        flagged.append(part.adding({BY_HAND: here}))
    warnings = [f"{n_cells} cell(s) of {n_images} image(s) are left out by hand"]
    if lost:
        warnings.append(
            f"{len(lost)} exclusion(s) of {', '.join(sorted(set(lost)))} were made on other labels "
            "or name no cell, and are not applied: look at these images again"
        )
    if wanted:
        warnings.append(f"exclusions name images that are not in the tables: {', '.join(wanted)}")
    flags = (*study.exclude.flags, BY_HAND.name)
    ruled = study.model_copy(update={"exclude": study.exclude.model_copy(update={"flags": flags})})
    said = tuple(f"review/exclusions.csv: {text}" for text in warnings)
    return Reviewed(ruled, flagged, said)
