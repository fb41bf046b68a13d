"""Where a run keeps what: the one place that knows the names of its files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import StudyError


@dataclass(frozen=True)
class Layout:
    """Paths inside the folder of a run.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def cells(self) -> Path:
        """One row a cell."""
        return self.root / "tables" / "cells.parquet"

    @property
    def foci(self) -> Path:
        """One row a focus."""
        return self.root / "tables" / "foci.parquet"

    @property
    def spots(self) -> Path:
        """One row an RNA spot."""
        return self.root / "tables" / "spots.parquet"

    def table(self, level: str) -> Path:
        """A CSV table: images, samples, groups, thresholds, bleed_through or columns."""
        return self.root / "tables" / f"{level}.csv"

    @property
    def failures(self) -> Path:
        """One row an image that is not in the tables."""
        return self.root / "failures.csv"

    @property
    def provenance(self) -> Path:
        """What the run was made of."""
        return self.root / "provenance.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        """The report's figures as SVG and PDF."""
        return self.root / "figures"

    def light(self, channel: str) -> Path:
        """Light over the field, estimated; see `measurements.illumination`."""
        return self.root / "illumination" / f"{channel}.tif"

    def labels(self, image_id: str) -> Path:
        """OME-Zarr of one image's labels."""
        return self.root / "labels" / f"{image_id}.ome.zarr"

    def qc(self, image_id: str) -> Path:
        """Outlines on the image."""
        return self.root / "qc" / f"{image_id}.png"

    @property
    def portraits(self) -> Path:
        """Small pictures of single cells, and cells.csv, which says what each shows."""
        return self.root / "portraits"

    @property
    def review(self) -> Path:
        """What a person decided; there only where someone did."""
        return self.root / "review"

    @property
    def exclusions(self) -> Path:
        """Cells that a person left out."""
        return self.review / "exclusions.csv"

    def corrected(self, image_id: str, name: str) -> Path:
        """Labels of ``nuclei`` or ``cells`` that a person corrected, taken instead of a model's."""
        return self.review / "labels" / f"{image_id}_{name}.tif"

    def part(self, image_id: str) -> Path:
        """Folder of one image's rows."""
        return self.root / "parts" / image_id

    def work(self, image_id: str) -> Path:
        """What is not finished of a slide; gone when it is."""
        return self.part(image_id) / "work"

    def cells_part(self, image_id: str) -> Path:
        """One image's rows of the cells table, without its sample columns."""
        return self.part(image_id) / "cells.parquet"

    def lit_cells_part(self, image_id: str) -> Path:
        """The same of an image that cells cover, its stain in the light of its batch."""
        return self.part(image_id) / "cells_lit.parquet"

    def foci_part(self, image_id: str) -> Path:
        """One image's rows of the foci table, without its sample columns."""
        return self.part(image_id) / "foci.parquet"

    def found_spots_part(self, image_id: str) -> Path:
        """One image's RNA spots, before it is known how many molecules they are."""
        return self.part(image_id) / "found_spots.parquet"

    def spots_part(self, image_id: str) -> Path:
        """One image's rows of the spots table, without its sample columns."""
        return self.part(image_id) / "spots.parquet"

    def small_picture(self, image_id: str) -> Path:
        """Pixels that a slide's picture is drawn from."""
        return self.part(image_id) / "picture.npy"

    def peaks_part(self, image_id: str) -> Path:
        """All that may be foci in one image."""
        return self.part(image_id) / "peaks.parquet"

    def peak_nuclei_part(self, image_id: str) -> Path:
        """What of each nucleus decides on its foci."""
        return self.part(image_id) / "peak_nuclei.parquet"

    def marker(self, image_id: str) -> Path:
        """Written last: its presence says that the part is whole, its text what it is made of."""
        return self.part(image_id) / "image.json"


def results_of(study: Path) -> Path:
    """The folder of a study's results, where none is named: beside the study file."""
    return study.parent / f"{study.stem}-results"


def run_folder(folder: Path) -> Path:
    """The folder, which must be that of a run.

    Raises:
        StudyError: no run left anything there.
    """
    if not Layout(folder).provenance.is_file():
        raise StudyError(f"{folder} is not the folder of a run: it has no provenance.json.")
    return folder


def read_part(layout: Layout, image_id: str) -> dict[str, Any] | None:
    """What image.json says of an image measured before; None where there is no whole part."""
    try:
        part = json.loads(layout.marker(image_id).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return part if isinstance(part, dict) and layout.cells_part(image_id).is_file() else None
