"""Nuclei and cells: one id for a cell, its nucleus and its cytoplasm.

Pixels in, pixels out. All functions take label images of any integer type whose ids may have gaps,
and work on all objects at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import expand_labels

Labels = NDArray[np.uint32]

# [judgement] A nucleus of which less than this share lies in one cell belongs to no cell.
MIN_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Compartments:
    """The parts of each cell, as label images that share their ids; 0 is background.

    Attributes:
        nucleus: (y, x) uint32. A cell may have none.
        cytoplasm: (y, x) uint32, the cell without any nucleus.
        cell: (y, x) uint32. Every nucleus lies in the cell of its id.
    """

    nucleus: Labels
    cytoplasm: Labels
    cell: Labels


@dataclass(frozen=True, slots=True)
class Pairing:
    """Nuclei and cells from two models, brought together.

    Attributes:
        compartments: the parts of each cell.
        cell_ids: (cells,) uint32, ascending.
        n_nuclei: (cells,) int64, nuclei found in each cell; 0 in a cell without, 1 in a cell that
            is known by its nucleus alone.
    """

    compartments: Compartments
    cell_ids: Labels
    n_nuclei: NDArray[np.int64]


def expand_nuclei(nuclei: NDArray[np.integer], distance_px: float) -> Compartments:
    """Take as a cell its nucleus and all within a distance of it, nearest nucleus first.

    Args:
        nuclei: (y, x) labels.
        distance_px: how far a cell reaches beyond its nucleus; 0 makes the nucleus the cell. A
            large distance, bounded by the neighbours alone, gives Voronoi cells: see `voronoi`.

    Returns:
        Cells that do not overlap; a pixel as far from two nuclei goes to one of them.

    Raises:
        ValueError: the distance is negative or not a number, or the labels are unusable.
    """
    nucleus = _as_labels(nuclei, "nuclei")
    if not distance_px >= 0:
        raise ValueError(f"A cell reaches 0 px or more beyond its nucleus, not {distance_px}.")
    cell: Labels = expand_labels(nucleus, distance_px)  # type: ignore[no-untyped-call]
    return _compartments(nucleus, cell)


def voronoi(nuclei: NDArray[np.integer], limit_px: float | None = None) -> Compartments:
    """Divide the image among the nuclei: each pixel belongs to the nearest, up to a limit.

    With a limit this is `expand_nuclei` of that distance, the same tessellation under the name
    that the field gives it where the neighbours, rather than the distance, bound the cells.

    Args:
        nuclei: (y, x) labels.
        limit_px: how far a cell reaches beyond its nucleus; None for no limit.

    Raises:
        ValueError: the limit is negative or not a number, or the labels are unusable.
    """
    return expand_nuclei(nuclei, float(np.hypot(*nuclei.shape)) if limit_px is None else limit_px)


def ring(parts: Compartments, inner_gap_px: float, width_px: float) -> Labels:
    """Cut the cytoplasm down to a ring around the nucleus.

    Args:
        parts: from any function here.
        inner_gap_px: pixels next to a nucleus that are left out, where its blur reaches.
        width_px: width of the ring beyond the gap.

    Returns:
        (y, x) uint32: pixels of a cell's own cytoplasm, more than `inner_gap_px` and at most
        `inner_gap_px + width_px` from the nearest pixel of any nucleus, provided that this
        nucleus is the cell's own. Cells without a nucleus have no ring.

    Raises:
        ValueError: the gap is negative or the width not positive.
    """
    if not (inner_gap_px >= 0 and width_px > 0):
        raise ValueError(
            f"A ring needs a gap of 0 px or more and a width above 0, "
            f"not {inner_gap_px} and {width_px}."
        )
    if not parts.nucleus.any():
        return np.zeros_like(parts.cytoplasm)
    distance, (y, x) = distance_transform_edt(parts.nucleus == 0, return_indices=True)
    own = parts.nucleus[y, x] == parts.cytoplasm
    inside = (distance > inner_gap_px) & (distance <= inner_gap_px + width_px)
    return np.where(own & inside, parts.cytoplasm, np.uint32(0))


def pair(
    nuclei: NDArray[np.integer], cells: NDArray[np.integer], min_overlap: float = MIN_OVERLAP
) -> Pairing:
    """Give each nucleus the id of the cell that it lies in.

    A nucleus belongs to the cell that holds most of its area, if that is at least `min_overlap` of
    it; what reaches beyond that cell is added to the cell. Several nuclei in a cell become its one
    nucleus. A nucleus in no cell becomes a cell of its own, numbered after the largest cell id in
    the order of the nuclei's ids. Cells without a nucleus stay, unless another cell's nucleus
    covers all of them.

    Args:
        nuclei: (y, x) labels.
        cells: (y, x) labels, the same shape.
        min_overlap: smallest share of a nucleus's area in its cell, above 0 and at most 1.

    Raises:
        ValueError: the shapes differ, the share is out of range, or the labels are unusable.
    """
    nucleus, cell = _as_labels(nuclei, "nuclei"), _as_labels(cells, "cells")
    if nucleus.shape != cell.shape:
        raise ValueError(
            f"Nuclei and cells must have one shape, these have {nucleus.shape} and {cell.shape}."
        )
    if not 0 < min_overlap <= 1:
        raise ValueError(f"The smallest overlap lies above 0 and at most at 1, not {min_overlap}.")
    nucleus_ids, owners = _owners(nucleus, cell, min_overlap)
    orphans = owners == 0
    owners[orphans] = int(cell.max(initial=0)) + 1 + np.arange(np.count_nonzero(orphans))
    owned = _renamed(nucleus, nucleus_ids, owners)
    parts = _compartments(owned, cell)
    cell_ids = np.unique(parts.cell[parts.cell > 0])
    counted, n = np.unique(owners, return_counts=True)
    n_nuclei = np.zeros(cell_ids.size, np.int64)
    n_nuclei[np.searchsorted(cell_ids, counted)] = n
    return Pairing(parts, cell_ids, n_nuclei)


def _compartments(nucleus: Labels, cell: Labels) -> Compartments:
    """Make cells contain their own nuclei and cytoplasm contain none."""
    whole = np.where(nucleus > 0, nucleus, cell).astype(np.uint32)
    cytoplasm = np.where(nucleus > 0, 0, whole).astype(np.uint32)
    return Compartments(nucleus, cytoplasm, whole)


def _owners(nucleus: Labels, cell: Labels, min_overlap: float) -> tuple[Labels, NDArray[np.int64]]:
    """Ids of the nuclei, and of the cell that holds most of each: 0 where none holds enough.

    Between two cells that hold the same share the smaller id wins.
    """
    inside = nucleus > 0
    nucleus_ids, index, area = np.unique(nucleus[inside], return_inverse=True, return_counts=True)
    cell_ids, column = np.unique(cell[inside], return_inverse=True)
    pairs, shared = np.unique(index * np.int64(cell_ids.size) + column, return_counts=True)
    row, column = np.divmod(pairs, max(cell_ids.size, 1))
    enough = (cell_ids[column] > 0) & (shared >= min_overlap * area[row])
    row, column, shared = row[enough], column[enough], shared[enough]
    # Sorted by share, the largest last (among equals the smallest id), what is written last stays.
    order = np.lexsort((-column, shared, row))
    owners = np.zeros(nucleus_ids.size, np.int64)
    owners[row[order]] = cell_ids[column[order]]
    return nucleus_ids, owners


def _renamed(labels: Labels, ids: Labels, names: NDArray[np.int64]) -> Labels:
    """Replace each of the ascending `ids` in `labels` by the name at its place."""
    renamed = np.zeros_like(labels)
    inside = labels > 0
    renamed[inside] = names[np.searchsorted(ids, labels[inside])]
    return renamed


def _as_labels(labels: NDArray[np.integer], name: str) -> Labels:
    """Copy a label image as uint32, refusing what is none."""
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Labels of {name} are a 2D image of integers, not {labels.ndim}D of {labels.dtype}."
        )
    if labels.size and (int(labels.min()) < 0 or int(labels.max()) > np.iinfo(np.uint32).max):
        raise ValueError(f"Labels of {name} lie between 0 and 2^32 - 1.")
    return labels.astype(np.uint32)
