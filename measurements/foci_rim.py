"""Rings along the rims of nuclei, whose level is taken off before foci are looked for.

The outermost pixels of a nucleus are darker than its inside: its edge is blurred, and outlines lie
a pixel further in or out. For a band-pass that step is a trough at the rim and a ridge beside it,
both far above the texture; they would count as noise, and foci near the rim would be lost in them.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from measurements.foci_smoothing import Image, Members, highest
from measurements.order_statistics import group_quantiles

# Pixels that a ring has at least; what is fewer, one focus would move the median of.
LEAST_PIXELS = 40


def rings_within(index: NDArray[np.int32], n_rings: int) -> NDArray[np.int32]:
    """Number of each pixel's ring, counted from the rim of its nucleus: 0 to n_rings.

    Rings are one pixel wide; all that lies further inside is the last. Where an image ends is no
    rim.

    Args:
        index: image, or stack of the same planes, of 1 + row of the nucleus, 0 outside.
        n_rings: rings before the last.
    """
    plane = index.reshape(-1, *index.shape[-2:])[0] if index.size else index
    # Single precision holds the numbers of 16 million nuclei exactly.
    owner = plane.astype(np.float32)
    if plane.size == 0:
        return np.zeros_like(index)
    inside = (highest(owner, (1, 1)) == owner) & (-highest(-owner, (1, 1)) == owner)
    distance = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    rings = np.minimum(distance, n_rings).astype(np.int32)
    found: NDArray[np.int32] = np.broadcast_to(rings, index.shape)
    return found


def median_by_ring(levelled: Image, members: Members, rings: NDArray[np.int32]) -> Image:
    """Median of the nucleus's pixels in the same ring; 0 outside nuclei."""
    n_rings = int(rings.max(initial=0)) + 1
    place = members.rows * n_rings + rings.ravel()[members.pixels].astype(np.int64)
    sizes = np.bincount(place, minlength=members.n * n_rings)
    group = _joined(sizes.reshape(members.n, n_rings)).ravel()[place]
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(members.n * n_rings + 1))
    values = levelled.ravel()[members.pixels]
    medians = group_quantiles(values[order], starts, (0.5,))[0]
    level = np.zeros_like(levelled)
    level.ravel()[members.pixels] = medians.astype(np.float32)[group]
    return level


def _joined(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Group of each nucleus's rings, (nuclei, rings): rings too small join the one outside them."""
    n, n_rings = sizes.shape
    groups = np.arange(n * n_rings).reshape(n, n_rings)
    inside = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]
    for ring in range(1, n_rings):
        small = (sizes[:, ring] < LEAST_PIXELS) | (inside[:, ring] < LEAST_PIXELS)
        groups[:, ring] = np.where(small, groups[:, ring - 1], groups[:, ring])
    return groups
