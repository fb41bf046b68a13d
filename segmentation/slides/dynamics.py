"""Flows to masks, the same for an object wherever the window lies that it is seen in.

Cellpose's steps (Stringer et al. 2021, Nature Methods 18:100-106; cellpose.dynamics): every pixel
follows the flow, pixels that end together are an object, and an object whose outline would have
other flows than the network's is dropped. Cellpose's own code ties them to the image: it samples
flows up to half a pixel beside the pixel, depending on where in the image that is, holds positions
with a rounding that grows with the image, and diffuses for as long as the largest object of the
image needs. Here a pixel carries its displacement, flows are sampled where it is, and an object is
diffused for as long as it needs itself.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segmentation.engine import models

Labels = NDArray[np.uint32]

# As in cellpose.dynamics.get_masks_torch: a seed is where over 10 pixels end, more than anywhere
# within 2 px; its object ends within 5 px of it, where over 2 pixels do.
_SEED_COUNT = 10
_SEED_REACH = 2
_GROWTH = 5
_GROWTH_COUNT = 2
_NEIGHBOURS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def masks_from_flows(
    flow: NDArray[np.float32],
    logit: NDArray[np.float32],
    steps: int,
    *,
    flow_threshold: float,
    cellprob_threshold: float,
    min_size_px: int,
) -> Labels:
    """Find the objects of a window.

    Args:
        flow: (2, y, x) float32, 5 x flow in y and in x.
        logit: (y, x) float32.
        steps: steps of the dynamics.
        flow_threshold: largest mean squared difference of flows; 0 keeps every outline.
        cellprob_threshold: logit above which a pixel belongs to an object.
        min_size_px: smaller objects, in pixels of area, are dropped.

    Returns:
        (y, x) uint32: 0 background, 1 to n in the order of their first pixel, row by row.
    """
    inside = logit > cellprob_threshold
    labels = np.zeros(logit.shape, np.uint32)
    if not inside.any():
        return labels
    pixels = np.flatnonzero(inside)
    within = np.where(inside, flow, 0).astype(np.float32) / np.float32(5)
    ends = _follow(within, pixels, steps)
    labels.flat[pixels] = _clusters(ends, logit.shape).flat[ends]
    labels = in_raster_order(labels)
    if flow_threshold > 0:
        labels = _without(labels, _flow_errors(labels, flow) > flow_threshold)
    filled = models.utils.fill_holes_and_remove_small_masks(labels, min_size=min_size_px)
    return in_raster_order(filled)


def in_raster_order(masks: NDArray[np.integer]) -> Labels:
    """Number objects 1 to n by their first pixel, row by row, in a new array.

    Args:
        masks: (y, x), 0 background, ids of at most the number of pixels.
    """
    flat = masks.ravel()
    inside = np.flatnonzero(flat)
    first = np.full(int(flat.max(initial=0)) + 1, flat.size)
    # Written from the last pixel to the first, so the first pixel's place is what remains.
    first[flat[inside[::-1]]] = inside[::-1]
    ids = np.flatnonzero(first < flat.size)
    number = np.zeros(first.size, np.uint32)
    number[ids[np.argsort(first[ids])]] = np.arange(1, ids.size + 1)
    renumbered: Labels = number[masks]
    return renumbered


def _follow(flow: NDArray[np.float32], pixels: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """Where each pixel ends: (2, y, x) flows, flat indices -> flat indices."""
    _, height, width = flow.shape
    field = torch.from_numpy(np.ascontiguousarray(flow.reshape(2, -1).T))
    start = torch.from_numpy(pixels)
    row, column = start // width, start % width
    # Held within the window; its edges are the slide's, or too far from any core to matter.
    low = torch.stack([-row, -column], 1).float()
    high = torch.stack([height - 1 - row, width - 1 - column], 1).float()
    moved = torch.zeros((len(pixels), 2))
    last = height * width - 1
    for _ in range(steps):
        whole = moved.floor()
        share = moved - whole
        corner = start + (whole[:, 0] * width + whole[:, 1]).long()
        step = _between(field, corner, share, width, last)
        moved = torch.clamp(moved + step, low, high)
    ends = start + (moved[:, 0].floor() * width + moved[:, 1].floor()).long()
    found: NDArray[np.int64] = ends.numpy()
    return found


def _between(field: Tensor, corner: Tensor, share: Tensor, width: int, last: int) -> Tensor:
    """Flow between four pixels, by bilinear interpolation.

    Beyond the last row or column, where the share is zero, any pixel serves.
    """
    down, right = share[:, :1], share[:, 1:]
    upper = field[corner] * (1 - right) + field[(corner + 1).clamp_(max=last)] * right
    below = (corner + width).clamp_(max=last)
    lower = field[below] * (1 - right) + field[(below + 1).clamp_(max=last)] * right
    return upper * (1 - down) + lower * down


def _clusters(ends: NDArray[np.int64], shape: tuple[int, int]) -> Labels:
    """Name the places where pixels end: (y, x), 0 where none or too few do."""
    margin = _GROWTH
    padded = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    row, column = np.divmod(ends, shape[1])
    count = np.bincount(
        (row + margin) * padded[1] + column + margin, minlength=padded[0] * padded[1]
    ).reshape(padded)
    highest = torch.nn.functional.max_pool2d(
        torch.from_numpy(count)[None].float(), 2 * _SEED_REACH + 1, 1, _SEED_REACH
    )[0].numpy()
    seeds = np.flatnonzero((count == highest) & (count > _SEED_COUNT))
    # The stable sort leaves equal seeds in raster order, which no window changes.
    seeds = seeds[np.argsort(count.flat[seeds], kind="stable")]
    number = np.zeros(padded, np.uint32)
    reach = np.arange(-margin, margin + 1)
    around = seeds[:, np.newaxis] + (reach[:, np.newaxis] * padded[1] + reach).ravel()
    grown = _grown(count.flat[around] > _GROWTH_COUNT)
    which, place = np.nonzero(grown)
    # Where two objects claim a place the one with more pixels at its seed, written last, has it.
    number.flat[around[which, place]] = which + 1
    return number[margin:-margin, margin:-margin]


def _grown(allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grow each seed, the middle of its square of 11 x 11 px, five times within what is allowed."""
    side = 2 * _GROWTH + 1
    limits = torch.from_numpy(allowed.reshape(-1, 1, side, side)).float()
    grown = torch.zeros_like(limits)
    grown[:, :, _GROWTH, _GROWTH] = 1
    for _ in range(_GROWTH):
        grown = torch.nn.functional.max_pool2d(grown, 3, 1, 1) * limits
    reached: NDArray[np.bool_] = grown.bool().reshape(len(allowed), -1).numpy()
    return reached


def _without(labels: Labels, dropped: NDArray[np.bool_]) -> Labels:
    """Labels without the objects 1 to n for which `dropped` is true, renumbered."""
    number = np.zeros(dropped.size + 1, np.uint32)
    number[1:][~dropped] = np.arange(1, np.count_nonzero(~dropped) + 1)
    kept: Labels = number[labels]
    return kept


def _flow_errors(labels: Labels, flow: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean squared difference between an object's flows and the network's, for objects 1 to n."""
    pixels = np.flatnonzero(labels)
    owner = labels.flat[pixels].astype(np.int64) - 1
    n = int(labels.max(initial=0))
    row, column = np.divmod(pixels, labels.shape[1])
    top, left, extent = _extents(row, column, owner, n)
    centre = _centres(row - top[owner], column - left[owner], owner, n)
    order = np.argsort(-extent[owner], kind="stable")
    heat = _diffused(labels, pixels[order], pixels[centre], extent[owner][order])
    expected = _gradient(heat, pixels, labels.shape[1])
    network = flow.reshape(2, -1)[:, pixels] / np.float32(5)
    squared = ((expected - network) ** 2).sum(axis=0)
    errors: NDArray[np.float64] = np.bincount(owner, squared, n) / np.bincount(owner, minlength=n)
    return errors


def _extents(
    row: NDArray[np.int64], column: NDArray[np.int64], owner: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First row and column of each object, and the steps of its diffusion.

    Steps: twice height plus width plus 2, as in cellpose.dynamics.masks_to_flows_gpu.
    """
    large = np.iinfo(np.int64).max
    top, left = np.full(n, large), np.full(n, large)
    bottom, right = np.zeros(n, np.int64), np.zeros(n, np.int64)
    np.minimum.at(top, owner, row)
    np.minimum.at(left, owner, column)
    np.maximum.at(bottom, owner, row + 1)
    np.maximum.at(right, owner, column + 1)
    return top, left, 2 * (bottom - top + right - left + 2)


def _centres(
    row: NDArray[np.int64], column: NDArray[np.int64], owner: NDArray[np.int64], n: int
) -> NDArray[np.int64]:
    """Index of the pixel of each object that is nearest to its mean, the first of equals."""
    area = np.bincount(owner, minlength=n)
    mean_row = np.round(np.bincount(owner, row, n) / area).astype(np.int64)
    mean_column = np.round(np.bincount(owner, column, n) / area).astype(np.int64)
    away = (row - mean_row[owner]) ** 2 + (column - mean_column[owner]) ** 2
    order = np.lexsort((np.arange(owner.size), away, owner))
    first = np.searchsorted(owner[order], np.arange(n))
    nearest: NDArray[np.int64] = order[first]
    return nearest


def _diffused(
    labels: Labels,
    pixels: NDArray[np.int64],
    centres: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Heat that spreads from each object's centre through the object, flat (y, x).

    Args:
        labels: (y, x).
        pixels: flat indices of all pixels in objects, those with most steps first.
        centres: flat indices of the objects' centres.
        steps: (pixels,) steps of each pixel's object.
    """
    width = labels.shape[1]
    padded = np.pad(labels, 1)
    wide = width + 2
    row, column = np.divmod(pixels, width)
    here = (row + 1) * wide + column + 1
    place = np.full(padded.size, pixels.size, np.int64)  # outside: the cold place at the end
    place[here] = np.arange(pixels.size)
    around = []
    for down, right in _NEIGHBOURS:
        there = here + down * wide + right
        same = padded.flat[there] == padded.flat[here]
        around.append(torch.from_numpy(np.where(same, place[there], pixels.size)))
    centre_row, centre_column = np.divmod(centres, width)
    sources = np.sort(place[(centre_row + 1) * wide + centre_column + 1])
    heat = _heated(around, sources, steps, pixels.size)
    spread = np.zeros(labels.size)
    spread[pixels] = heat.numpy()[:-1]
    return spread


def _heated(
    around: list[Tensor], sources: NDArray[np.int64], steps: NDArray[np.int64], n: int
) -> Tensor:
    heat = torch.zeros(n + 1, dtype=torch.float64)
    # Pixels are sorted by their steps, so those that still diffuse are the first ones.
    active = np.searchsorted(-steps, -np.arange(int(steps.max(initial=0))), side="left")
    for still, heated in zip(active, np.searchsorted(sources, active), strict=True):
        heat[sources[:heated]] += 1
        mean = heat[around[0][:still]]
        for neighbour in around[1:]:
            mean += heat[neighbour[:still]]
        heat[:still] = mean / len(around)
    return heat


def _gradient(
    heat: NDArray[np.float64], pixels: NDArray[np.int64], width: int
) -> NDArray[np.float64]:
    """Unit vectors up the heat, (2, pixels)."""
    padded = np.pad(heat.reshape(-1, width), 1)
    wide = width + 2
    row, column = np.divmod(pixels, width)
    here = (row + 1) * wide + column + 1
    flat = padded.ravel()
    slope = np.stack([flat[here + wide] - flat[here - wide], flat[here + 1] - flat[here - 1]])
    unit: NDArray[np.float64] = slope / (1e-60 + np.sqrt((slope**2).sum(axis=0)))
    return unit
