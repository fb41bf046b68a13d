"""Nuclei and cells of one image, by the models and methods that the study names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.field.pixels import Pixels
from pipelines.study import Study
from pipelines.study.settings import CellposeCells, CellposeSettings, ExpandedCells, VoronoiCells
from segmentation.catalogue import ModelError
from segmentation.cells import Compartments, expand_nuclei, pair, voronoi


@dataclass(frozen=True)
class Labels:
    """Nuclei and cells of an image, as label images with the same ids.

    Attributes:
        nuclei: (y, x) uint32.
        cells: (y, x) uint32.
        n_nuclei: nuclei in each cell, in the order of the cells' ids; None where each has one.
    """

    nuclei: NDArray[np.uint32]
    cells: NDArray[np.uint32]
    n_nuclei: NDArray[np.int64] | None


Corrected = Mapping[str, NDArray[np.uint32]]
"""``nuclei`` or ``cells`` that a person corrected -> (y, x), taken instead of a model's."""


def segment_field(
    pixels: Pixels, study: Study, folder: Path, corrected: Corrected | None = None
) -> Labels:
    """Find nuclei and cells.

    Args:
        pixels: the image.
        study: the settings.
        folder: where relative paths of weights start.
        corrected: objects that no model is asked for; cells that are grown from nuclei still are.

    Raises:
        ImageError: a model cannot be had or the image is unfit for it, or corrected labels are not
            of this image or of objects that the study does not ask a model for.
    """
    nuclei_settings, cell_settings = study.segmentation.nuclei, study.segmentation.cells
    given = corrected or {}
    _check_corrected(given, study, pixels)
    if nuclei_settings is None:
        assert isinstance(cell_settings, CellposeCells)  # held by Segmentation
        cells = _objects("cells", given, pixels, cell_settings, study, folder)
        return Labels(
            np.zeros_like(cells), cells, np.zeros(np.unique(cells[cells > 0]).size, np.int64)
        )
    nuclei = _objects("nuclei", given, pixels, nuclei_settings, study, folder)
    if isinstance(cell_settings, CellposeCells):
        cells = _objects("cells", given, pixels, cell_settings, study, folder)
        pairing = pair(nuclei, cells)
        return _labels(pairing.compartments, pairing.n_nuclei)
    size = pixels.pixel_size_um
    if isinstance(cell_settings, ExpandedCells):
        return _labels(expand_nuclei(nuclei, cell_settings.in_px("distance", size)), None)
    if isinstance(cell_settings, VoronoiCells):
        return _labels(voronoi(nuclei, cell_settings.in_px("limit", size)), None)
    return Labels(nuclei, nuclei, None)


def _check_corrected(corrected: Corrected, study: Study, pixels: Pixels) -> None:
    shape = next(iter(pixels.planes.values())).shape[:2] if pixels.planes else None
    for name, labels in corrected.items():
        if why := why_refused(name, study):
            raise ImageError(why)
        if shape is not None and labels.shape != shape:
            raise ImageError(
                f"corrected labels of {name} are {labels.shape}, the image is {shape} (rows, "
                "columns): they belong to another image"
            )


def why_refused(name: str, study: Study) -> str:
    """Why labels of ``nuclei`` or ``cells`` cannot be given; empty where they can."""
    asked = [each for each in ("nuclei", "cells") if _has_model(study, each)]
    if name in asked:
        return ""
    others = " and ".join(asked)
    return (
        f"labels of {name} were given, but the study's {name} come from its {others}: give labels "
        f"of {others}, or outline {name} by `method: cellpose` (given labels then take the "
        "model's place)"
    )


def _has_model(study: Study, name: str) -> bool:
    if name == "nuclei":
        return study.segmentation.nuclei is not None
    return isinstance(study.segmentation.cells, CellposeCells)


def _objects(
    name: str,
    corrected: Corrected,
    pixels: Pixels,
    settings: CellposeSettings,
    study: Study,
    folder: Path,
) -> NDArray[np.uint32]:
    """Those that a person corrected, else a model's."""
    given = corrected.get(name)
    return _run_model(pixels, settings, study, folder) if given is None else given


def _run_model(
    pixels: Pixels, settings: CellposeSettings, study: Study, folder: Path
) -> NDArray[np.uint32]:
    """Objects of one Cellpose model in one channel."""
    # Imported here: torch and Cellpose take seconds, and reading or measuring needs neither.
    from segmentation.masks import segment
    from segmentation.models import load_model

    gpu = {"auto": None, "yes": True, "no": False}[study.compute.gpu]
    try:
        model = load_model(
            settings.weights(folder),
            gpu=gpu,
            precision=study.compute.precision,
        )
    except ModelError as error:
        raise ImageError(str(error)) from error
    return segment(
        pixels.planes[settings.channel],
        model,
        settings.in_px("diameter", pixels.pixel_size_um),
        flow_threshold=settings.flow_threshold,
        cellprob_threshold=settings.cellprob_threshold,
    )


def _labels(parts: Compartments, n_nuclei: NDArray[np.int64] | None) -> Labels:
    return Labels(parts.nucleus, parts.cell, n_nuclei)
