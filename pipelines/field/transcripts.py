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
    settings = transcripts_of(study)
    if settings is None or found is None:
        return {}, {}, ()
    inside = on_image(found, cells.shape)
    transcripts = found.take(inside)
    owner = owners(transcripts, cells, settings.in_px("distance", pixel_size_um))
    in_cells, outside = int((owner > 0).sum()), int((~inside).sum())
    values: dict[str, float] = {
        IN_IMAGE.name: owner.size,
        IN_CELLS.name: in_cells,
        OUTSIDE_CELLS.name: owner.size - in_cells,
        OUTSIDE_IMAGE.name: outside,
    }
    warnings = (f"{outside} transcripts lie beyond the image's edge",) if outside else ()
    return measure_transcripts(owner, transcripts, ids), values, warnings
