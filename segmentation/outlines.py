"""Label images made tidy: numbers without gaps, outlines without holes, no specks."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, find_objects

Labels = NDArray[np.uint32]


def in_raster_order(masks: NDArray[np.integer]) -> Labels:
    """Number the masks 1 to n by their first pixel, row by row, in a new array.

    Args:
        masks: (y, x), 0 background, ids of at most the number of pixels.
    """
    flat = masks.ravel()
    inside = np.flatnonzero(flat)
    first = np.full(int(flat.max()) + 1, flat.size)
    # Written from the last pixel to the first, so the first pixel's place is what remains.
    first[flat[inside[::-1]]] = inside[::-1]
    ids = np.flatnonzero(first < flat.size)
    number = np.zeros(first.size, np.uint32)
    number[ids[np.argsort(first[ids])]] = np.arange(1, ids.size + 1)
    ordered: Labels = number[masks]
    return ordered


def without(labels: Labels, dropped: NDArray[np.bool_]) -> Labels:
    """Make the objects background whose ids are True in `dropped`, (largest id + 1,)."""
    if not dropped[1:].any():
        return labels
    kept: Labels = np.where(dropped, 0, np.arange(dropped.size)).astype(np.uint32)[labels]
    return kept


def filled(labels: Labels, min_size_px: int) -> Labels:
    """Fill the holes of every object and drop the small ones, as Cellpose does.

    What lies in a hole becomes the object's, be it background or another object; smaller objects
    are dropped before that, and those that have become smaller by it, after.

    Args:
        labels: (y, x).
        min_size_px: smallest area that is kept.

    Returns:
        A new array; ids may have gaps.
    """
    labels = without(labels, np.bincount(labels.ravel()) < min_size_px).copy()
    boxes = find_objects(labels)
    for number in _with_gaps(labels):
        box = boxes[number - 1]
        labels[box][binary_fill_holes(labels[box] == number)] = number
    return without(labels, np.bincount(labels.ravel()) < min_size_px)


def _with_gaps(labels: Labels) -> NDArray[np.intp]:
    """Ids, ascending, of the objects that are interrupted in some row: no other can have a hole."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    inside = inside[np.argsort(flat[inside], kind="stable")]
    number, row = flat[inside], inside // labels.shape[1]
    gap = (np.diff(inside) > 1) & (np.diff(row) == 0) & (number[1:] == number[:-1])
    return np.unique(number[1:][gap])
