"""Light that bright cells throw on their surroundings, estimated from the background and removed.

Scattering and planes out of focus spread a part of every cell's light over tens of µm. A dark
cell beside a bright one then looks positive, and no control without bright cells shows it. Between
the cells the same light is seen alone: it is fitted there as the cells' image blurred by Gaussians
of several widths, beside an uneven background, and what the fit says of the cells is taken off.

Valid for thin specimens with labels of whole cells and free background between them. Where labels
leave out parts of the cells (nuclei, expanded nuclei), cell bodies pass for haze and too much is
taken off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import lsq_linear

from measurements.errors import MeasurementError
from measurements.regions import Floats

MAX_PIXELS = 40_000
ROUNDS = 2
"""The cells' light has haze in it at first, which makes too much of the haze."""
FINEST = 4.0
"""A blur is computed on a grid on which its SD is about this many pixels."""


@dataclass(frozen=True, slots=True)
class HazeSettings:
    """How haze is looked for.

    Attributes:
        widths: SDs of the Gaussians, px; from a fifth to one diameter of a cell [judgement].
        gap: px around cells that are left out of the fit, since masks end within the cell's edge.
        minimum_share: share of the image that must be free of cells.
    """

    widths: Sequence[float] = (12.0, 24.0, 48.0)
    gap: float = 3.0
    minimum_share: float = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Haze:
    """Haze of one channel.

    Attributes:
        light: (y, x) grey values that haze adds.
        fraction: light that is spread, over the light of the cells, for each width; 0 where the
            field is too full to tell.
        note: why nothing was taken off; else empty.
    """

    light: Floats
    fraction: Floats
    note: str


def estimate_haze(image: NDArray[Any], cells: NDArray[Any], settings: HazeSettings) -> Haze:
    """Fit the haze of one channel between its cells.

    Least squares with fractions of 0 and more over the background, whose own level is a
    second-order polynomial of the place, as uneven light makes it.

    Args:
        image: one channel (y, x), any real dtype.
        cells: (y, x) labels of whole cells, 0 background.
        settings: see `HazeSettings`.

    Returns:
        To be taken off the image, `image - haze.light`; below the noise nothing is clipped.

    Raises:
        MeasurementError: the shapes differ, or no width is above 0.
    """
    if image.shape != cells.shape or image.ndim != 2:
        raise MeasurementError(
            f"An image of shape {image.shape} and labels of shape {cells.shape} were given; "
            "expected both (y, x)."
        )
    if not settings.widths or min(settings.widths) <= 0:
        raise MeasurementError(f"Haze needs widths above 0 px, not {tuple(settings.widths)}.")
    pixels = np.asarray(image, dtype=np.float64)
    none = Haze(np.zeros(pixels.shape), np.zeros(len(settings.widths)), "")
    inside = cells > 0
    if not inside.any():
        return none
    free = np.flatnonzero(ndimage.distance_transform_edt(~inside) > settings.gap)
    if free.size < settings.minimum_share * pixels.size:
        share = free.size / pixels.size
        return Haze(none.light, none.fraction, f"{share:.0%} free of cells: haze was not estimated")
    level = np.median(pixels.flat[free])
    found = none
    for _ in range(ROUNDS):
        light = np.where(inside, pixels - found.light - level, 0.0)
        blurred = np.stack([_blur(light, width) for width in settings.widths])
        fraction = _fit(pixels, blurred, free[:: -(-free.size // MAX_PIXELS)])
        found = Haze(np.tensordot(fraction, blurred, axes=1), fraction, "")
    return found


def _fit(pixels: Floats, blurred: Floats, where: NDArray[np.int64]) -> Floats:
    """Fractions of the blurred images that explain the background, beside its own shape."""
    y, x = (
        2 * axis / max(size - 1, 1) - 1
        for axis, size in zip(np.unravel_index(where, pixels.shape), pixels.shape, strict=True)
    )
    shape = np.stack([np.ones(where.size), y, x, y * y, x * x, y * x])
    parts = np.concatenate([blurred.reshape(len(blurred), -1)[:, where], shape])
    lowest = np.concatenate([np.zeros(len(blurred)), np.full(len(shape), -np.inf)])
    found = lsq_linear(parts.T, pixels.flat[where], bounds=(lowest, np.inf))
    return np.asarray(found.x[: len(blurred)], dtype=np.float64)


def _blur(light: Floats, width: float) -> Floats:
    """Blur by a Gaussian on a grid as coarse as its width allows; darkness beyond the edge."""
    step = max(1, int(width / FINEST))
    padded = np.pad(light, [(0, -size % step) for size in light.shape])
    rows, columns = (size // step for size in padded.shape)
    coarse = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    blurred = ndimage.gaussian_filter(coarse, width / step, mode="constant")
    fine = ndimage.zoom(blurred, step, order=1, mode="nearest", grid_mode=True)
    return np.asarray(fine[: light.shape[0], : light.shape[1]])
