"""Levels of nuclei by how deep within them a place lies, taken off before foci are looked for.

The outermost pixels of a nucleus are darker than its inside: its edge is blurred, and outlines lie
a pixel further in or out. For a band-pass that step is a trough at the rim and a ridge beside it,
both far above the texture; they would count as noise, and foci near the rim would be lost in them.
Further in a nucleus gets thinner and darker towards its rim, more slowly.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from measurements.foci_smoothing import Image, Members, highest
from measurements.order_statistics import group_quantiles
from measurements.regions import Floats, divide

# Rings are one pixel wide at the rim, and deeper inside as wide as this share of their depth: what
# changes slowly is told from more pixels, whose median varies less.
GROWTH = 0.25
# A focus is not to move the median of its ring: rings have at least this many times its SD in
# pixels, and what lies inside them all at least this many times its area.
LEAST_LENGTH = 25.0
LEAST_AREAS = 10.0

Ints = NDArray[np.int64]


def levels_by_depth(
    image: Image, members: Members, index: NDArray[np.int32], sigma: float
) -> tuple[Image, Image]:
    """Level of each pixel's nucleus at its depth, and how steep levels are there.

    Levels are medians of rings, joined by straight lines from one ring's mean depth to the next's,
    since a step between rings would itself be a ridge. Where an image ends is no rim.

    Args:
        image: grey values; outside nuclei they do not matter.
        members: pixels of each nucleus.
        index: image or stack of 1 + row of the nucleus, 0 outside; depth is told in its planes.
        sigma: SD of a focus in a plane, px.

    Returns:
        Level, 0 outside nuclei; and the difference of its ring's level from the next ring's further
        inside, grey values per px, 0 in the innermost.
    """
    everywhere = _depth(index)
    depth = everywhere.ravel()[members.pixels].astype(float)
    edges = _edges(float(depth.max(initial=0)))
    place = members.rows * (edges.size + 1) + np.searchsorted(edges, depth)
    rings = _rings(image.ravel()[members.pixels], depth, place, (members.n, edges.size + 1), sigma)
    level, slope = np.zeros_like(image), np.zeros_like(image)
    towards = np.where(depth >= rings.depth[place], rings.inwards[place], rings.outwards[place])
    level.ravel()[members.pixels] = rings.level[place] + towards * (depth - rings.depth[place])
    slope.ravel()[members.pixels] = np.abs(rings.inwards[place])
    return level, slope


@dataclass(frozen=True, slots=True, eq=False)
class _Rings:
    """Rings of all nuclei, one after another; rings that were joined have the same values.

    Attributes:
        level: median grey value.
        depth: mean distance from the rim, px.
        inwards, outwards: grey values per px from here to the next ring on that side; 0 where there
            is none.
    """

    level: Floats
    depth: Floats
    inwards: Floats
    outwards: Floats


def _depth(index: NDArray[np.int32]) -> NDArray[np.float32]:
    """Distance of each pixel from its nucleus's outermost pixels, px."""
    if index.ndim > 2:
        same = index.strides[0] == 0
        planes = [_depth(plane) for plane in (index[:1] if same else index)]
        return np.broadcast_to(np.array(planes), index.shape) if planes else index.astype("f4")
    # Single precision holds the numbers of 16 million nuclei exactly.
    owner = index.astype(np.float32)
    if index.size == 0:
        return owner
    inside = (highest(owner, (1, 1)) == owner) & (-highest(-owner, (1, 1)) == owner)
    found: NDArray[np.float32] = cv2.distanceTransform(
        inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5
    )
    return found


def _edges(deepest: float) -> Floats:
    """Depths at which rings end; the outermost pixels are a ring of their own."""
    edges = [0.5]
    while edges[-1] < deepest:
        edges.append(edges[-1] + max(1.0, GROWTH * edges[-1]))
    return np.array(edges)


def _rings(
    values: NDArray[np.float32], depth: Floats, place: Ints, shape: tuple[int, int], sigma: float
) -> _Rings:
    """Rings of shape (nuclei, rings), of values at a place among them."""
    n = shape[0] * shape[1]
    groups = _joined(np.bincount(place, minlength=n).reshape(shape), sigma)
    group = groups.ravel()[place]
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(n + 1))
    medians = group_quantiles(values[order], starts, (0.5,))[0]
    means = divide(np.bincount(group, depth, n), np.bincount(group, minlength=n))
    level, middle = medians[groups], means[groups]
    inner, outer = _next_groups(groups), _next_groups(groups[:, ::-1])[:, ::-1]

    def slope(other: Ints) -> Floats:
        rise = np.sign(means[other] - middle) * (medians[other] - level)
        return np.nan_to_num(divide(rise, np.abs(means[other] - middle))).ravel()

    return _Rings(level.ravel(), middle.ravel(), slope(inner), slope(outer))


def _joined(sizes: Ints, sigma: float) -> Ints:
    """Group of each nucleus's rings, (nuclei, rings): rings too small join the one outside them."""
    n, n_rings = sizes.shape
    groups = np.arange(n * n_rings).reshape(n, n_rings)
    least = LEAST_AREAS * 2 * np.pi * sigma**2
    inside = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]
    for ring in range(1, n_rings):
        small = (sizes[:, ring] < LEAST_LENGTH * sigma) | (inside[:, ring] < least)
        groups[:, ring] = np.where(small, groups[:, ring - 1], groups[:, ring])
    return groups


def _next_groups(groups: Ints) -> Ints:
    """The group that follows each along a row; the last is its own."""
    following = groups.copy()
    for ring in range(groups.shape[1] - 2, -1, -1):
        same = groups[:, ring] == groups[:, ring + 1]
        following[:, ring] = np.where(same, following[:, ring + 1], groups[:, ring + 1])
    return following
