"""Where pixels end that follow the flows: the same place in every window that holds their object.

Places are multiples of 2^-10 px, and the flows lie in a frame whose sides are powers of two, so
that every number on the way from a place to the next is exact in float32 but for the flow itself,
which depends on what lies around the place alone. Moving the window by whole pixels changes
nothing, and walkers that meet are at one place to the bit and go on as one. (Cellpose holds places
as float32 between -1 and 1 over the image, whose rounding grows with it, and reads the flow up to
half a pixel beside the place, depending on where in the image that is: its places are scaled for
``align_corners=True`` and read with False. Read at the place, its masks are the same as ours.)
"""

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

_FRACTION_BITS = 10
# Adding and subtracting this rounds float32 to multiples of 2^-10.
_ROUNDING = 1.5 * 2.0 ** (23 - _FRACTION_BITS)
# Shares of the steps after which walkers at one place become one. [measured] Of pixels in objects
# of the expected size a third is left after the first, and a tenth after the second.
_MEETINGS = (1 / 8, 1 / 4, 1 / 2)
# Walkers that a thread moves at a time: their places stay in its cache. [measured]
_TOGETHER = 2**15


def follow(
    flows: NDArray[np.float32], foreground: NDArray[np.bool_], steps: int, device: str = "cpu"
) -> NDArray[np.int64]:
    """Follow the flows from every foreground pixel by Euler's method.

    Flows are interpolated bilinearly between the centres of pixels. Walks end at the image's edge.

    Args:
        flows: (2, y, x), pixels a step in y and x, 0 outside the foreground. Sides up to 16,384 px
            keep the promise that no window changes where walks end.
        foreground: (y, x).
        steps: of each walk.
        device: torch's name of where to compute.

    Returns:
        (2, n) y and x of the pixel where each walk ends, in the raster order of the foreground.

    Raises:
        ValueError: a flow is NaN or infinite.
    """
    if not np.isfinite(flows).all():
        raise ValueError("The network's flows are not finite: its weights or the image are broken.")
    frame = [1 << (side - 1).bit_length() for side in foreground.shape]
    field = torch.zeros((2, *frame), device=device)
    # From here on x before y, and in the unit of grid_sample: -1 and 1 are the frame's edges.
    frame.reverse()
    for whole, flow, side in zip(field, flows[::-1], frame, strict=True):
        # What the image leaves of the frame stays untouched, and so takes no memory.
        part = whole[: foreground.shape[0], : foreground.shape[1]]
        part.copy_(torch.from_numpy(flow)).mul_(2 / side)
    del flows, flow  # What the caller does not need any more gives its memory back.
    starts = np.stack(np.nonzero(foreground)[::-1]).astype(np.float32)
    places = torch.from_numpy(starts).to(device)
    for axis, side in enumerate(frame):
        places[axis] = (places[axis] + 0.5) * (2 / side) - 1
    own = torch.arange(places.shape[1], device=device)
    for first, last in pairwise([0, *(int(share * steps) for share in _MEETINGS), steps]):
        places = _walked(field, places, foreground.shape[::-1], last - first)
        places, met = _met(places)
        own = met[own]
    for axis, side in enumerate(frame):
        places[axis] = (places[axis] + 1) * (side / 2) - 0.5
    ends: NDArray[np.int64] = places.flip(0).long()[:, own].cpu().numpy()
    return ends


def _walked(field: Tensor, places: Tensor, sides: tuple[int, ...], steps: int) -> Tensor:
    """Move walkers, (2, n) x and y, along the (2, y, x) field."""
    threads = 1 if places.is_cuda else torch.get_num_threads()
    together = places.shape[1] if places.is_cuda else _TOGETHER * threads
    scale = [2 / side for side in reversed(field.shape[1:])]
    moved = []
    for part in torch.split(places, max(together, 1), dim=1):
        # grid_sample works on the members of a batch in parallel.
        rows = threads if part.shape[1] == together else 1
        here = field.expand(rows, -1, -1, -1)
        at = part.reshape(2, rows, -1)
        for _ in range(steps):
            step = F.grid_sample(here, at.permute(1, 2, 0)[:, None], align_corners=False)
            step = step[:, :, 0].transpose(0, 1)
            for axis, unit in enumerate(scale):
                step[axis].add_(_ROUNDING * unit).sub_(_ROUNDING * unit).add_(at[axis])
                step[axis].clamp_(unit / 2 - 1, (sides[axis] - 0.5) * unit - 1)
            at = step
        moved.append(at.reshape(2, -1))
    return torch.cat(moved, dim=1)


def _met(places: Tensor) -> tuple[Tensor, Tensor]:
    """Places without repetition, (2, n), and the index of each walker's."""
    # A place is eight bytes: two walkers are at one place if these are one number.
    bits = torch.stack((places[0], places[1]), dim=1).view(torch.int64)[:, 0]
    bits, met = torch.unique(bits, return_inverse=True)
    return bits[:, None].view(torch.float32).T.contiguous(), met
