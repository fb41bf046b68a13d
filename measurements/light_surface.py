"""Light over a picture as smooth surfaces, which are known wherever the picture is cut."""

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from measurements.background import robust_sd
from measurements.regions import Floats

TILES_PER_TERM = 3
REFITS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """Light over a picture: polynomials of the logarithm of I0, less dark, over the picture.

    Attributes:
        shape: rows and columns of the picture.
        grey: coefficients of the three colours' mean, in the order of `_powers`.
        tints: of what red, green and blue differ from it.
    """

    shape: tuple[int, int]
    grey: Floats
    tints: tuple[Floats, ...]

    def over(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Light over a part of the picture, (y, x, 3), everywhere above 0."""
        y = scaled(np.arange(rows.start, rows.stop, dtype=np.float64), self.shape[0])[:, None]
        x = scaled(np.arange(columns.start, columns.stop, dtype=np.float64), self.shape[1])[None]
        shape = _evaluate(self.grey, y, x)
        light = np.empty((*shape.shape, 3), dtype=np.float32)
        for colour, tint in enumerate(self.tints):
            light[..., colour] = np.exp(shape + _evaluate(tint, y, x))
        return light


def polynomial(at: Floats, values: Floats, order: int, allowed_sd: tuple[float, float]) -> Floats:
    """Polynomial through values at places, of the order that their number allows.

    Args:
        at: (n, 2) places, from -1 to 1.
        values: there.
        order: highest order.
        allowed_sd: how many robust SD under and above it a value is left out.

    Returns:
        Coefficients, in the order of `_powers`.
    """
    while order and values.size < TILES_PER_TERM * len(_powers(order)):
        order -= 1
    return _fit(_terms(at, order), values, allowed_sd)


def scaled(positions: Floats, length: int) -> Floats:
    """Pixel positions on an axis of this length, from -1 to 1."""
    return (2 * positions + 1) / length - 1


def _powers(order: int) -> list[tuple[int, int]]:
    return [(n - k, k) for n in range(order + 1) for k in range(n + 1)]


def _terms(at: Floats, order: int) -> Floats:
    return np.stack([at[:, 0] ** a * at[:, 1] ** b for a, b in _powers(order)], axis=1)


def _fit(terms: Floats, values: Floats, allowed_sd: tuple[float, float]) -> Floats:
    """Least squares, repeated without what lies too many robust SD under or above it."""
    kept = np.ones(values.shape, dtype=bool)
    for _ in range(REFITS):
        coefficients = np.linalg.lstsq(terms[kept], values[kept])[0]
        residuals = values - terms @ coefficients
        sd = robust_sd(residuals[kept]) + 1e-9
        inside = (residuals >= -allowed_sd[0] * sd) & (residuals <= allowed_sd[1] * sd)
        if np.array_equal(inside, kept) or inside.sum() <= terms.shape[1]:
            break
        kept = inside
    return np.asarray(coefficients, dtype=np.float64)


def _evaluate(coefficients: Floats, y: Floats, x: Floats) -> Floats:
    """A polynomial's values at places (rows, 1) and (1, columns), from -1 to 1 over the picture."""
    surface = np.zeros((y.size, x.size))
    # An order has n (n + 1) / 2 terms, n being one more.
    order = (isqrt(8 * len(coefficients) + 1) - 3) // 2
    for factor, (a, b) in zip(coefficients, _powers(order), strict=True):
        surface += factor * (y**a * x**b)
    return surface
