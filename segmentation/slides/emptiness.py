"""Which parts hold nothing but background: told from noise alone, so that no cell is lost."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

# [judgement] Expected number of boxes of white noise whose mean lies beyond half the allowed span:
# one image of noise in thirty is then taken for one with cells and computed in vain. An object that
# rises above its surroundings by half the standard deviation of a single pixel is never missed.
_BEYOND = 0.1
# Rows that noise is read from: a quarter of them tells it as well.
_EVERY = 4
# Standard deviation of normal noise from the median absolute difference of neighbours:
# 1 / (0.6745 * sqrt(2)).
_FROM_DIFFERENCES = 1.0484


def is_empty(pixels: NDArray[np.generic], diameter_px: float) -> bool:
    """Whether an image is constant, or flat but for noise from pixel to pixel.

    Noise that is not white (resampled, compressed), uneven light and cells all make means over
    boxes differ by more than the noise of single pixels explains: such an image is not empty.

    Args:
        pixels: (y, x), real and finite.
        diameter_px: typical diameter of the objects; means are taken over boxes of half of it,
            some of which any object fills.
    """
    if pixels.min() == pixels.max():
        return True
    box = max(1, round(diameter_px / 2))
    rows, columns = (length // box for length in pixels.shape)
    if min(rows, columns) < 2:
        return False
    image = pixels.astype(np.float32, copy=False)
    noise = _FROM_DIFFERENCES * float(np.median(np.abs(np.diff(image[::_EVERY], axis=1))))
    boxes = image[: rows * box, : columns * box].reshape(rows, box, columns, box)
    span = 2 * float(ndtri(1 - _BEYOND / (rows * columns)))
    return bool(np.ptp(boxes.mean(axis=(1, 3))) < span * noise / box)
