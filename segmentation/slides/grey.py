"""One range of grey values for the whole slide, from patches spread over it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from segmentation.slides.emptiness import is_empty
from segmentation.slides.flows import Read
from segmentation.slides.grid import Box, Shape

_PATCH_PX = 512
# [judgement] 128 patches are 33 million pixels: a percentile of them is known to a few per mille.
_PATCHES = 128
# Pixels of a patch that are kept, every second along both axes: neighbours say the same twice.
_STRIDE = 2
# Grey values that become 0 and 1, as in CellposeModel.eval.
_PERCENTILES = (1, 99)


def grey_range(read: Read, shape: Shape, diameter_px: float) -> tuple[float, float] | None:
    """Grey values that become 0 and 1 for the network: the 1st and the 99th percentile of tissue.

    They are taken over patches of 512 x 512 px on a regular grid, at most 128, that are not empty
    (`segmentation.slides.emptiness`): over a whole slide, where background may be nearly all,
    nuclei would lie beyond the 99th percentile. A slide that is empty everywhere gives the range
    of all its patches.

    Args:
        read: the slide's pixels.
        shape: rows and columns of the slide.
        diameter_px: typical diameter of the objects.

    Returns:
        Low and high; None where every pixel read is the same.
    """
    kept: list[NDArray[np.float32]] = []
    empty: list[NDArray[np.float32]] = []
    for box in _patches(shape):
        patch = np.asarray(read(box))
        sample = patch[::_STRIDE, ::_STRIDE].astype(np.float32).ravel()
        (empty if is_empty(patch, diameter_px) else kept).append(sample)
    values = np.concatenate(kept or empty)
    low, high = (float(value) for value in np.percentile(values, _PERCENTILES))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else None


def _patches(shape: Shape) -> Iterator[Box]:
    """Patches on a regular grid: all of a small slide, spread evenly over a large one."""
    rows, columns = (-(-length // _PATCH_PX) for length in shape)
    wanted = min(1.0, (_PATCHES / (rows * columns)) ** 0.5)
    for row in _spread(rows, wanted):
        for column in _spread(columns, wanted):
            top, left = row * _PATCH_PX, column * _PATCH_PX
            yield Box(top, left, min(top + _PATCH_PX, shape[0]), min(left + _PATCH_PX, shape[1]))


def _spread(n: int, share: float) -> NDArray[np.int64]:
    """About `share` of the numbers below n, evenly spaced, at least one."""
    count = max(1, int(n * share))
    return ((np.arange(count) + 0.5) * n / count).astype(np.int64)
