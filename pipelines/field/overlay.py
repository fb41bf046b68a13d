"""An image's QC picture: drawn when the image is measured, and again once cells are gated."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from measurements.columns import PX_SUFFIX, UM_SUFFIX
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels
from pipelines.overlay import draw_overlay
from pipelines.overlay.outlines import Positive
from pipelines.study import Study
from pipelines.study.settings import NucleiAsCells


def overlay(
    pixels: Pixels,
    labels: Labels,
    study: Study,
    foci: Mapping[str, NDArray[np.generic]],
    positive: Positive,
) -> NDArray[np.uint8]:
    """Draw one image with its outlines, foci and positive cells.

    Args:
        pixels: the image.
        labels: its nuclei and cells.
        study: the settings.
        foci: columns of the image's foci table, by name; empty where foci are not measured.
        positive: by marker; empty where the study has no positivity.
    """
    planes = {"brightfield": pixels.rgb} if pixels.rgb is not None else pixels.planes
    return draw_overlay(
        planes,
        None,
        labels.nuclei,
        None if isinstance(study.segmentation.cells, NucleiAsCells) else labels.cells,
        foci=_positions(foci, pixels.pixel_size_um) if foci else None,
        positive=positive,
        pixel_size_um=pixels.pixel_size_um,
        title=pixels.image_id,
    )


def _positions(
    foci: Mapping[str, NDArray[np.generic]], pixel_size_um: float | None
) -> NDArray[np.float64]:
    """Rows and columns of the foci in px, from the table's own unit."""
    suffix = PX_SUFFIX[1] if pixel_size_um is None else UM_SUFFIX[1]
    places = np.column_stack([foci[axis + suffix].astype(np.float64) for axis in ("y", "x")])
    return places if pixel_size_um is None else places / pixel_size_um
