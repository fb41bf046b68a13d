"""Where pixels end that follow the flows: in whole numbers, so that no window changes the answer.

A walker's place is held in steps of 2^-16 px from its window's corner, as whole numbers. Adding
whole pixels to it changes nothing else, so the walks of an object are the same in every window that
holds it, to the last bit; and walkers that meet are at one place exactly, and go on as one.
(Cellpose holds places as float32 between -1 and 1 over the image, whose rounding grows with it, and
samples the flow up to half a pixel beside the place, depending on where in the image that is.)
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FRACTION_BITS = 16
_ONE = 1 << _FRACTION_BITS
# Steps between two looks for walkers that have met. [judgement] Looking costs about two steps.
_TOGETHER = 12
# Walkers that are moved at a time, so that their places stay in a processor's cache.
_AT_A_TIME = 1 << 16


def follow(flow: NDArray[np.float32], starts: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """Follow the flow by Euler's method, with bilinear interpolation between pixels' centres.

    Args:
        flow: (2, y, x) float32, pixels a step in y and x; finite, 0 where nothing is followed;
            at most 32,767 px wide and high.
        starts: flat indices of the pixels that walk.
        steps: steps of each.

    Returns:
        Flat index of the pixel in which each walk ends. Walks do not leave the window.
    """
    _, height, width = flow.shape
    field = torch.from_numpy(np.ascontiguousarray(flow.reshape(2, -1).T))
    row, column = np.divmod(starts, width)
    places = torch.from_numpy((row << (32 + _FRACTION_BITS)) | (column << _FRACTION_BITS))
    own = torch.arange(len(starts))
    for first in range(0, steps, _TOGETHER):
        count = min(_TOGETHER, steps - first)
        parts = torch.split(places, _AT_A_TIME)
        places = torch.cat([_walked(field, part, (height, width), count) for part in parts])
        places, met = torch.unique(places, return_inverse=True)
        own = met[own]
    ends = (places >> (32 + _FRACTION_BITS)) * width
    ends += (places & 0xFFFFFFFF) >> _FRACTION_BITS
    found: NDArray[np.int64] = ends[own].numpy()
    return found


def _walked(field: Tensor, places: Tensor, shape: tuple[int, int], steps: int) -> Tensor:
    """Take some steps: places, row above 32 bits of column, both in 2^-16 px."""
    y, x = places >> 32, places & 0xFFFFFFFF
    bottom, right = ((side - 1) << _FRACTION_BITS for side in shape)
    for _ in range(steps):
        step = (_between(field, y, x, shape) * _ONE).round_().long()
        y = (y + step[:, 0]).clamp_(0, bottom)
        x = (x + step[:, 1]).clamp_(0, right)
    return (y << 32) | x


def _between(field: Tensor, y: Tensor, x: Tensor, shape: tuple[int, int]) -> Tensor:
    """Flow at places between four pixels, (n, 2)."""
    height, width = shape
    low = (y >> _FRACTION_BITS) * width
    high = (y >> _FRACTION_BITS).add_(1).clamp_(max=height - 1) * width
    left = x >> _FRACTION_BITS
    right = (left + 1).clamp_(max=width - 1)
    down = ((y & (_ONE - 1)).float() / _ONE)[:, None]
    across = ((x & (_ONE - 1)).float() / _ONE)[:, None]
    upper = field[low + left] * (1 - across) + field[low + right] * across
    lower = field[high + left] * (1 - across) + field[high + right] * across
    return upper * (1 - down) + lower * down
