"""Local maxima of an image of any number of axes: one pixel for each, and its place within it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.foci_smoothing import Image, Scales, highest
from measurements.regions import Floats

Ints = NDArray[np.int64]


def is_summit(values: Image, sigmas: Scales) -> NDArray[np.bool_]:
    """Whether a pixel is the highest within about one SD of a focus along each axis."""
    summits: NDArray[np.bool_] = values == highest(values, tuple(max(1, round(s)) for s in sigmas))
    return summits


def first_pixels(maxima: NDArray[np.bool_]) -> Ints:
    """Place of the first pixel of every plateau of maxima, (n, axes)."""
    plateaus, _ = ndimage.label(maxima, np.ones((3,) * maxima.ndim))
    pixels = np.flatnonzero(maxima)
    _, first = np.unique(plateaus.ravel()[pixels], return_index=True)
    return np.stack(np.unravel_index(pixels[first], maxima.shape), axis=1).astype(np.int64)


def fit_quadratics(values: Image, at: Ints) -> tuple[Floats, Floats]:
    """Fit a quadratic through the pixels around each place (Brown & Lowe 2002, BMVC 656).

    Args:
        values: the image.
        at: (n, axes) places of local maxima.

    Returns:
        (n, axes) offset of its maximum, within ±0.5 px and the image, and the ratio of its largest
        to its smallest curvature in the plane of the last two axes, infinite where it is no
        maximum.
    """
    slope, hessian = _derivatives(values, at)
    offset = np.zeros(at.shape)
    solvable = np.abs(np.linalg.det(hessian)) > np.finfo(np.float32).tiny
    offset[solvable] = -np.linalg.solve(hessian[solvable], slope[solvable][..., None])[..., 0]
    curvatures = -np.linalg.eigvalsh(hessian[:, -2:, -2:])
    ratio = np.full(len(at), np.inf)
    round_ones = curvatures[:, 1] > 0
    ratio[round_ones] = curvatures[round_ones, 0] / curvatures[round_ones, 1]
    last = np.array(values.shape) - 1
    return np.clip(offset, np.maximum(-0.5, -at), np.minimum(0.5, last - at)), ratio


def _derivatives(values: Image, at: Ints) -> tuple[Floats, Floats]:
    """Gradient (n, axes) and matrix of second derivatives (n, axes, axes), by differences."""
    n, axes = at.shape
    steps = np.eye(axes, dtype=np.int64)
    last = np.array(values.shape) - 1

    def read(step: NDArray[np.int64]) -> Floats:
        # Beyond the edge the image goes on as its last pixel.
        return np.asarray(values[tuple(np.clip(at + step, 0, last).T)], dtype=np.float64)

    middle = read(np.zeros(axes, dtype=np.int64))
    slope, hessian = np.empty((n, axes)), np.empty((n, axes, axes))
    for i, a in enumerate(steps):
        slope[:, i] = (read(a) - read(-a)) / 2
        hessian[:, i, i] = read(a) + read(-a) - 2 * middle
        for j, b in enumerate(steps[:i]):
            mixed = (read(a + b) + read(-a - b) - read(a - b) - read(b - a)) / 4
            hessian[:, i, j] = hessian[:, j, i] = mixed
    return slope, hessian
