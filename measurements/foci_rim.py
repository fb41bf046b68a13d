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
from measurements.regions import divide

# How far inside its rim, times a focus's SD, the level of a nucleus is told ring by ring: its edge
# is blurred, and it is thinner and darker towards it. With two SDs only, what lies behind them was
# a trough beside an evened rim, and foci there were missed.
DEPTH = 14.0
# A focus is not to move the median of its ring: rings are at least this many SDs of one long, and
# what lies inside them all has at least the area of this many.
LEAST_LENGTH = 25.0
LEAST_AREAS = 10.0


def rings_within(index: NDArray[np.int32], n_rings: int) -> NDArray[np.int32]:
    """Number of each pixel's ring, counted from the rim of its nucleus: 0 to n_rings.

    Rings are one pixel wide; all that lies further inside is the last. Where an image ends is no
    rim. A stack has the rings of its planes.

    Args:
        index: image or stack of 1 + row of the nucleus, 0 outside.
        n_rings: rings before the last.
    """
    if index.ndim == 2:
        return _rings_of_plane(index, n_rings)
    if index.strides[0] == 0:
        return np.broadcast_to(_rings_of_plane(index[0], n_rings), index.shape)
    return np.stack([_rings_of_plane(plane, n_rings) for plane in index])


def _rings_of_plane(index: NDArray[np.int32], n_rings: int) -> NDArray[np.int32]:
    if index.size == 0:
        return np.zeros_like(index)
    # Single precision holds the numbers of 16 million nuclei exactly.
    owner = index.astype(np.float32)
    inside = (highest(owner, (1, 1)) == owner) & (-highest(-owner, (1, 1)) == owner)
    distance = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    rings: NDArray[np.int32] = np.minimum(distance, n_rings).astype(np.int32)
    return rings


def levels_along_rim(
    image: Image, members: Members, index: NDArray[np.int32], sigma: float
) -> tuple[Image, Image]:
    """Level of each pixel's ring along its nucleus's rim, and how steep levels are there.

    Args:
        image: grey values; outside nuclei they do not matter.
        members: pixels of each nucleus.
        index: image of 1 + row of the nucleus, 0 outside.
        sigma: SD of a focus in a plane, px.

    Returns:
        Median of the nucleus's pixels in the same ring, 0 outside nuclei; and its difference from
        the next ring further inside, grey values per px, 0 in the innermost.
    """
    rings = rings_within(index, round(DEPTH * sigma) + 1)
    n_rings = int(rings.max(initial=0)) + 1
    place = members.rows * n_rings + rings.ravel()[members.pixels].astype(np.int64)
    sizes = np.bincount(place, minlength=members.n * n_rings).reshape(members.n, n_rings)
    joined = _joined(sizes, sigma)
    group = joined.ravel()[place]
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(members.n * n_rings + 1))
    values = image.ravel()[members.pixels]
    medians = group_quantiles(values[order], starts, (0.5,))[0].astype(np.float32)
    level, slope = np.zeros_like(image), np.zeros_like(image)
    level.ravel()[members.pixels] = medians[group]
    slope.ravel()[members.pixels] = _slopes(medians, joined, sizes).ravel()[place]
    return level, slope


def _slopes(
    medians: NDArray[np.float32], joined: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Difference of each ring's level from the next group's further inside, per px of depth."""
    level = medians[joined]
    depth = np.broadcast_to(np.arange(joined.shape[1], dtype=float), joined.shape).ravel()
    weight = sizes.ravel()
    pixels = np.bincount(joined.ravel(), weight, joined.size)
    middle = divide(np.bincount(joined.ravel(), depth * weight, joined.size), pixels)[joined]
    inner, inner_level = middle.copy(), level.copy()
    for ring in range(joined.shape[1] - 2, -1, -1):
        same = joined[:, ring] == joined[:, ring + 1]
        inner[:, ring] = np.where(same, inner[:, ring + 1], middle[:, ring + 1])
        inner_level[:, ring] = np.where(same, inner_level[:, ring + 1], level[:, ring + 1])
    steep = np.abs(divide(inner_level - level, inner - middle))
    return np.nan_to_num(steep).astype(np.float32)


def _joined(sizes: NDArray[np.int64], sigma: float) -> NDArray[np.int64]:
    """Group of each nucleus's rings, (nuclei, rings): rings too small join the one outside them."""
    n, n_rings = sizes.shape
    groups = np.arange(n * n_rings).reshape(n, n_rings)
    least = LEAST_AREAS * 2 * np.pi * sigma**2
    inside = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]
    for ring in range(1, n_rings):
        small = (sizes[:, ring] < LEAST_LENGTH * sigma) | (inside[:, ring] < least)
        groups[:, ring] = np.where(small, groups[:, ring - 1], groups[:, ring])
    return groups
