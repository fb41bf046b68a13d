"""Optical density of a colour bright-field image, whatever its light and white balance.

OD = -log10((I - dark) / (I0 - dark)) for each colour. I0, the light that an empty field would
show, is taken from a blank field where there is one and otherwise from the field itself: a smooth
surface through the background that is left between the cells.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from measurements.background import CLIP_SD
from measurements.errors import MeasurementError
from measurements.jpeg import restored, went_through_jpeg, with_tint
from measurements.light_surface import Light, polynomial, scaled
from measurements.quality import saturation_level
from measurements.regions import Floats, Regions, divide

TILES = 12
MINIMUM_TILE_PIXELS = 20
BRIGHT_QUANTILE = 0.75
GREY_SD, COLOUR_SD = (2.0, 3.0), (2.5, 2.5)
COLOUR_ORDER = 2
MAX_SAMPLE = 500_000
MAD_IN_SD = 1.4826
HALF_A_LEVEL = 0.5
LOWEST_TRANSMITTANCE = 1e-4


@dataclass(frozen=True, slots=True)
class LightSettings:
    """How grey values become optical densities.

    Attributes:
        dark: grey value of red, green and blue without light.
        gamma: exponent by which the camera or its software encoded light, which OD is multiplied
            by; 1 where grey values are proportional to light; ``srgb`` for the curve of IEC
            61966-2-1, which pictures made for screens follow.
        full_scale: grey value that ``srgb`` takes as full light.
        order: highest order of the polynomial that log I0 follows over the field: 4 follows light
            that falls off by 40 % towards the corners to 1 %; 0 takes one level for the field.
    """

    dark: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gamma: float | Literal["srgb"] = 1.0
    full_scale: float = 255.0
    order: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        if (self.gamma != "srgb" and self.gamma <= 0) or not 0 <= self.order <= 6:
            raise MeasurementError(
                f"Light needs gamma above 0 (or srgb) and an order of 0 to 6, got gamma "
                f"{self.gamma} and order {self.order}."
            )


def picture_and_light(
    rgb: NDArray[Any],
    background: NDArray[np.bool_],
    settings: LightSettings,
    blank: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """What densities are computed from: the picture, and `incident_light`.

    What JPEG did to colour is undone where it can be (`measurements.jpeg`); any other picture is
    returned as it is.
    """
    if not went_through_jpeg(rgb):
        return rgb, incident_light(rgb, background, settings, blank)
    picture = restored(rgb)
    light = incident_light(picture, background, settings, blank)
    return with_tint(picture, light), light


def incident_light(
    rgb: NDArray[Any],
    background: NDArray[np.bool_],
    settings: LightSettings,
    blank: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Light that an empty field would show, above dark.

    Of the field itself, the background's clipped mean is taken in 12 x 12 tiles. A polynomial is
    fitted to the mean logarithm of the three colours, and one of order 2 at most to what each
    colour differs from it: lamps and lenses shade all colours nearly alike, so a few tiles tell
    the colour of the light, which a stain is read from, better than its shape. Tiles that lie 2
    robust SD under the first fit (cells that the mask missed) or 3 above it, or 2.5 off the
    second, are left out. Where less than 3 tiles a term show background, the order is reduced;
    where none does, cells cover the field, and the upper quartile of all its pixels stands in.
    Of large images every second or nth row and column is enough.

    Args:
        rgb: (y, x, 3), any real dtype.
        background: bool (y, x), true where there is no cell.
        settings: dark level and the order of the polynomial.
        blank: (y, x, 3) image of an empty field under the same light and exposure. It is fitted in
            the same way, so that its noise and dust do not enter.

    Returns:
        (y, x, 3), everywhere above 0.

    Raises:
        MeasurementError: the arrays do not fit, or the background is not above dark.
    """
    check_rgb(rgb)
    if background.shape != rgb.shape[:2] or (blank is not None and blank.shape != rgb.shape):
        raise MeasurementError(
            f"Background of shape {background.shape} and blank field "
            f"{None if blank is None else blank.shape} do not belong to an image of {rgb.shape}."
        )
    source, shown, order = rgb, background, settings.order
    if blank is not None:
        source, shown = blank, np.ones_like(background)
    step = sampling_step(rgb.shape)
    light = fit_light(source[::step, ::step], shown[::step, ::step], settings, order, rgb.shape)
    return light.over(slice(0, rgb.shape[0]), slice(0, rgb.shape[1]))


def sampling_step(shape: tuple[int, ...]) -> int:
    """Every which row and column of a picture of this shape its light is told from."""
    return max(1, isqrt(shape[0] * shape[1] // MAX_SAMPLE))


def fit_light(
    source: NDArray[Any],
    shown: NDArray[np.bool_],
    settings: LightSettings,
    order: int,
    shape: tuple[int, ...],
) -> Light:
    """Light of a picture, from every `sampling_step`-th row and column; see `incident_light`.

    Args:
        source: (y, x, 3), these rows and columns.
        shown: bool (y, x), true where they show background.
        settings: dark level.
        order: of the polynomial.
        shape: of the whole picture, rows and columns first.

    Raises:
        MeasurementError: the background is not above dark.
    """
    dark = np.asarray(settings.dark)
    levels, tiles = _levels(source, shown)
    known = (levels > dark).all(axis=1)
    if not known.any():
        raise MeasurementError(
            f"The background is not above the dark level of {settings.dark} in every colour: give "
            "the dark level of this camera, or a background mask that lies outside cells."
        )
    at, logs = _places(tiles)[known], np.log(levels[known] - dark)
    grey = logs.mean(axis=1)
    tints = [
        polynomial(at, logs[:, colour] - grey, min(order, COLOUR_ORDER), COLOUR_SD)
        for colour in range(3)
    ]
    return Light((shape[0], shape[1]), polynomial(at, grey, order, GREY_SD), tuple(tints))


def densities(
    rgb: NDArray[Any], light: NDArray[np.float32], settings: LightSettings
) -> NDArray[np.float32]:
    """Optical density of red, green and blue (y, x, 3); see `density`."""
    colours = [density(rgb, light, settings, colour) for colour in range(3)]
    return np.stack(colours, axis=-1)


def density(
    rgb: NDArray[Any], light: NDArray[np.float32], settings: LightSettings, colour: int
) -> NDArray[np.float32]:
    """Optical density of one colour, -log10((I - dark) / (I0 - dark)) times gamma.

    With ``srgb``, I and I0 are decoded first. Always finite for finite grey values: what an
    integer image shows at or under dark counts as half a grey level, and a float image's
    transmittance as at least 10⁻⁴.

    Args:
        rgb: (y, x, 3), any real dtype.
        light: from `incident_light`.
        settings: the same as for the light.
        colour: 0, 1 or 2.
    """
    above_dark = rgb[..., colour].astype(np.float32) - np.float32(settings.dark[colour])
    incident = light[..., colour]
    lowest = HALF_A_LEVEL if rgb.dtype.kind in "bui" else LOWEST_TRANSMITTANCE * incident
    above_dark = np.maximum(above_dark, lowest)
    if settings.gamma == "srgb":
        scale = np.float32(settings.full_scale)
        ratio = _srgb_decoded(above_dark / scale) / _srgb_decoded(incident / scale)
        exponent = 1.0
    else:
        ratio, exponent = above_dark / incident, settings.gamma
    od: NDArray[np.float32] = np.log10(ratio) * np.float32(-exponent)
    return od


def saturated(
    rgb: NDArray[Any], levels: tuple[float, float, float] | None = None
) -> NDArray[np.bool_]:
    """Pixels (y, x) at which some colour is at the camera's upper limit.

    Args:
        rgb: (y, x, 3), any real dtype.
        levels: limits of red, green and blue of the larger picture that this one was cut out of
            (`measurements.quality.clipping_level`). Default: its own.
    """
    found = np.zeros(rgb.shape[:2], dtype=bool)
    for colour in range(3):
        plane = rgb[..., colour]
        found |= plane >= (saturation_level(plane) if levels is None else levels[colour])
    return found


def colourless(rgb: NDArray[Any]) -> bool:
    """Whether all pixels are equal in red, green and blue, though not all pixels are equal.

    A grey picture saved as colour is so, but also one in neutral light whose faint colours JPEG
    rounded away.

    Args:
        rgb: (y, x, 3), any real dtype.
    """
    red = rgb[..., 0]
    grey = all(np.array_equal(red, rgb[..., colour]) for colour in (1, 2))
    return grey and red.size > 0 and bool((red != red.flat[0]).any())


def check_rgb(rgb: NDArray[Any]) -> None:
    """Refuse anything but red, green and blue planes of real numbers."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype.kind not in "uif":
        raise MeasurementError(
            f"Expected a colour image (y, x, 3) of real numbers, got {rgb.shape} of {rgb.dtype}: "
            "drop a transparency channel, and move the colours to the last axis."
        )


def _srgb_decoded(encoded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light from sRGB values of 0 to 1; IEC 61966-2-1."""
    power = np.power((encoded + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.where(encoded <= np.float32(0.04045), encoded / np.float32(12.92), power)


def _levels(rgb: NDArray[Any], background: NDArray[np.bool_]) -> tuple[Floats, Regions]:
    """Level of the background in each tile and colour (n, 3), and the tiles."""
    tiles = background_tiles(background)
    if len(tiles):
        return np.stack([_clipped_means(rgb[..., c], tiles) for c in range(3)], axis=1), tiles
    tiles = background_tiles(np.ones_like(background))
    bright = [tiles.quantiles(tiles.gather(rgb[..., c]), (BRIGHT_QUANTILE,))[0] for c in range(3)]
    return np.stack(bright, axis=1), tiles


def background_tiles(shown: NDArray[np.bool_]) -> Regions:
    """The shown pixels of every tile that has enough of them."""
    rows, columns = shown.shape
    y, x = np.ogrid[:rows, :columns]
    tiles = np.where(shown, (y * TILES // rows) * TILES + x * TILES // columns + 1, 0)
    counts = np.bincount(tiles.ravel(), minlength=TILES**2 + 1)
    enough = counts >= min(MINIMUM_TILE_PIXELS, -(-shown.size // TILES**2))
    return Regions.of(tiles, np.flatnonzero(enough[1:]) + 1)


def _places(tiles: Regions) -> Floats:
    """Mean position (n, 2) of each tile's pixels, from -1 to 1 over the image."""
    positions = np.unravel_index(tiles.pixels, tiles.shape)
    means = [
        scaled(tiles.mean(axis.astype(np.float64)), length)
        for axis, length in zip(positions, tiles.shape, strict=True)
    ]
    return np.stack(means, axis=1)


def _clipped_means(channel: NDArray[Any], tiles: Regions) -> Floats:
    """Mean of each tile's pixels within 3 robust SD of their median.

    A median of whole grey levels is one itself, which is half a percent of dim light; a mean is
    finer. One level is let through for the same reason.
    """
    values = tiles.gather(channel)
    off = np.abs(values - tiles.spread(tiles.median(values)))
    limit = CLIP_SD * MAD_IN_SD * tiles.median(off) + (channel.dtype.kind in "ui")
    inside = (off <= tiles.spread(limit)).astype(np.float64)
    return divide(tiles.sum(values * inside), tiles.sum(inside))
