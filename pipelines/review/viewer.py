"""`senescope open`: an image of a run in napari, with its labels, its columns as colours, and keys.

Nothing is decided here: cells left out and labels that were changed are stored beside the run, and
the next `senescope run` applies them.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.errors import SenescopeError, StudyError
from pipelines.export.source import Source, read_source
from pipelines.labels_store import read_labels, write_label_tiff
from pipelines.review.store import Exclusion, labels_key, read_exclusions, write_exclusions
from pipelines.run.layout import Layout, read_part
from pipelines.study import Study, parse_study
from pipelines.study.check import open_row
from pipelines.study.samples import join_samples
from pipelines.study.settings import CellposeCells

if TYPE_CHECKING:
    import napari

CORRECTED = ("nuclei", "cells")


def open_run(folder: Path, image_id: str | None, study_folder: Path | None = None) -> None:
    """Show one image of a run; returns when its window is closed.

    Args:
        folder: of the run.
        image_id: the image; the first of the table where None.
        study_folder: folder of the study file, where relative paths start; the folder above the
            run's where None.

    Raises:
        SenescopeError: napari is not installed, or there is no such run or image.
    """
    source = read_source(folder)
    chosen = _chosen(source, image_id)
    if find_spec("napari") is None:
        raise SenescopeError(
            "senescope open shows images in napari, which is not installed: "
            "pip install 'senescope[napari]'. Without it, name cells to be left out in "
            f"{source.layout.exclusions} (columns image_id, cell_id, reason) and put corrected "
            f"label images into {source.layout.corrected(chosen, 'nuclei').parent}; the next "
            "senescope run applies both."
        )
    import napari

    study = parse_study(str(source.study["text"]), "provenance.json")
    viewer = napari.Viewer(title=f"{chosen} - senescope")
    _add_pixels(viewer, study, study_folder or folder.resolve().parent, chosen)
    features = cell_columns(source, chosen)
    for name in CORRECTED:
        labels = read_labels(source.layout.labels(chosen), name)
        viewer.add_labels(labels, name=name, features=features, visible=name == "cells")
    _add_keys(viewer, source.layout, chosen, study)
    napari.run()


def cell_columns(source: Source, image_id: str) -> dict[str, list[object]]:
    """The table's columns of one image as napari takes them: labels in the column ``index``."""
    cells = pl.scan_parquet(source.layout.cells).filter(pl.col("image_id") == image_id).collect()
    return cells.drop("image_id").rename({"cell_id": "index"}).to_dict(as_series=False)


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
    known = read_exclusions(layout)
    others = [e for e in known if (e.image_id, e.cell_id) != (image_id, cell_id)]
    now = len(others) == len(known)
    mine = [Exclusion(image_id, cell_id, labels_key(part), reason)] if now else []
    write_exclusions(layout, [*others, *mine])
    return now


def keep_labels(
    layout: Layout, image_id: str, labels: dict[str, NDArray[np.uint32]], study: Study
) -> list[Path]:
    """Store the labels that differ from the run's and that the study asks a model for."""
    models = {"nuclei": study.segmentation.nuclei is not None}
    models["cells"] = isinstance(study.segmentation.cells, CellposeCells)
    written = []
    for name, changed in labels.items():
        same = np.array_equal(changed, read_labels(layout.labels(image_id), name))
        if models[name] and not same:
            write_label_tiff(layout.corrected(image_id, name), changed)
            written.append(layout.corrected(image_id, name))
    return written


def _chosen(source: Source, image_id: str | None) -> str:
    names = pl.scan_parquet(source.layout.cells).select("image_id").unique(maintain_order=True)
    known = names.collect()["image_id"].to_list()
    if image_id is None and known:
        return str(known[0])
    if image_id is None or image_id not in known:
        raise StudyError(f"no image {image_id} in the tables; they hold {', '.join(known[:10])}")
    return image_id


def _add_pixels(viewer: "napari.Viewer", study: Study, folder: Path, image_id: str) -> None:
    rows = {row.image_id: row for row in join_samples(study, folder).rows}
    if image_id not in rows:
        raise StudyError(
            f"the files of {image_id} are not found from {folder}: give the folder of the study "
            "file with --study-folder"
        )
    field = open_row(study, rows[image_id])
    for name in field.sources:
        plane = field.plane(name)
        viewer.add_image(plane, name=name, rgb=plane.ndim == 3, blending="additive")


def _add_keys(viewer: "napari.Viewer", layout: Layout, image_id: str, study: Study) -> None:
    """X leaves out the selected cell or takes it in again, Shift-S stores changed labels."""

    def leave_out(shown: "napari.Viewer") -> None:
        cell_id = int(shown.layers["cells"].selected_label)
        now = toggled(layout, image_id, cell_id)
        shown.status = f"cell {cell_id} is {'left out' if now else 'taken in'} by the next run"

    def store(shown: "napari.Viewer") -> None:
        labels = {name: np.asarray(shown.layers[name].data, np.uint32) for name in CORRECTED}
        written = keep_labels(layout, image_id, labels, study)
        shown.status = f"stored: {', '.join(map(str, written)) or 'nothing was changed'}"

    viewer.bind_key("x", leave_out)
    viewer.bind_key("Shift-S", store)
    viewer.status = "X: leave out the selected cell; Shift-S: store changed labels"
