"""From flows to masks: Cellpose's dynamics, at a small part of their cost.

Every pixel of the foreground walks along the flows, towards the middle of its object; pixels whose
walks end together are an object (Stringer et al. 2021, Nature Methods 18:100-106). The steps are
those of Cellpose 4.2, save that

* walkers that have met go on as one, and no window changes their way (`segmentation.walk`);
* ends are counted in a plain image, of which only the peaks are looked at;
* an object's flow check, by far the dearest part of Cellpose's own, depends on that object and
  what touches it, and not on the largest one in the image (`segmentation.flow_check`).
"""

import numpy as np
from numpy.typing import NDArray

from segmentation.flow_check import flow_errors
from segmentation.outlines import Labels, filled, in_raster_order, without
from segmentation.walk import follow

# The networks put out flows of this length.
FLOW_SCALE = 5.0
# Steps of the dynamics at the networks' diameter of objects, as in CellposeModel.eval.
STEPS = 200
# As in Cellpose: larger objects, as a share of the image, are dropped.
_LARGEST_SHARE = 0.4
# As in Cellpose: a peak is the most frequent end within 2 px and ends more than 10 walks; its
# object reaches over neighbouring ends of more than 2 walks, up to 5 px from it.
_PEAK_RADIUS, _PEAK_WALKS = 2, 10
_REACH, _REACH_WALKS = 5, 2


def masks_of(
    flows: NDArray[np.float32],
    logit: NDArray[np.float32],
    *,
    steps: int = STEPS,
    flow_threshold: float = 0.4,
    cellprob_threshold: float = 0.0,
    min_size_px: int = 15,
    max_size_px: float | None = None,
    device: str = "cpu",
) -> Labels:
    """Turn a network's output into masks.

    The result does not depend on the number of threads, and an object has the same mask in every
    window of an image that holds it and its neighbours, given the same flows.

    Args:
        flows: (2, y, x), `FLOW_SCALE` times the flow in y and in x; finite, not modified.
        logit: (y, x) of belonging to an object; not modified.
        steps: of one pixel at most; Cellpose takes 200 at an object diameter of 30 px, and in
            proportion to the diameter.
        flow_threshold: largest allowed mean squared difference between `flows` and those of the
            outline; 0 keeps every outline.
        cellprob_threshold: logit above which a pixel belongs to an object.
        min_size_px: smaller objects, in pixels of area, are dropped.
        max_size_px: larger objects are dropped; None takes Cellpose's 0.4 of the image, which for
            blocks of an image should be a number that does not depend on the block.
        device: where the steps are taken, by torch's name.

    Returns:
        (y, x) uint32: 0 background, 1 to n in the order of their first pixel, row by row.

    Raises:
        ValueError: the shapes do not fit, or a flow of the foreground is NaN or infinite.
    """
    if flows.shape != (2, *logit.shape):
        raise ValueError(f"Flows of shape {flows.shape} do not fit a logit of {logit.shape}.")
    foreground = logit > cellprob_threshold
    if not foreground.any():
        return np.zeros(logit.shape, np.uint32)
    ends = follow(_steps(flows, foreground), foreground, steps, device)
    objects = gather(ends, logit.shape)
    largest = _LARGEST_SHARE * logit.size if max_size_px is None else max_size_px
    labels = np.zeros(logit.shape, np.uint32)
    labels[foreground] = without(objects, np.bincount(objects) > largest)
    if flow_threshold > 0:
        errors = flow_errors(labels, flows, device, FLOW_SCALE)
        labels = without(labels, errors > flow_threshold)
    return in_raster_order(filled(labels, min_size_px))


def _steps(flows: NDArray[np.float32], foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Flows in pixels a step, 0 outside the foreground."""
    steps = np.zeros(flows.shape, np.float32)
    return np.divide(flows, FLOW_SCALE, out=steps, where=foreground)


def gather(ends: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """Join the walks that end at one peak.

    Args:
        ends: (2, n) y and x of pixels.
        shape: of the image.

    Returns:
        (n,) the number of each walk's object, 0 for none. Where objects reach over each other, the
        one with the higher peak has the place, and of two equal ones the later in the image.
    """
    height, width = (side + 2 * _REACH for side in shape)
    flat = (ends[0] + _REACH) * width + ends[1] + _REACH
    walks = np.bincount(flat, minlength=height * width)
    peaks = _peaks(walks, width)
    window = np.arange(-_REACH, _REACH + 1)
    places = peaks[:, None, None] + window[:, None] * width + window
    reached = _reached(walks[places] > _REACH_WALKS)
    objects = np.zeros(height * width, np.uint32)
    # The last number that is written to a place stays.
    objects[places[reached]] = np.nonzero(reached)[0] + 1
    of_walks: NDArray[np.uint32] = objects[flat]
    return of_walks


def _peaks(walks: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Places of the peaks in the flat counts, the lowest first."""
    candidates = np.flatnonzero(walks > _PEAK_WALKS)
    highest = walks[candidates]
    for y in range(-_PEAK_RADIUS, _PEAK_RADIUS + 1):
        for x in range(-_PEAK_RADIUS, _PEAK_RADIUS + 1):
            highest = np.maximum(highest, walks[candidates + y * width + x])
    peaks = candidates[walks[candidates] == highest]
    lowest_first: NDArray[np.int64] = peaks[np.argsort(walks[peaks], kind="stable")]
    return lowest_first


def _reached(passable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is reached from the middle of (n, side, side) windows over passable neighbours."""
    reached = np.zeros_like(passable)
    reached[:, _REACH, _REACH] = True
    for _ in range(_REACH):
        tall = reached.copy()
        tall[:, 1:] |= reached[:, :-1]
        tall[:, :-1] |= reached[:, 1:]
        wide = tall.copy()
        wide[:, :, 1:] |= tall[:, :, :-1]
        wide[:, :, :-1] |= tall[:, :, 1:]
        reached = wide & passable
    return reached
