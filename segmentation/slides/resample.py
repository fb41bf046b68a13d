"""Bilinear sampling on a grid that belongs to the whole slide, whatever part of it is computed.

Pixel i of an axis resampled from `source` to `target` pixels lies at (i + 0.5) * source / target -
0.5 of the source, held within its ends: OpenCV's convention, which Cellpose resizes by. Here the
position comes from the index in the slide alone, so that any part equals that part of the whole.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Taps:
    """The two source pixels that each of a run of target pixels is mixed from.

    Attributes:
        low: (n,) int64, index of the one before it, in the whole axis.
        high: (n,) int64, index of the one behind it.
        weight: (n,) float32, share of `high`.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    weight: NDArray[np.float32]

    @property
    def span(self) -> tuple[int, int]:
        """First index that is read, and the one after the last."""
        return int(self.low[0]), int(self.high[-1]) + 1


def taps(start: int, stop: int, target: int, source: int) -> Taps:
    """Where the target pixels from `start` to `stop` lie in the source.

    Args:
        start: first target pixel.
        stop: the one after the last.
        target: pixels of the whole axis after resampling.
        source: pixels of the whole axis before.
    """
    position = (np.arange(start, stop) + 0.5) * (source / target) - 0.5
    position = np.clip(position, 0, source - 1)
    low = np.floor(position).astype(np.int64)
    return Taps(low, np.minimum(low + 1, source - 1), (position - low).astype(np.float32))


def resampled(
    pixels: NDArray[np.float32], origin: tuple[int, int], rows: Taps, columns: Taps
) -> NDArray[np.float32]:
    """Sample an image.

    Args:
        pixels: (..., y, x) float32, the part of the source that the taps read, or more.
        origin: row and column of its first pixel in the slide's source frame.
        rows: taps along y.
        columns: taps along x.

    Returns:
        (..., rows, columns) float32.
    """
    down = _mixed(pixels, rows, origin[0], axis=-2)
    return _mixed(down, columns, origin[1], axis=-1)


def _mixed(pixels: NDArray[np.float32], along: Taps, origin: int, axis: int) -> NDArray[np.float32]:
    if not along.weight.any() and np.array_equal(
        along.low, np.arange(origin, origin + pixels.shape[axis])
    ):
        return pixels
    weight = along.weight if axis == -1 else along.weight[:, np.newaxis]
    low = np.take(pixels, along.low - origin, axis=axis)
    high = np.take(pixels, along.high - origin, axis=axis)
    high -= low
    high *= weight
    high += low
    return high
