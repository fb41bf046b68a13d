"""Label images and discs that several tests draw."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def blobs(seed: int, shape: tuple[int, int] = (60, 70)) -> NDArray[np.uint32]:
    """Touching, holed and disconnected regions with gaps between their ids."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.random(shape), rng.uniform(0.5, 3))
    levels = np.digitize(field, np.quantile(field, [0.3, 0.5, 0.7, 0.8, 0.95]))
    return levels.astype(np.uint32) * 7


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def spot(shape: tuple[int, int], y: float, x: float, sigma: float) -> NDArray[np.float64]:
    """Gaussian of height 1."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
