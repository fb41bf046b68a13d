"""Transcripts of one image: read with its pixels, counted in its cells."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Measured
from measurements.transcripts import (
    IN_CELLS,
    IN_IMAGE,
    OUTSIDE_CELLS,
    OUTSIDE_IMAGE,
    Transcripts,
    measure_transcripts,
    on_image,
    owners,
)
from pipelines.errors import ImageError
from pipelines.study import Study
from pipelines.study.transcripts_check import transcripts_of
from pipelines.transcript_tables import read_transcripts

# More than this share beyond the image's edge is another unit or another image; less are spots at
# the very edge, which decoders place a pixel beyond it.
MOST_OUTSIDE = 0.01


def transcripts_in(
    study: Study, shape: tuple[int, ...], pixel_size_um: float | None
) -> Transcripts | None:
    """Read an image's transcripts, where the study has some; its settings name the image's table.

    Raises:
        ImageError: the table does not fit the settings or the image.
    """
    settings = transcripts_of(study)
    if settings is None:
        return None
    path = Path(settings.table)
    found = read_transcripts(path, settings, pixel_size_um)
    outside = int((~on_image(found, shape)).sum())
    if outside > MOST_OUTSIDE * found.y.size:
        raise ImageError(
            f"{outside:,} of the {found.y.size:,} transcripts in {path.name} lie outside the image "
            f"of {shape[1]} x {shape[0]} px: their x goes from {found.x.min():g} to "
            f"{found.x.max():g} px and their y from {found.y.min():g} to {found.y.max():g} px. Is "
            f"the unit {settings.unit}, and is it the table of this image?"
        )
    return found


def count_transcripts(
    study: Study,
    found: Transcripts | None,
    cells: NDArray[np.uint32],
    ids: NDArray[np.uint32],
    pixel_size_um: float | None,
) -> tuple[Measured, Mapping[str, float], tuple[str, ...]]:
    """Give transcripts to cells.

    Args:
        study: the settings.
        found: the image's transcripts; None for none.
        cells: (y, x) labels.
        ids: the cells wanted.
        pixel_size_um: edge of a pixel.

    Returns:
        One value a cell and column, the image's own values by column, and warnings.
    """
    if found is None:
        return {}, {}, ()
    owner, counts = _counted(study, found, cells, ids, pixel_size_um)
    return counts, *transcript_totals(found, cells.shape, int((owner > 0).sum()))


def count_transcripts_in_view(
    study: Study,
    found: Transcripts | None,
    cells: NDArray[np.uint32],
    ids: NDArray[np.uint32],
    corner: tuple[int, int],
    pixel_size_um: float | None,
) -> Measured:
    """Give a slide's transcripts to the cells that are wanted of a view of it.

    Args:
        study: the settings.
        found: the slide's transcripts; None for none.
        cells: (y, x) labels of the view.
        ids: the cells wanted.
        corner: row and column where the view begins in the slide.
        pixel_size_um: edge of a pixel.
    """
    if found is None:
        return {}
    moved = Transcripts(found.y - corner[0], found.x - corner[1], found.gene, found.genes)
    return _counted(study, moved, cells, ids, pixel_size_um)[1]


def transcript_totals(
    found: Transcripts, shape: tuple[int, ...], in_cells: int
) -> tuple[Mapping[str, float], tuple[str, ...]]:
    """The image's own values by column, and warnings.

    Args:
        found: all transcripts of the image.
        shape: of the image.
        in_cells: how many were given to cells.
    """
    inside = int(on_image(found, shape).sum())
    outside = found.y.size - inside
    values: dict[str, float] = {
        IN_IMAGE.name: inside,
        IN_CELLS.name: in_cells,
        OUTSIDE_CELLS.name: inside - in_cells,
        OUTSIDE_IMAGE.name: outside,
    }
    return values, (f"{outside} transcripts lie beyond the image's edge",) if outside else ()


def _counted(
    study: Study,
    found: Transcripts,
    cells: NDArray[np.uint32],
    ids: NDArray[np.uint32],
    pixel_size_um: float | None,
) -> tuple[NDArray[np.uint32], Measured]:
    """Owner of each transcript that lies on these labels, and counts by cell."""
    settings = transcripts_of(study)
    assert settings is not None  # there are transcripts where the study has settings of them
    here = found.take(on_image(found, cells.shape))
    owner = owners(here, cells, settings.in_px("distance", pixel_size_um))
    return owner, measure_transcripts(owner, here, ids)
