"""How far each round is shifted against the first, and how well they then lie upon each other."""

from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from measurements.errors import MeasurementError

# Steps of a pixel to which shifts are found (Guizar-Sicairos et al. 2008, Opt Lett 33:156).
UPSAMPLING = 50
# Rows and columns of tiles, whose own shifts say what a single one leaves.
TILES = 3
# Tiles with less contrast than this share of the whole picture's show too little to be aligned.
LEAST_CONTRAST = 0.3
LEAST_TILES = 2
# What comes into view at one edge and leaves at the other draws a shift towards 0: found again on
# what both rounds show, it is free of that.
PASSES = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """When a round lies well upon the first.

    Attributes:
        residual: largest residual shift, px.
        correlation: smallest correlation of the two pictures.
    """

    residual: float = 1.0
    correlation: float = 0.5


@dataclass(frozen=True, slots=True)
class Alignment:
    """One round against the first.

    Attributes:
        shift: row and column by which the round lies away from the first, px: what is at p in the
            first round is at p + shift in this one.
        residual: median over tiles of how far they lie away once the shift is taken off, px; NaN
            where too few tiles show anything.
        correlation: Pearson's, of the two pictures once the shift is taken off.
        accepted: whether both are within the limits.
    """

    shift: tuple[float, float]
    residual: float
    correlation: float
    accepted: bool


def align(reference: NDArray[Any], moved: NDArray[Any], limits: Limits) -> Alignment:
    """Align a round by its nuclear stain.

    Args:
        reference: (y, x) nuclei in the first round.
        moved: (y, x) nuclei in another one.
        limits: what is refused.

    Raises:
        MeasurementError: the pictures differ in shape or are not (y, x).
    """
    if reference.shape != moved.shape or reference.ndim != 2:
        raise MeasurementError(
            f"Rounds must be pictures (y, x) of one shape, got {reference.shape} and {moved.shape}."
        )
    first, other = (np.nan_to_num(image.astype(np.float64)) for image in (reference, moved))
    shift = np.zeros(2)
    inner, back = _laid_back(other, shift)
    for _ in range(PASSES):
        shift = shift - _shift(first[inner], back)
        inner, back = _laid_back(other, shift)
    first = first[inner]
    correlation = _correlation(first, back)
    residual = _residual(first, back)
    good = residual <= limits.residual and correlation >= limits.correlation
    return Alignment((float(shift[0]), float(shift[1])), residual, correlation, bool(good))


def _shift(first: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the other picture must be shifted by to lie upon the first."""
    if min(first.shape) == 0 or first.std() == 0 or other.std() == 0:
        return np.zeros(2)
    found, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        first - first.mean(),
        other - other.mean(),
        upsample_factor=UPSAMPLING,
        normalization=None,
    )
    return np.asarray(found, dtype=np.float64)


def _laid_back(
    other: NDArray[np.float64], shift: NDArray[np.float64]
) -> tuple[tuple[slice, ...], NDArray[np.float64]]:
    """The part of the first round that the other shows too, and the other laid upon it."""
    inner = _seen_twice(other.shape, shift)
    return inner, ndimage.shift(other, -shift, order=1, mode="nearest")[inner]


def _seen_twice(shape: tuple[int, ...], shift: NDArray[np.float64]) -> tuple[slice, ...]:
    """The part of the first round that the other one shows too."""
    edge = np.ceil(np.abs(shift)).astype(int)
    return tuple(
        slice(max(0, -s) if s < 0 else 0, size - s if s > 0 else size)
        for s, size in zip(np.sign(shift).astype(int) * edge, shape, strict=True)
    )


def _correlation(first: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if first.size < 2 or first.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(first.ravel(), other.ravel())[0, 1])


def _residual(first: NDArray[np.float64], back: NDArray[np.float64]) -> float:
    rows, columns = (np.linspace(0, size, TILES + 1).astype(int) for size in first.shape)
    left, whole = [], first.std()
    for (top, bottom), (start, end) in product(pairwise(rows), pairwise(columns)):
        tile = first[top:bottom, start:end]
        if tile.size and tile.std() > LEAST_CONTRAST * whole > 0:
            left.append(float(np.hypot(*_shift(tile, back[top:bottom, start:end]))))
    return float(np.median(left)) if len(left) >= LEAST_TILES else float("nan")
