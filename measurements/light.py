"""Whether the light of an image is even: seen on the background, and on the cells themselves.

A near-black background says nothing about the light that falls on the cells: on 8 bits it goes
from 1 to 3 by noise and scattered light alone. So a difference of the background counts by what
the cells add to it, and the fall-off of the light is read from the cells, which are dimmer where
less light arrives, once there are enough of them to tell that from how cells differ. A background
brighter than what the cells add to it, as in transmitted light, shows the fall-off itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from measurements.background import robust_sd
from measurements.batch_light import CLIP_SD, LightSums, clipped
from measurements.columns import Column, Measured
from measurements.field_places import TILES, block_of, places, second_order, tile_centres
from measurements.regions import Floats, Regions

BACKGROUND_UNEVENNESS = Column(
    "{channel}_image_unevenness",
    "1",
    "float64",
    "How far the background of {channel} rises over the field (95th less 5th percentile of a "
    "smooth fit), in units of what the median cell adds to it, or of its own height above the "
    "image's darkest pixels where that is more.",
    "second-order polynomial through the tile medians outside cells; [judgement] 12 x 12 tiles",
)
FALL_OFF = Column(
    "{channel}_image_light_fall_off",
    "1",
    "float64",
    "How much dimmer cells are in {channel} at the darkest place where any lie than at the "
    "brightest (1 - least / largest value of a smooth fit), or the background itself where that is "
    "brighter than what cells add, which is the least that it can be: an offset of the camera "
    "hides more. Over 0 by chance and where bright cells lie together, see the flag.",
    "log median of each cell above the background fitted by a plane and a radial term",
)
UNEVEN_BACKGROUND = Column(
    "{channel}_uneven_background",
    "flag",
    "bool",
    "The background of {channel} rises over the field by more than allowed and more than its "
    "noise.",
    "[judgement] unevenness over 0.5",
)
UNEVEN_LIGHT = Column(
    "{channel}_uneven_light",
    "flag",
    "bool",
    "The light of {channel} falls off over the field by more than allowed and more than chance "
    "explains, as all images of the batch show it together. Where these are fewer than 12, this "
    "image's cells or its background show it, which may be how its cells happen to lie.",
    "[judgement] batch_light_fall_off over 0.25 with p < 0.01, images being drawn by chance; else "
    "uneven_background, or image_light_fall_off over 0.25 with p < 0.01 from 30 cells: F test over "
    "the design effect of 6 x 6 blocks (Kish 1965, Survey Sampling)",
)

IMAGE_LIGHT = (BACKGROUND_UNEVENNESS, FALL_OFF, UNEVEN_BACKGROUND)
"""Columns of `measure_light`."""

MINIMUM_TILE_PIXELS = 20
FEWEST_CELLS = 30
"""Cells that the light of one image is told by [judgement]."""
BLOCKS = 6
"""Blocks along each side in which cells may be alike for other reasons than light [judgement]."""
STEP_SD = 1 / np.sqrt(12)
"""SD that rounding to whole grey values adds."""


@dataclass(frozen=True, slots=True)
class LightLimits:
    """Where uneven light becomes a flag [judgement].

    Attributes:
        unevenness: rise of the background, see `BACKGROUND_UNEVENNESS`.
        fall_off: see `FALL_OFF`.
        p: of the F test against cells that are equally bright everywhere.
    """

    unevenness: float = 0.5
    fall_off: float = 0.25
    p: float = 1e-2


def measure_light(
    image: NDArray[Any],
    channel: str,
    cells: Regions,
    foreground: NDArray[np.bool_],
    limits: LightLimits,
) -> tuple[Measured, LightSums]:
    """Judge how even the light of one channel is.

    Args:
        image: (y, x), any real dtype.
        channel: the channel's name in the columns.
        cells: regions whose brightness tells the light, such as the nuclei.
        foreground: bool image, true on all that is not background.
        limits: thresholds of the flag.

    Returns:
        Columns of length 1; NaN where there is too little background, or too few cells, to tell.
        And what the image tells of the light that it shares with its batch.
    """
    background = tile_background(image, foreground)
    above = cells.median(cells.read(image)) - background.at(*places(cells))
    known = above[np.isfinite(above)]
    contrast = abs(float(np.median(known))) if known.size else 0.0
    unevenness = _ratio(background.rise, max(contrast, background.height))
    certain = background.rise > background.noise
    of_cells = not background.height > contrast
    if of_cells:
        (y, x), levels = places(cells), above
        fall_off, p = light_fall_off(above, cells)
    else:
        (y, x), levels = tile_centres(), background.tiles
        fall_off, p = background.fall_off, 0.0 if certain else 1.0
    risen = unevenness > limits.unevenness and certain
    dimmed = fall_off > limits.fall_off and p < limits.p
    sums = LightSums.of(y, x, levels, of_cells=of_cells, uneven=risen or dimmed)
    values: dict[Column, float | bool] = {
        BACKGROUND_UNEVENNESS: unevenness,
        FALL_OFF: fall_off,
        UNEVEN_BACKGROUND: risen,
    }
    bound = {c.bind(channel=channel): np.array([v], dtype=c.dtype) for c, v in values.items()}
    return bound, sums


@dataclass(frozen=True, slots=True, eq=False)
class SmoothBackground:
    """Background of one channel as a second-order polynomial.

    Attributes:
        coefficients: of `second_order`; NaN where too few tiles show background.
        rise: 95th less 5th percentile of it over the field.
        height: median of it above the image's darkest pixels (0.1st percentile).
        fall_off: 1 - least / largest value of it over the centres of the tiles that show it.
        noise: SD of a pixel about it, rounding included.
        tiles: median of each tile that shows it, NaN of the others.
    """

    coefficients: Floats
    rise: float
    height: float
    fall_off: float
    noise: float
    tiles: Floats

    def at(self, y: Floats, x: Floats) -> Floats:
        """The background at places from -1 to 1 along each side."""
        return second_order(y, x) @ self.coefficients


def tile_background(image: NDArray[Any], foreground: NDArray[np.bool_]) -> SmoothBackground:
    """Fit the background of one channel.

    Args:
        image: (y, x), any real dtype.
        foreground: bool image, true on cells.
    """
    rows, columns = image.shape
    y, x = np.ogrid[:rows, :columns]
    tiles = (y * TILES // max(rows, 1)) * TILES + x * TILES // max(columns, 1) + 1
    regions = Regions.of(np.where(foreground, 0, tiles), np.arange(1, TILES**2 + 1))
    pixels = regions.gather(image)
    medians = regions.median(pixels)
    used = regions.areas >= MINIMUM_TILE_PIXELS
    terms = second_order(*tile_centres())
    tiles = np.where(used, medians, np.nan)
    if used.sum() < 2 * terms.shape[1]:
        return SmoothBackground(
            np.full(terms.shape[1], np.nan), np.nan, np.nan, np.nan, np.nan, tiles
        )
    coefficients = _robust_fit(terms[used], medians[used])
    fitted = terms[used] @ coefficients
    low, high = np.percentile(fitted, [5, 95])
    dark = np.percentile(image, 0.1)
    noise = robust_sd(pixels - regions.spread(medians))
    return SmoothBackground(
        coefficients,
        rise=float(high - low),
        height=float(np.median(fitted) - dark),
        fall_off=1 - _ratio(max(float(fitted.min()), 0.0), float(fitted.max())),
        noise=float(np.hypot(noise, STEP_SD if image.dtype.kind in "bui" else 0.0)),
        tiles=tiles,
    )


def light_fall_off(above: Floats, cells: Regions) -> tuple[float, float]:
    """How much dimmer cells are where least light falls, and how likely that is by chance.

    Args:
        above: median of each cell above the background.
        cells: their regions.

    Returns:
        See `FALL_OFF`, and the p of an F test of the plane and the radial term against none, by
        blocks of the field; NaN under `FEWEST_CELLS` cells above the background, p also where
        they lie in no more than 4 blocks.
    """
    lit = np.isfinite(above) & (above > 0)
    n = int(lit.sum())
    if n < FEWEST_CELLS:
        return float("nan"), float("nan")
    y, x = (axis[lit] for axis in places(cells))
    logs = clipped(np.log(above[lit]))
    terms = _radial_terms(y, x, cells.shape)
    coefficients = np.linalg.lstsq(terms, logs)[0]
    residuals = logs - terms @ coefficients
    residual = float(np.sum(residuals**2))
    explained = float(np.sum((logs - logs.mean()) ** 2)) - residual
    held = block_of(y, x, TILES)
    where_cells_lie = _radial_terms(*tile_centres(), cells.shape)[held] @ coefficients
    blocks, effect = _design_effect(residuals, block_of(y, x, BLOCKS))
    f = _ratio(explained / 3, effect * residual / (n - 4))
    p = float(stats.f.sf(f, 3, blocks - 4)) if blocks > 4 else float("nan")
    return float(1 - np.exp(-np.ptp(where_cells_lie))), p


def _design_effect(residuals: Floats, blocks: NDArray[np.intp]) -> tuple[int, float]:
    """How many blocks hold cells, and how much more their means vary than those of exchanged cells.

    Nuclei of one clone, cycle or focus lie together: as if independent, half of the wells of an
    evenly lit plate were called uneven.
    """
    used, codes, counts = np.unique(blocks, return_inverse=True, return_counts=True)
    if used.size <= 4:
        return used.size, float("nan")
    between = float(np.sum(np.bincount(codes, residuals) ** 2 / counts)) / (used.size - 4)
    within = float(residuals @ residuals) / (residuals.size - 4)
    return used.size, max(1.0, _ratio(between, within))


def _radial_terms(y: Floats, x: Floats, shape: tuple[int, ...]) -> Floats:
    """A plane and the squared distance in px: light falls off in circles in an oblong field too."""
    up, along = (axis * n / max(shape) for axis, n in zip((y, x), shape, strict=True))
    return np.stack([np.ones_like(y), y, x, up**2 + along**2], axis=1)


def _robust_fit(terms: Floats, values: Floats) -> Floats:
    """Least squares, once more without the points that lie over 3 robust SD from it."""
    found = np.linalg.lstsq(terms, values)[0]
    residuals = values - terms @ found
    kept = np.abs(residuals) <= CLIP_SD * robust_sd(residuals) + 1e-12
    if kept.sum() > terms.shape[1]:
        found = np.linalg.lstsq(terms[kept], values[kept])[0]
    return np.asarray(found, dtype=np.float64)


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")
