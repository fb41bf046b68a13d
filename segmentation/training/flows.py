"""What a network is to learn of each object: the way from every pixel to its centre.

Heat enters at the object's centre, spreads over its pixels and is lost at its rim; the direction
in which it rises is the flow (Stringer et al. 2021, Nature Methods 18:100-106). Cellpose iterates
that diffusion for a number of steps that depends on the largest object of the image. Here it is
solved for its steady state, so that an object's flows depend on its own pixels alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

Labels = NDArray[np.int32]

_OFFSETS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """Pixels of objects, numbered row by row, and their neighbours in the same object.

    Attributes:
        y: (pixels,) row of each.
        x: (pixels,) column of each.
        index: (9, pixels) number of the neighbour at each of `_OFFSETS`, -1 in another object.
    """

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    index: NDArray[np.int64]


def diffusion_flows(labels: Labels) -> NDArray[np.float32]:
    """Compute the unit vectors towards the centre of each object.

    The steady state T of a source of strength 1 at the centre c, where every step replaces T by
    the mean of it over 3 x 3 pixels and pixels outside the object hold no heat, solves
    ``(9 - S) T = S e_c``, S adding up the 3 x 3 neighbours within the object. The matrix is an
    M-matrix, so that elimination adds positive numbers alone and even heat that has fallen by a
    factor of 10^50 on its way along a thin object is accurate.

    Args:
        labels: (y, x), 0 background and below ignored; each object in one piece (8-connected).

    Returns:
        (2, y, x): flow in y and in x, of length 1, or 0 where there is no object and where heat
        has no direction (the middle of symmetric objects, one-pixel objects).
    """
    flows = np.zeros((2, *labels.shape), np.float32)
    if not (labels > 0).any():
        return flows
    near = _neighbours(labels)
    ids = labels[near.y, near.x]
    heat = _steady_heat(near.index, _centres(near, ids))
    padded = np.append(heat, 0.0)  # the neighbour number -1 holds no heat
    above, below, left, right = (padded[near.index[_OFFSETS.index(o)]] for o in _CROSS)
    rise = np.stack([below - above, right - left])
    length = np.hypot(*rise)
    directed = length > 1e-9 * heat
    flows[:, near.y[directed], near.x[directed]] = rise[:, directed] / length[directed]
    return flows


_CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def _neighbours(labels: Labels) -> _Neighbours:
    y, x = np.nonzero(labels > 0)
    number = np.full(np.add(labels.shape, 2), -1, np.int64)
    number[y + 1, x + 1] = np.arange(y.size)
    around = np.pad(labels, 1)
    own = labels[y, x]
    index = [
        np.where(around[y + 1 + dy, x + 1 + dx] == own, number[y + 1 + dy, x + 1 + dx], -1)
        for dy, dx in _OFFSETS
    ]
    return _Neighbours(y, x, np.stack(index))


def _centres(near: _Neighbours, ids: NDArray[np.int32]) -> NDArray[np.intp]:
    """Number of the pixel of each object that lies nearest to its centre of gravity."""
    _, group, count = np.unique(ids, return_inverse=True, return_counts=True)
    mean_y = np.bincount(group, near.y) / count
    mean_x = np.bincount(group, near.x) / count
    off = (near.y - mean_y[group]) ** 2 + (near.x - mean_x[group]) ** 2
    order = np.lexsort((off, group))
    nearest: NDArray[np.intp] = order[np.append(0, np.cumsum(count)[:-1])]
    return nearest


def _steady_heat(index: NDArray[np.int64], centres: NDArray[np.intp]) -> NDArray[np.float64]:
    n = index.shape[1]
    within = index >= 0
    column = np.broadcast_to(np.arange(n), index.shape)[within]
    spread = csc_matrix((np.ones(column.size), (index[within], column)), (n, n))
    source = np.zeros(n)
    source[centres] = 1.0
    full = csc_matrix((np.full(n, 9.0), (np.arange(n), np.arange(n))), (n, n)) - spread
    solver = splu(full, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    heat: NDArray[np.float64] = solver.solve(spread @ source)
    return heat
