"""How far each round is shifted and turned against the first, and how well they then lie together.

A stage that is taken off and put back between rounds turns them by tenths of a degree, and warmth
or a camera changes their scale by per mille. Neither shows in the middle of a field; at its corners
both add up to several pixels. The shifts of tiles against each other tell how much.
"""

from dataclasses import dataclass, replace
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
# Passes over tiles, for their turn and scale, at most: each leaves about half, since nuclei at the
# edges of tiles draw their shifts towards 0. They end where no corner moves by so much, px.
TURN_PASSES = 12
LEAST_STEP = 0.05
# Turns that move no corner of the picture by so much, px, are left as they are [judgement]: tiles
# tell their shifts to a tenth of a pixel, and dots are found to a few tenths.
LEAST_TURN = 0.5
# Tiles that a turn is told from, at least.
TURN_TILES = 5

Floats = NDArray[np.float64]
Matrix = tuple[tuple[float, float], tuple[float, float]]
STRAIGHT: Matrix = ((1.0, 0.0), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Limits:
    """When a round lies well upon the first.

    Attributes:
        residual: largest residual shift, px.
        correlation: smallest correlation of the two pictures.
        turn: largest rotation, degrees [judgement]: a stage that is put back does not reach it.
        scale: largest change of scale, as a share [judgement].
    """

    residual: float = 1.0
    correlation: float = 0.5
    turn: float = 1.5
    scale: float = 0.01


@dataclass(frozen=True, slots=True)
class Alignment:
    """One round against the first.

    Attributes:
        shift: row and column by which the round lies away from the first, px, in the middle of the
            picture.
        residual: median over tiles of how far they lie away once the shift is taken off, px; NaN
            where too few tiles show anything.
        correlation: Pearson's, of the two pictures once the shift is taken off.
        accepted: whether all are within the limits.
        matrix: rotation and scale: what is at p in the first round is at matrix (p - middle) +
            middle + shift in this one.
        middle: row and column of the middle of the picture.
    """

    shift: tuple[float, float]
    residual: float
    correlation: float
    accepted: bool
    matrix: Matrix = STRAIGHT
    middle: tuple[float, float] = (0.0, 0.0)

    @property
    def turn_deg(self) -> float:
        """Rotation, degrees, from rows towards columns."""
        return float(np.degrees(np.arctan2(self.matrix[1][0], self.matrix[0][0])))

    @property
    def scale(self) -> float:
        """Size of what the first round shows in this one; 1 where it is as large."""
        return float(np.hypot(self.matrix[0][0], self.matrix[1][0]))

    def seen(self, places: Floats) -> Floats:
        """Where (n, 2) places of the first round lie in this one."""
        if self.matrix == STRAIGHT:
            return places + np.asarray(self.shift, dtype=np.float64)
        away = (places - self.middle) @ np.array(self.matrix).T
        return np.asarray(away + self.middle + self.shift, dtype=np.float64)

    def laid_back(self, places: Floats) -> Floats:
        """Where (n, 2) places of this round lie in the first."""
        if self.matrix == STRAIGHT:
            return places - np.asarray(self.shift, dtype=np.float64)
        away = places - np.array(self.middle) - np.array(self.shift)
        back = np.linalg.inv(np.array(self.matrix)).T
        return np.asarray(away @ back + self.middle, dtype=np.float64)


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
    shift, matrix = np.zeros(2), np.eye(2)
    inner, back = _laid_back(other, shift, matrix)
    for _ in range(PASSES):
        shift = shift - _shift(first[inner], back)
        inner, back = _laid_back(other, shift, matrix)
    for number in range(TURN_PASSES):
        turn, more = _turn(first, inner, back)
        if float((np.abs(turn) @ _middle(other)).max()) < (LEAST_STEP if number else LEAST_TURN):
            break
        shift, matrix = shift + matrix @ more, matrix @ (np.eye(2) + turn)
        inner, back = _laid_back(other, shift, matrix)
    first = first[inner]
    found = Alignment(
        (float(shift[0]), float(shift[1])),
        _residual(first, back),
        _correlation(first, back),
        accepted=False,
        matrix=_as_tuples(matrix),
        middle=tuple(_middle(other).tolist()),
    )
    return replace(found, accepted=_is_good(found, limits))


def _is_good(found: Alignment, limits: Limits) -> bool:
    return (
        found.residual <= limits.residual
        and found.correlation >= limits.correlation
        and abs(found.turn_deg) <= limits.turn
        and abs(found.scale - 1) <= limits.scale
    )


def _as_tuples(matrix: Floats) -> Matrix:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def _middle(picture: Floats) -> Floats:
    return (np.array(picture.shape) - 1) / 2


def _shift(first: Floats, other: Floats) -> Floats:
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


def _laid_back(other: Floats, shift: Floats, matrix: Floats) -> tuple[tuple[slice, ...], Floats]:
    """The part of the first round that the other shows too, and the other laid upon it."""
    inner = _seen_twice(other.shape, shift, matrix)
    if np.array_equal(matrix, np.eye(2)):
        return inner, ndimage.shift(other, -shift, order=1, mode="nearest")[inner]
    middle = _middle(other)
    offset = middle + shift - matrix @ middle
    return inner, ndimage.affine_transform(other, matrix, offset, order=1, mode="nearest")[inner]


def _seen_twice(shape: tuple[int, ...], shift: Floats, matrix: Floats) -> tuple[slice, ...]:
    """The part of the first round that the other one shows too."""
    middle = (np.array(shape) - 1) / 2
    corners = np.array(list(product((-1, 1), repeat=2))) * middle
    away = corners @ (matrix - np.eye(2)).T + shift
    before = np.ceil(np.maximum(-away.min(axis=0), 0)).astype(int)
    after = np.ceil(np.maximum(away.max(axis=0), 0)).astype(int)
    return tuple(
        slice(low, max(low, size - high))
        for low, high, size in zip(before, after, shape, strict=True)
    )


def _turn(first: Floats, inner: tuple[slice, ...], back: Floats) -> tuple[Floats, Floats]:
    """What rotation and scale are left of two pictures laid upon each other.

    Tiles lie away by t + A q, q being their place from the middle; A = ((a, -b), (b, a)) is a small
    rotation and change of scale. By least squares.

    Returns:
        A and t; 0 where too few tiles show anything.
    """
    places, away = _tile_shifts(first[inner], back)
    if len(places) < TURN_TILES:
        return np.zeros((2, 2)), np.zeros(2)
    start = np.array([part.start for part in inner])
    y, x = (places + start - _middle(first)).T
    one, none = np.ones_like(y), np.zeros_like(y)
    terms = np.concatenate(
        [np.stack([one, none, y, -x], axis=1), np.stack([none, one, x, y], axis=1)]
    )
    t_y, t_x, a, b = np.linalg.lstsq(terms, -away.T.ravel())[0]
    return np.array([[a, -b], [b, a]]), np.array([t_y, t_x])


def _correlation(first: Floats, other: Floats) -> float:
    if first.size < 2 or first.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(first.ravel(), other.ravel())[0, 1])


def _residual(first: Floats, back: Floats) -> float:
    _, away = _tile_shifts(first, back)
    return float(np.median(np.hypot(*away.T))) if len(away) >= LEAST_TILES else float("nan")


def _tile_shifts(first: Floats, back: Floats) -> tuple[Floats, Floats]:
    """Middles (n, 2) of the tiles that show something, and what each must be shifted by."""
    rows, columns = (np.linspace(0, size, TILES + 1).astype(int) for size in first.shape)
    places, away, whole = [], [], first.std() if first.size else 0.0
    for (top, bottom), (start, end) in product(pairwise(rows), pairwise(columns)):
        tile = first[top:bottom, start:end]
        if tile.size and tile.std() > LEAST_CONTRAST * whole > 0:
            places.append(((top + bottom - 1) / 2, (start + end - 1) / 2))
            away.append(_shift(tile, back[top:bottom, start:end]))
    return np.array(places).reshape(-1, 2), np.array(away).reshape(-1, 2)
