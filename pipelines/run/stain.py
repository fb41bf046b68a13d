"""The colour of a study's X-gal precipitate, from its own stained control images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from measurements.errors import MeasurementError
from measurements.stain_estimate import Densities, estimate_stain, stained_densities
from pipelines.errors import ImageError, StudyError
from pipelines.field.beta_gal import stain_settings
from pipelines.field.pixels import read_blank
from pipelines.study.beta_gal import blank_file
from pipelines.study.check import Checked, open_row
from pipelines.study.csv_table import Value
from pipelines.study.design import selected
from pipelines.study.row import ImageRow
from pipelines.study.settings import BetaGal, StainControls

MOST_IMAGES = 12
MOST_SIDE_PX = 2048
DIGITS = 4


def estimate_stains(
    checked: Checked, settings: BetaGal, stain: StainControls
) -> dict[Value, Mapping[str, Any]]:
    """Estimate one stain a batch, from the middles of at most 12 of its control images.

    Args:
        checked: the study and its images.
        settings: how SA-β-Gal is measured.
        stain: which images are controls, and what the batches are.

    Returns:
        Batch (None where all are one) -> `measurements.stain_estimate.StainEstimate` as JSON can
        hold it.

    Raises:
        StudyError: no control image of a batch can be read, or too little in them is stained.
    """
    batches: dict[Value, list[ImageRow]] = {}
    for row in selected(checked.samples.rows, stain.controls):
        batches.setdefault(row.sample[stain.by] if stain.by else None, []).append(row)
    return {
        batch: _estimate(
            checked, settings, rows, "" if batch is None else f" of {stain.by} {batch}"
        )
        for batch, rows in batches.items()
    }


def _estimate(
    checked: Checked, settings: BetaGal, rows: Sequence[ImageRow], named: str
) -> Mapping[str, Any]:
    # Evenly spread over the sample table: neighbours in it are often one dish.
    used = rows[:: -(-len(rows) // MOST_IMAGES)]
    try:
        found = [_stained(checked, settings, row) for row in used]
        estimate = estimate_stain(found, stain_settings(settings, np.dtype(np.uint8)))
    except (MeasurementError, ImageError) as failure:
        raise StudyError(
            f"beta_gal.stain: no estimate from the {len(used)} stained control images{named}: "
            f"{failure}"
        ) from failure
    vector = [round(density, DIGITS) for density in estimate.vector]
    return {**asdict(estimate), "vector": vector}


def _stained(checked: Checked, settings: BetaGal, row: ImageRow) -> Densities:
    """Densities of one image's stained pixels."""
    field = open_row(checked.study, row)
    assert field.picture is not None  # the study was checked
    path = blank_file(settings, row, checked.path.resolve().parent)
    blank = None if path is None else read_blank(path, field)[_middle_of(field.shape)]
    rgb = field.plane(field.picture, _middle_of(field.shape))
    return stained_densities(rgb, stain_settings(settings, rgb.dtype), blank=blank)


def _middle_of(shape: tuple[int, int]) -> tuple[slice, slice]:
    """The middle of a large picture, which is enough of it."""
    starts = [max(0, (side - MOST_SIDE_PX) // 2) for side in shape]
    rows, columns = (
        slice(start, min(start + MOST_SIDE_PX, side))
        for start, side in zip(starts, shape, strict=True)
    )
    return rows, columns
