"""Flows to masks, the same for an object wherever the window lies that it is seen in.

Cellpose's steps (Stringer et al. 2021, Nature Methods 18:100-106; cellpose.dynamics): every pixel
follows the flow, pixels that end together are an object, and an object whose outline would have
other flows than the network's is dropped. Cellpose's own walks depend on the place in the image
(`segmentation.slides.walk`), and its flow check on the largest object (`segmentation.flow_check`).
"""

import numpy as np
import torch
from numpy.typing import NDArray

from segmentation.engine import models
from segmentation.flow_check import flow_errors
from segmentation.slides.walk import follow

Labels = NDArray[np.uint32]

# As in cellpose.dynamics.get_masks_torch: a seed is where over 10 pixels end, more than anywhere
# within 2 px; its object ends within 5 px of it, where over 2 pixels do.
_SEED_COUNT = 10
_SEED_REACH = 2
_GROWTH = 5
_GROWTH_COUNT = 2


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
    ends = follow(within, pixels, steps)
    labels.flat[pixels] = _clusters(ends, logit.shape).flat[ends]
    labels = in_raster_order(labels)
    if flow_threshold > 0:
        labels = _without(labels, flow_errors(labels, flow / np.float32(5)) > flow_threshold)
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
