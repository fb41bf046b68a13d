"""The colour of a microscope's own X-gal precipitate, from images of strongly stained cells.

One vector for a study or a batch: pixels of all its stained control images are pooled, so that one
image with odd debris has one voice among several. Cells need not be outlined.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.beta_gal import BetaGalSettings, stained_level
from measurements.errors import MeasurementError
from measurements.optical_density import densities, picture_and_light, saturated
from measurements.stains import Vector, stain_direction, stain_weights, unit

Densities = NDArray[np.float32]

ABOVE_STAINED = 2.0
DARKEST_OD = 1.5
SMOOTHING = 1.0
MOST_PIXELS = 20_000


@dataclass(frozen=True, slots=True)
class StainEstimate:
    """A stain's colour, and what it rests on.

    Attributes:
        vector: densities of red, green and blue, of length 1.
        n_images: images that had stained pixels.
        n_pixels: stained pixels used.
        spread_deg: largest angle between the estimate and what one image alone would give,
            degrees; NaN for a single image.
    """

    vector: Vector
    n_images: int
    n_pixels: int
    spread_deg: float


def stained_densities(
    rgb: NDArray[Any],
    settings: BetaGalSettings,
    background: NDArray[np.bool_] | None = None,
    blank: NDArray[Any] | None = None,
) -> Densities:
    """Optical densities of the stained pixels of one image.

    A pixel is stained where its stain, by the first guess at the vector, lies above twice the
    level of a stained pixel. Pixels that are clipped or darker than `DARKEST_OD` in some colour
    are left out: their colour is lost in few grey levels. Densities are smoothed by 1 px, so that
    noise does not choose the pixels.

    Args:
        rgb: (y, x, 3), any real dtype.
        settings: light, and a first guess at the stain.
        background: bool (y, x), true where there is no cell; None takes the whole image, whose
            stain is then in the minority.
        blank: image of an empty field, where there is one.

    Returns:
        (n, 3), at most 20,000 evenly thinned.
    """
    outside = np.ones(rgb.shape[:2], dtype=bool) if background is None else background
    picture, light = picture_and_light(rgb, outside, settings.light, blank)
    od = densities(picture, light, settings.light)
    od = np.stack([ndimage.gaussian_filter(od[..., c], SMOOTHING) for c in range(3)], axis=-1)
    stain = od @ stain_weights(settings.stain, settings.residual).astype(np.float32)
    level = ABOVE_STAINED * stained_level(stain, outside, settings)
    usable = (stain > level) & ~saturated(rgb) & (od < DARKEST_OD).all(axis=-1)
    if background is not None:
        usable &= ~background
    found = od[usable]
    return found[:: max(1, -(-len(found) // MOST_PIXELS))]


def estimate_stain(images: Sequence[Densities], settings: BetaGalSettings) -> StainEstimate:
    """One stain vector from the stained pixels of several images.

    Args:
        images: from `stained_densities`, one an image.
        settings: a first guess at the stain, and what is not stain.

    Raises:
        MeasurementError: too few pixels are stained in all of them together.
    """
    weights = stain_weights(settings.stain, settings.residual)
    used = [image for image in images if len(image)]
    pooled = np.concatenate(used) if used else np.zeros((0, 3), dtype=np.float32)
    vector = stain_direction(pooled, weights)
    angles = [_angle_deg(vector, own) for own in _each(used, weights)]
    spread = max(angles) if len(angles) > 1 else float("nan")
    return StainEstimate(vector, len(used), len(pooled), spread)


def _each(images: Sequence[Densities], weights: NDArray[np.float64]) -> list[Vector]:
    """What each image would give alone, where it has pixels enough."""
    found = []
    for image in images:
        try:
            found.append(stain_direction(image, weights))
        except MeasurementError:
            continue
    return found


def _angle_deg(a: Vector, b: Vector) -> float:
    cosine = float(np.clip(np.dot(unit(a), unit(b)), -1, 1))
    return float(np.degrees(np.arccos(cosine)))
