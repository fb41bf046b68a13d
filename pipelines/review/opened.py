"""A finished run opened for review: its settings, its images and where their files are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import polars as pl

from pipelines.errors import StudyError
from pipelines.export.source import CELL_ID, IMAGE_ID, Source, read_source
from pipelines.images import Field
from pipelines.review.store import labels_key, read_exclusions
from pipelines.run.layout import Layout, read_part
from pipelines.study import Study, parse_study
from pipelines.study.check import open_row
from pipelines.study.messages import nearest
from pipelines.study.row import ImageRow
from pipelines.study.samples import join_samples

MOST_LETTERS = 300


@dataclass(frozen=True)
class Opened:
    """A run to look at.

    Attributes:
        source: its tables.
        study: its settings.
        rows: files of its images, by image.
        images: ids of the images that have cells, in the order of the table.
        writable: whether decisions can be stored.
    """

    source: Source
    study: Study
    rows: Mapping[str, ImageRow]
    images: tuple[str, ...]
    writable: bool

    @property
    def layout(self) -> Layout:
        """Paths inside the run's folder."""
        return self.source.layout

    def chosen(self, image_id: str | None) -> str:
        """An image by its id; the first where None.

        Raises:
            StudyError: there is none of this id.
        """
        if image_id is None and self.images:
            return self.images[0]
        if image_id is None or image_id not in self.images:
            hint = shorten(nearest(image_id or "", self.images), MOST_LETTERS)
            raise StudyError(f"no image {image_id} in the tables; {hint}")
        return image_id

    def field(self, image_id: str) -> Field:
        """An image, lazy.

        Raises:
            StudyError: its files are not where the study says.
            ImageError: they cannot be used.
        """
        if image_id not in self.rows:
            raise StudyError(
                f"the files of {image_id} are not found: give the folder of the study file with "
                "--study-folder"
            )
        return open_row(self.study, self.rows[image_id])

    def cells(self, image_id: str) -> pl.DataFrame:
        """The image's rows of the table of cells."""
        rows = pl.scan_parquet(self.layout.cells).filter(pl.col(IMAGE_ID) == image_id)
        return rows.collect()

    def columns(self) -> list[str]:
        """Columns that differ between the cells of an image, flags and outcomes first."""
        keys = {IMAGE_ID, CELL_ID, *self.source.sample_columns}
        found = [c for c in self.source.columns if c.name not in keys and not _is_place(c.name)]
        last = [c.name for c in reversed(found)]  # outcomes and positives come last in the table
        flags = [c.name for c in found if c.unit == "flag"]
        return [*flags, *(name for name in last if name not in flags)]

    def meaning(self, column: str) -> str:
        """What a column of the table of cells is, with its unit."""
        found = next(c for c in self.source.columns if c.name == column)
        return f"{column} [{found.unit}]: {found.meaning}"

    def left_out(self, image_id: str) -> list[int]:
        """Cells of an image that the next run leaves out.

        Raises:
            StudyError: the file of exclusions is not the table that it should be.
        """
        part = read_part(self.layout, image_id)
        if part is None:
            return []
        key = labels_key(part)
        mine = (e for e in read_exclusions(self.layout) if e.image_id == image_id)
        return [e.cell_id for e in mine if e.labels in ("", key)]


def open_results(folder: Path, study_folder: Path | None) -> Opened:
    """Open a run.

    Args:
        folder: of the run.
        study_folder: folder of the study file, where relative paths start; where None, the one
            that the run noted, else the one above the run's.

    Raises:
        StudyError: there is no run, or none with cells.
    """
    source = read_source(folder)
    study = parse_study(str(source.study["text"]), "provenance.json")
    rows = join_samples(study, study_folder or _study_folder(source)).rows
    names = pl.scan_parquet(source.layout.cells).select(IMAGE_ID).unique(maintain_order=True)
    return Opened(
        source=source,
        study=study,
        rows={row.image_id: row for row in rows},
        images=tuple(map(str, names.collect()[IMAGE_ID].to_list())),
        writable=os.access(folder, os.W_OK),
    )


def _study_folder(source: Source) -> Path:
    root = source.layout.root.resolve()
    noted = source.study.get("folder")
    return (root / str(noted)).resolve() if noted else root.parent


def _is_place(name: str) -> bool:
    return any(part in name for part in ("_box_", "_y_", "_x_"))
