"""SA-β-Gal of one image, as the study asks: settings in, columns and warnings out."""

from dataclasses import replace
from typing import Any

import numpy as np

from measurements.beta_gal import BetaGal as Measured
from measurements.beta_gal import BetaGalSettings, measure_beta_gal
from measurements.beta_gal_columns import (
    IMAGE_CLIPPED,
    IMAGE_JPEG,
    IMAGE_OUTSIDE,
    LEAST_OUTSIDE,
    MOST_CLIPPED,
)
from measurements.beta_gal_parts import WholePicture, measure_beta_gal_part
from measurements.columns import Measured as Columns
from measurements.columns import in_physical_units
from measurements.optical_density import LightSettings, colourless, saturated
from measurements.regions import Regions
from measurements.stains import NEUTRAL, X_GAL
from pipelines.errors import ImageError
from pipelines.field.pixels import Grey, Pixels
from pipelines.field.place import Surroundings
from pipelines.images.info import LOSSY
from pipelines.study.settings import BetaGal
from pipelines.study.stains import Colours

OVEREXPOSED = (
    f"overexposed: over {MOST_CLIPPED:.0%} of the background is at the camera's limit, so that the "
    "light is unknown and weak stain is lost"
)
OVEREXPOSED_BLANK = f"the blank field is overexposed, over {MOST_CLIPPED:.0%} of it"
JPEG = (
    "the picture went through JPEG, which takes precision from weak stain: save TIFF at the camera"
)
COVERED = (
    f"cells cover over {1 - LEAST_OUTSIDE:.0%} of the picture, so that the light may be taken from "
    "cells, whose stain then reads too low: give a blank field"
)
BORROWED = (
    f"cells cover over {1 - LEAST_OUTSIDE:.0%} of the picture, so that its light was taken from "
    "images of its batch that show background: give a blank field to be sure"
)
GREY = "red, green and blue are equal in every pixel, and stain cannot be told without colour"
GREY_JPEG = f"{GREY}: JPEG took what colour there was, or the picture is grey"


def measure_stain(
    settings: BetaGal,
    pixels: Pixels,
    cells: Regions,
    nuclear_ring: Regions | None,
    around: Surroundings,
) -> Measured:
    """Measure SA-β-Gal in every cell of a picture.

    Raises:
        ImageError: the image has no brightfield picture, or one without colour.
    """
    rgb, chosen = _chosen(settings, pixels, around)
    # JPEG may round away all colour of a picture without stain, which is then no wrong picture.
    if colourless(rgb) and not _lossy(pixels):
        raise ImageError(f"beta_gal: {GREY}; give the picture as the colour camera took it")
    return measure_beta_gal(rgb, cells, around.geometry, chosen, nuclear_ring, pixels.blank)


def measure_stain_part(
    settings: BetaGal,
    pixels: Pixels,
    cells: Regions,
    nuclear_ring: Regions | None,
    around: Surroundings,
    whole: WholePicture,
) -> Columns:
    """Measure SA-β-Gal in some cells of a slide; see `measure_stain`.

    Raises:
        ImageError: the image has no brightfield picture.
    """
    rgb, chosen = _chosen(settings, pixels, around)
    return measure_beta_gal_part(rgb, cells, around.geometry, chosen, nuclear_ring, whole)


def _chosen(
    settings: BetaGal, pixels: Pixels, around: Surroundings
) -> tuple[Grey, BetaGalSettings]:
    if pixels.rgb is None:
        raise ImageError("beta_gal needs a brightfield picture: a channel that is rgb")
    background = replace(around.local, method=settings.background)
    return pixels.rgb, replace(stain_settings(settings, pixels.rgb.dtype), background=background)


def stain_settings(settings: BetaGal, dtype: np.dtype[Any]) -> BetaGalSettings:
    """The study's settings as `measurements` takes them; a stain to be estimated is the default.

    Args:
        settings: of the study.
        dtype: of the picture: what full light is in an sRGB encoding.
    """
    dark = settings.dark if isinstance(settings.dark, tuple) else (settings.dark,) * 3
    full_scale = float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0
    return BetaGalSettings(
        light=LightSettings(dark=dark, gamma=settings.gamma, full_scale=full_scale),
        stain=_given(settings.stain) or X_GAL,
        residual=settings.residual or NEUTRAL,
        stained_od=settings.stained_od,
    )


def image_values(image: Columns, pixel_size_um: float | None) -> dict[str, float]:
    """The image's own columns, by name."""
    columns = in_physical_units(image, pixel_size_um)
    return {column.name: float(values[0]) for column, values in columns.items()}


def image_warnings(image: Columns, rgb: Grey | None = None, blank: Grey | None = None) -> list[str]:
    """What makes an image's numbers doubtful, in words.

    Args:
        image: its own columns.
        rgb: the picture, where it is at hand as a whole.
        blank: picture of an empty field, where there is one.
    """
    found = []
    if image[IMAGE_CLIPPED][0] > MOST_CLIPPED:
        found.append(OVEREXPOSED)
    if blank is None and image[IMAGE_OUTSIDE][0] < LEAST_OUTSIDE:
        found.append(COVERED)
    if rgb is not None and colourless(rgb):
        found.append(GREY_JPEG)
    if blank is not None and saturated(blank).mean() > MOST_CLIPPED:
        found.append(OVEREXPOSED_BLANK)
    if image[IMAGE_JPEG][0]:
        found.append(JPEG)
    return found


def _lossy(pixels: Pixels) -> bool:
    return any(LOSSY in warning for warning in pixels.warnings)


def _given(stain: object) -> Colours | None:
    return stain if isinstance(stain, tuple) else None
