"""SA-β-Gal in parts of a picture, such as the blocks of a slide, as it is in the whole of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.background import BackgroundPixels, estimate_background
from measurements.beta_gal import (
    BetaGalSettings,
    Stain,
    check_alignment,
    deconvolved,
    measure_stain_of,
    smoothed,
    taken_off,
)
from measurements.columns import Measured
from measurements.jpeg import TINT_REACH, restored, with_tint
from measurements.light_surface import Light
from measurements.optical_density import saturated
from measurements.regions import Regions

SMOOTHING_REACH = 4
"""How far smoothing looks, in its SDs."""


@dataclass(frozen=True, slots=True, eq=False)
class PictureLight:
    """What the stain of a pixel depends on and only the whole picture tells.

    Attributes:
        light: of an empty field.
        saturation: limits of red, green and blue (`measurements.quality.clipping_level`).
        stored: `measurements.jpeg.stored_levels`; None where the picture saw no JPEG.
    """

    light: Light
    saturation: tuple[float, float, float]
    stored: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class WholePicture:
    """What the stain of a cell depends on and only the whole picture tells.

    Attributes:
        light: what that of a pixel depends on.
        level: stain of the field's background (`measurements.background.field_level`).
        limit: `stained_level` of the smoothed stain.
    """

    light: PictureLight
    level: float
    limit: float


def measure_beta_gal_part(
    rgb: NDArray[Any],
    cells: Regions,
    around: BackgroundPixels,
    settings: BetaGalSettings,
    nuclei_ring: Regions | None,
    whole: WholePicture,
) -> Measured:
    """Measure the cells of a part of a picture as they are measured in the whole of it.

    Args:
        rgb: (y, x, 3): the part, with `part_reach` px around its cells and their surroundings.
        cells: regions of whole cells, with their place in the picture.
        around: see `measure_beta_gal`.
        settings: the same.
        nuclei_ring: the same.
        whole: what is known of the whole picture.
    """
    check_alignment(cells, around, nuclei_ring)
    od = part_stain(rgb, (cells.origin[0], cells.origin[1]), settings, whole.light)
    background = estimate_background(od, around, settings.background, whole.level)
    level = taken_off(whole.level, settings)
    stain = Stain(od, smoothed(od, settings), whole.limit, level)
    clipped = saturated(rgb, whole.light.saturation)
    return measure_stain_of(rgb, stain, background, cells, around, nuclei_ring, clipped, settings)


def part_stain(
    rgb: NDArray[Any], origin: tuple[int, int], settings: BetaGalSettings, whole: PictureLight
) -> NDArray[np.float32]:
    """`stain_image` of a part of a picture, right up to `jpeg.TINT_REACH` px from its edge.

    Args:
        rgb: (y, x, 3), the part.
        origin: row and column of its first pixel in the picture.
        settings: see `stain_image`.
        whole: what is known of the whole picture.
    """
    (top, left), (rows, columns_) = origin, rgb.shape[:2]
    light = whole.light.over(slice(top, top + rows), slice(left, left + columns_))
    picture = rgb
    if whole.stored is not None:
        picture = with_tint(restored(rgb, whole.stored), light)
    return deconvolved(picture, light, saturated(rgb, whole.saturation), settings)


def part_reach(settings: BetaGalSettings) -> float:
    """How far around a pixel its smoothed stain depends on the picture, px."""
    return TINT_REACH + SMOOTHING_REACH * settings.smoothing
