"""What share of an optical density is a stain: colour deconvolution with a neutral residual.

A density (red, green, blue) is written as a sum of three vectors: the stain, a residual that is
not stain, and a third one, and the stain's share is read off (Ruifrok & Johnston 2001, Anal Quant
Cytol Histol 23:291). The residual is neutral grey: light that cells, droplets, debris and edges
bend or scatter out of the picture is missing in all three colours alike, so whatever amount of it
there is, it reads as no stain. The third is at right angles to both, which makes the share that of
least squares with two vectors.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.optical_density import LightSettings, check_rgb, density
from measurements.regions import Floats

Vector = tuple[float, float, float]

NEUTRAL: Vector = (1.0, 1.0, 1.0)
CAMERA_BANDS_NM = ((600.0, 82.0), (535.0, 94.0), (460.0, 82.0))
"""Centre and full width at half maximum of a camera's red, green and blue, taken as Gaussians
[judgement]: rounded; cameras differ by 10 nm and more (Jiang et al. 2013, WACV, p. 168)."""
FWHM_IN_SD = 2.3548
SMALLEST_ANGLE_DEG = 5.0
MINIMUM_STAINED = 200
STEPS_OF_OD = 4096.0
BLOCK_PX, MOST_BLOCKS = 4, 2**18
"""Densities are averaged over blocks before they are judged, since JPEG keeps colours of 2 x 2
pixels and a pixel's noise is no colour's; of large pictures some blocks tell."""
STAINED_SHARE, LEAST_SPREAD_OD = 0.1, 0.02
"""Densest part of a picture, and how much its density must vary to have a colour: pictures of
stained sections 0.07 and more, empty glass 0.002."""

KNOWN_STAINS: Mapping[str, Vector] = {
    "haematoxylin": (0.650, 0.704, 0.286),
    "dab": (0.268, 0.570, 0.776),
    "fast_red": (0.214, 0.851, 0.478),
    "eosin": (0.072, 0.990, 0.105),
    "lipofuscin": (0.18, 0.42, 0.89),
}
"""Densities of red, green and blue of common stains: Ruifrok & Johnston 2001 and the list of
ImageJ's colour deconvolution that goes back to it. Batches and cameras differ by some degrees.
Lipofuscin is no stain but a pigment: golden brown, its absorption rises towards the blue more
steeply than DAB's, from which it lies 12 degrees [judgement]."""


def band_vector(peak_nm: float, width_nm: float, floor: float) -> Vector:
    """Unit vector of a dye that absorbs in one Gaussian band.

    A Gaussian band seen through a Gaussian filter is Gaussian in their distance; densities are
    taken as thin, where those of narrow bands add.

    Args:
        peak_nm: wavelength of strongest absorption.
        width_nm: full width of the band at half its height.
        floor: absorption outside the band, of that at the peak.
    """
    densities = []
    for centre, width in CAMERA_BANDS_NM:
        variance = (width_nm**2 + width**2) / FWHM_IN_SD**2
        overlap = width_nm / np.hypot(width_nm, width)
        band = overlap * np.exp(-0.5 * (centre - peak_nm) ** 2 / variance)
        densities.append(floor + (1 - floor) * band)
    return unit(densities)


def unit(vector: Sequence[float] | Floats) -> Vector:
    """Scale a vector to length 1.

    Raises:
        MeasurementError: not three finite numbers, or all 0.
    """
    values = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(values)) if values.shape == (3,) else 0.0
    if not (np.isfinite(length) and length > 0):
        raise MeasurementError(
            f"A stain is three densities, of red, green and blue, that are not all 0; got {vector}."
        )
    red, green, blue = (values / length).tolist()
    return red, green, blue


X_GAL: Vector = band_vector(peak_nm=615.0, width_nm=130.0, floor=0.1)
"""(0.865, 0.479, 0.149): the default for X-gal's precipitate, 5,5'-dibromo-4,4'-dichloroindigo.

Its maximum lies at 615 nm (vendors' data); indigo's band of some 85 nm in solution spreads to both
sides in the solid, as dibromoindigo's does on wool, here to 130 nm; a tenth of the peak remains in
the window of the blue [judgement for both]. Measured neighbours: alcian blue (0.875, 0.458, 0.158),
methyl blue (0.799, 0.591, 0.105). A camera's own colours move it: estimate it from stained cells
where amounts are compared between microscopes. measurements/beta_gal.md shows the derivation.
"""


def stain_weights(stain: Sequence[float] | Floats, *residuals: Sequence[float] | Floats) -> Floats:
    """Weights of red, green and blue whose sum of densities is the amount of the stain.

    Args:
        stain: densities of the stain, any length.
        residuals: the same of what is not stain, one or two; without any, `NEUTRAL`.

    Returns:
        (3,): 0 in sum over every residual, 1 over the unit vector of the stain. The length is the
        factor by which the noise of a colour's density shows in the amount.

    Raises:
        MeasurementError: the stain lies within 5 degrees of a mixture of the residuals, or they of
            each other, and cannot be told apart.
    """
    across = np.array(unit(stain))
    others = residuals or (NEUTRAL,)
    known: list[Floats] = []
    for residual in others:
        other = _beside(np.array(unit(residual)), known, residual, others)
        known.append(other / np.linalg.norm(other))
        across = _beside(across, known[-1:], stain, others)
    weights: Floats = across / (across @ across)
    return weights


def _beside(
    direction: Floats, known: Sequence[Floats], named: object, others: Sequence[object]
) -> Floats:
    """What of a direction is at right angles to others."""
    for each in known:
        direction = direction - (direction @ each) * each
    angle = np.degrees(np.arcsin(min(1.0, float(np.linalg.norm(direction)))))
    if angle < SMALLEST_ANGLE_DEG:
        raise MeasurementError(
            f"The stain {named} lies {angle:.1f} degrees from what is not it, "
            f"{' and '.join(map(str, others))}, or a mixture of these; at least "
            f"{SMALLEST_ANGLE_DEG:g} are needed to tell them apart."
        )
    return direction


def stain_amount(
    picture: NDArray[Any], light: NDArray[np.float32], settings: LightSettings, weights: Floats
) -> NDArray[np.float32]:
    """Optical density (y, x) of a stain along its vector, below 0 where others outweigh it.

    Args:
        picture: (y, x, 3), any real dtype.
        light: (y, x, 3), above dark, or one that it broadcasts from.
        settings: of the light.
        weights: `stain_weights`.
    """
    amount = np.zeros(picture.shape[:2], dtype=np.float32)
    for colour, weight in enumerate(weights):
        amount += np.float32(weight) * density(picture, light, settings, colour)
    return amount


def stain_plane(rgb: NDArray[Any], weights: Floats) -> NDArray[np.float32]:
    """A stain as a channel: its density, counted from the camera's full scale.

    Each pixel's value is its own colours' alone, so that parts of a picture give what the whole
    gives. What the light and its white balance differ from full scale adds the same to all places
    near each other, which everything that is measured over its surroundings loses again.

    Args:
        rgb: (y, x, 3), any real dtype; floats are taken to have a full scale of 1.
        weights: `stain_weights`.

    Returns:
        (y, x), in steps of 1/4096: an eighth of what a grey level of 8 bits changes where it is
        white, so that a slide has few distinct values.
    """
    check_rgb(rgb)
    full = float(np.iinfo(rgb.dtype).max) if rgb.dtype.kind in "ui" else 1.0
    light = np.full((1, 1, 3), full, dtype=np.float32)
    amount = stain_amount(rgb, light, LightSettings(), weights)
    steps: NDArray[np.float32] = np.rint(amount * STEPS_OF_OD) / np.float32(STEPS_OF_OD)
    return steps


def unexplained_share(rgb: NDArray[Any], stains: Sequence[Vector]) -> float:
    """Share of what densities vary by, in the densest tenth of a picture, that stains leave over.

    The squares at right angles to the plane of two stains, or of one and neutral grey, over all
    squares about the mean, which takes off the light and the white balance.

    Args:
        rgb: (y, x, 3), any real dtype; floats are taken to have a full scale of 1.
        stains: their colours.

    Returns:
        0 to 1; NaN of three stains or more, which leave nothing over, and of a picture without
        any stain.
    """
    check_rgb(rgb)
    plane = [*stains, NEUTRAL] if len(stains) == 1 else list(stains)
    blocks = [size // BLOCK_PX for size in rgb.shape[:2]]
    if len(plane) != 2 or not all(blocks):
        return float("nan")
    height, width = blocks
    step = int(np.ceil(np.sqrt(height * width / MOST_BLOCKS)))
    cut = rgb[: height * BLOCK_PX, : width * BLOCK_PX]
    sample = cut.reshape(height, BLOCK_PX, width, BLOCK_PX, 3)[::step, :, ::step]
    full = float(np.iinfo(rgb.dtype).max) if rgb.dtype.kind in "ui" else 1.0
    light = np.full(3, full, dtype=np.float32)
    colours = [density(sample, light, LightSettings(), c).mean(axis=(1, 3)) for c in range(3)]
    od = np.nan_to_num(np.stack(colours, axis=-1).reshape(-1, 3).astype(np.float64))
    total = od.sum(axis=1)
    dense = od[total >= np.quantile(total, 1 - STAINED_SHARE)]
    varying = dense - dense.mean(axis=0)
    squares = float((varying**2).sum())
    if np.sqrt(squares / len(dense)) < LEAST_SPREAD_OD:
        return float("nan")
    across = np.cross(unit(plane[0]), unit(plane[1]))
    return float(((varying @ (across / np.linalg.norm(across))) ** 2).sum()) / squares


def stain_direction(stained: NDArray[np.floating], weights: Floats) -> Vector:
    """Colour of a stain from pixels of stained cells.

    Wald's grouping (1940, Ann Math Stat 11:284): the stained pixels are split at the median of
    their stain and the lower half's median density is taken from the upper half's, so that the
    body that both share drops out, and with it an error of the incident light. As Macenko et al.
    (2009, ISBI 1107) do, the direction is that of the strongest stain, but of a half of the pixels
    and not of an extreme angle, which is the noisiest pixel's. A grey that grows with the stain
    tilts the result towards grey, which leaves `stain_weights` as they are but for their length.

    Args:
        stained: (n, 3) densities of stained pixels; those with NaN are left out.
        weights: of a first guess at the stain.

    Returns:
        Unit vector.

    Raises:
        MeasurementError: fewer than 200 stained pixels, or none of them bluer than the rest.
    """
    known = stained[np.isfinite(stained).all(axis=1)]
    if len(known) < MINIMUM_STAINED:
        raise MeasurementError(
            f"{len(known)} stained pixels; at least {MINIMUM_STAINED} are needed to estimate the "
            "colour of a stain: choose images of strongly stained cells, or give the vector."
        )
    amounts = known @ weights
    upper = amounts > np.median(amounts)
    difference = np.median(known[upper], axis=0) - np.median(known[~upper], axis=0)
    return unit(np.maximum(difference, 0))
