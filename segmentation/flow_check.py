"""The flow check: whether an outline has the flows that the network predicted.

Heat that rises in the middle of an object and is lost at its edge flows as the networks learned
(Stringer et al. 2021, Nature Methods 18:100-106). Cellpose spreads it through all objects of an
image at once for as long as the largest needs, which takes most of its time. Here each object has
a box of its own and the time that this box needs, and boxes of one shape are stacked with the
objects along the last axis, so that every step is a few additions of long rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import find_objects

# Sides of boxes are rounded up to a multiple of this, so that many objects share a shape.
_SIDE = 8
# Pixels in one stack of boxes. A CPU's second cache holds the four arrays of a step. [measured]
_STACK_CPU, _STACK_GPU = 100_000, 100_000_000
# Heat that rises per step. Far from the middle it is less by many orders, which float32 must hold.
_SOURCE = 2.0**60


@dataclass(frozen=True)
class _Objects:
    """Objects of an image in the order of their boxes' shapes, with their pixels.

    Attributes:
        box: (n, 2) height and width of the boxes, rounded up.
        first: (n + 1,) index of each object's first pixel in what follows.
        pixel: (pixels,) flat index in the image.
        within: (2, pixels) y and x in the object's box.
        middle: (2, n) y and x in the box.
    """

    box: NDArray[np.int64]
    first: NDArray[np.int64]
    pixel: NDArray[np.int64]
    within: NDArray[np.int64]
    middle: NDArray[np.int64]


def flow_errors(
    labels: NDArray[np.unsignedinteger],
    flows: NDArray[np.float32],
    device: str = "cpu",
    unit: float = 1.0,
) -> NDArray[np.float64]:
    """Compare predicted flows with those of the outlines.

    Args:
        labels: (y, x), 0 background.
        flows: (2, y, x) in y and x, of length `unit`.
        device: torch's name of where to compute.
        unit: length of a flow.

    Returns:
        (largest id + 1,) mean over the pixels of each object of the squared length of the
        difference: 0 for the same flows, 2 for flows at right angles. 0 for ids without a pixel,
        the background's among them.
    """
    outlines = flows_of_outlines(labels, device)
    # In the objects alone: copies of the whole image would decide how much memory a block needs.
    within = labels > 0
    owner = labels[within]
    y, x = ((outlines[axis][within] - flows[axis][within] / unit) ** 2 for axis in (0, 1))
    n = int(labels.max(initial=0)) + 1
    area, sums = np.bincount(owner, minlength=n), np.bincount(owner, y + x, minlength=n)
    errors: NDArray[np.float64] = sums / np.maximum(area, 1)
    return errors


def flows_of_outlines(
    labels: NDArray[np.unsignedinteger], device: str = "cpu"
) -> NDArray[np.float32]:
    """Compute the flows that a network should predict for these objects.

    Args:
        labels: (y, x), 0 background.
        device: torch's name of where to compute.

    Returns:
        (2, y, x) in y and x: of length 1, or 0 in the background and where heat does not differ.
    """
    flows = np.zeros((2, *labels.shape), np.float32)
    if not labels.any():
        return flows
    objects = _objects(labels)
    # The image with a margin of one pixel, as a row.
    width = labels.shape[1] + 2
    heat = np.zeros((labels.shape[0] + 2) * width, np.float32)
    place = objects.pixel + 2 * (objects.pixel // labels.shape[1]) + width + 1
    for stack in _stacks(objects, _STACK_CPU if device == "cpu" else _STACK_GPU):
        pixels = slice(objects.first[stack.start], objects.first[stack.stop])
        heat[place[pixels]] = _spread(objects, stack, device)
    # As in Cellpose, heat beyond an outline is that of the neighbour which touches there.
    slope = np.stack([heat[place + step].astype(float) - heat[place - step] for step in (width, 1)])
    length = np.sqrt((slope**2).sum(axis=0))
    flows.reshape(2, -1)[:, objects.pixel] = slope / np.where(length > 0, length, 1)
    return flows


def _objects(labels: NDArray[np.unsignedinteger]) -> _Objects:
    boxes = [(i, box) for i, box in enumerate(find_objects(labels), start=1) if box is not None]
    ends = np.array([[(side.start, side.stop) for side in box] for _, box in boxes])
    corner, sides = ends[..., 0], np.diff(ends, axis=2)[..., 0]
    box = -(-sides // _SIDE) * _SIDE
    order = np.lexsort((box[:, 1], box[:, 0]))
    rank = np.zeros(int(labels.max()) + 1, np.int64)
    rank[np.array([i for i, _ in boxes])[order]] = np.arange(order.size)
    pixel = np.flatnonzero(labels)
    owner = rank[labels.reshape(-1)[pixel]]
    by_owner = np.argsort(owner, kind="stable")
    pixel, owner = pixel[by_owner], owner[by_owner]
    within = np.stack(np.divmod(pixel, labels.shape[1])) - corner[order][owner].T
    first = np.searchsorted(owner, np.arange(order.size + 1))
    return _Objects(box[order], first, pixel, within, _middles(within, first))


def _middles(within: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pixel of each object that is nearest to its centre of mass, of several the first."""
    area = np.diff(first)
    middle = np.rint(np.add.reduceat(within, first[:-1], axis=1) / area).astype(np.int64)
    met = (within == np.repeat(middle, area, axis=1)).all(axis=0)
    for one in np.flatnonzero(np.add.reduceat(met, first[:-1]) == 0):
        pixels = within[:, first[one] : first[one + 1]]
        away = ((pixels - middle[:, one, None]) ** 2).sum(axis=0)
        middle[:, one] = pixels[:, away.argmin()]
    return middle


def _stacks(objects: _Objects, largest: int) -> Iterator[slice]:
    """Runs of objects whose boxes have one shape and together about `largest` pixels."""
    changes = np.flatnonzero(np.diff(objects.box, axis=0).any(axis=1)) + 1
    edges = [0, *changes.tolist(), len(objects.box)]
    for start, stop in pairwise(edges):
        several = max(1, largest // int((objects.box[start] + 2).prod()))
        for first in range(start, stop, several):
            yield slice(first, min(first + several, stop))


def _spread(objects: _Objects, stack: slice, device: str) -> NDArray[np.float32]:
    """Heat of the pixels of a stack of objects.

    As in Cellpose, a step adds heat in the middle and replaces every pixel by the mean over itself
    and its eight neighbours, of which those outside the object have none; there are twice as many
    steps as the box has rows and columns and two.
    """
    count = stack.stop - stack.start
    (height, width), first = objects.box[stack.start], objects.first[stack.start : stack.stop + 1]
    pixels = slice(first[0], first[-1])
    y, x = objects.within[:, pixels] + 1
    at = (y * (width + 2) + x) * count + np.repeat(np.arange(count), np.diff(first))
    y, x = objects.middle[:, stack] + 1
    source = torch.from_numpy((y * (width + 2) + x) * count + np.arange(count)).to(device)
    share = np.zeros((height + 2) * (width + 2) * count, np.float32)
    share[at] = 1 / 9
    ninth = torch.from_numpy(share.reshape(height + 2, width + 2, count)[1:-1, 1:-1].copy())
    ninth = ninth.to(device)
    heat = torch.zeros((height + 2, width + 2, count), device=device)
    three = torch.empty((height, width + 2, count), device=device)
    nine = torch.empty_like(ninth)
    flat, inner = heat.view(-1), heat[1:-1, 1:-1]
    for _ in range(2 * int(height + width + 2)):
        flat[source] += _SOURCE
        torch.add(heat[:-2], heat[1:-1], out=three).add_(heat[2:])
        torch.add(three[:, :-2], three[:, 1:-1], out=nine).add_(three[:, 2:])
        torch.mul(nine, ninth, out=inner)
    spread: NDArray[np.float32] = flat.cpu().numpy()[at]
    return spread
