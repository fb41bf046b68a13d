"""From a z stack to one plane."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def maximum(planes: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Largest value of each pixel over the planes, in their type; at least one plane is needed."""
    rest = iter(planes)
    result = next(rest).copy()
    for plane in rest:
        np.maximum(result, plane, out=result)
    return result


def mean(planes: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
    """Mean of each pixel over the planes, summed in float64; at least one plane is needed."""
    rest = iter(planes)
    total, count = next(rest).astype(np.float64), 1
    for plane in rest:
        total += plane
        count += 1
    return (total / count).astype(np.float32)


def sharpest(planes: Iterable[NDArray[Any]]) -> int:
    """Index of the plane with the largest focus measure, the first one of equals."""
    return int(np.argmax([focus_measure(plane) for plane in planes]))


def focus_measure(plane: NDArray[Any]) -> float:
    """How sharp a plane is: variance of its Laplacian of Gaussian over its mean.

    The variance of the Laplacian is the measure of Pech-Pacheco et al. 2000 (ICPR, "Diatom
    autofocusing in brightfield microscopy"). Divided by the mean, as Sun et al. 2004 (Microsc Res
    Tech 65:139) divide the variance, the share of shot noise is the same in bright and dim
    planes; the Gaussian (sigma one pixel) keeps that share small.

    Args:
        plane: (y, x), or (y, x, 3) for RGB, whose mean over the colours is measured.

    Returns:
        The measure, 0 where the plane has no positive mean; NaN pixels count as 0.
    """
    from scipy.ndimage import gaussian_laplace

    grey = np.nan_to_num(plane.astype(np.float32))
    if grey.ndim == 3:
        grey = grey.mean(axis=2)
    brightness = float(grey.mean(dtype=np.float64))
    if brightness <= 0:
        return 0.0
    return float(gaussian_laplace(grey, sigma=1.0).var(dtype=np.float64)) / brightness
