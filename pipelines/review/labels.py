"""Label images that a person corrects: which ones may be, which are shown, and where they stay."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.labels_store import label_names, read_label_image, read_labels, write_label_tiff
from pipelines.run.layout import Layout, read_part
from pipelines.run.provenance import file_sha256
from pipelines.study import Study
from pipelines.study.settings import CellposeCells, NucleiAsCells

NAMES = ("nuclei", "cells")


def correctable(study: Study, *, slide: bool) -> tuple[str, ...]:
    """Labels that a run takes from a person: those that it asks a model for, of no slide."""
    models = {
        "nuclei": study.segmentation.nuclei is not None,
        "cells": isinstance(study.segmentation.cells, CellposeCells),
    }
    return () if slide else tuple(name for name in NAMES if models[name])


def shown_names(study: Study, store: Path) -> tuple[str, ...]:
    """Labels worth a layer: no nuclei where there are none, no cells that are the nuclei."""
    there = set(label_names(store))
    if study.segmentation.nuclei is None:
        there.discard("nuclei")
    if isinstance(study.segmentation.cells, NucleiAsCells):
        there.discard("cells")
    return tuple(name for name in NAMES if name in there)


def is_pending(layout: Layout, image_id: str, name: str) -> bool:
    """Whether labels were corrected and no run has measured them yet."""
    path, part = layout.corrected(image_id, name), read_part(layout, image_id)
    if not path.is_file():
        return False
    return part is None or file_sha256(path) not in {entry["sha256"] for entry in part["files"]}


def corrected_warnings(layout: Layout, image_ids: Iterable[str]) -> tuple[str, ...]:
    """Which measured images have labels that a person corrected, for the report."""
    found = [i for i in image_ids if any(layout.corrected(i, name).is_file() for name in NAMES)]
    if not found:
        return ()
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return (f"review/labels: labels of {', '.join(found[:10])}{more} were corrected by hand",)


def labels_to_show(layout: Layout, image_id: str, name: str) -> NDArray[np.uint32]:
    """The corrected labels (y, x) where the next run will take them, else those of the run.

    Raises:
        ImageError: they cannot be read.
    """
    if is_pending(layout, image_id, name):
        return read_label_image(layout.corrected(image_id, name))
    return read_labels(layout.labels(image_id), name)


def keep_labels(
    layout: Layout, image_id: str, labels: Mapping[str, NDArray[np.uint32]], study: Study
) -> list[Path]:
    """Store the labels that were changed and that the study asks a model for.

    Labels that are again those of the run take a correction back that no run has measured yet.

    Args:
        layout: of the run.
        image_id: the image, no slide.
        labels: (y, x) of ``nuclei`` and ``cells``, as they are now.
        study: the settings.

    Returns:
        The files that were written.
    """
    written = []
    for name in correctable(study, slide=False):
        if name not in labels or np.array_equal(
            labels[name], labels_to_show(layout, image_id, name)
        ):
            continue
        path = layout.corrected(image_id, name)
        if np.array_equal(labels[name], read_labels(layout.labels(image_id), name)):
            path.unlink()
            continue
        write_label_tiff(path, labels[name])
        written.append(path)
    return written
