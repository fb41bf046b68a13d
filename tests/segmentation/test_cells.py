"""Cells from nuclei, on images small enough to draw."""

import numpy as np
import pytest

from segmentation.cells import (
    Compartments,
    expand_nuclei,
    pair,
    ring,
    voronoi,
)


def _two_nuclei() -> np.ndarray:
    """3x3 squares with ids 7 and 3, eight columns apart, far from the edge."""
    nuclei = np.zeros((21, 40), np.uint16)
    nuclei[9:12, 10:13] = 7
    nuclei[9:12, 21:24] = 3
    return nuclei


def _is_consistent(parts: Compartments) -> bool:
    whole = np.where(parts.nucleus > 0, parts.nucleus, parts.cytoplasm)
    types = {part.dtype for part in (parts.nucleus, parts.cytoplasm, parts.cell)}
    disjoint = not ((parts.nucleus > 0) & (parts.cytoplasm > 0)).any()
    return np.array_equal(whole, parts.cell) and disjoint and types == {np.dtype(np.uint32)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint32])
def test_expansion_by_hand(dtype):
    nuclei = np.zeros((7, 9), dtype)
    nuclei[3, 4] = 5
    before = nuclei.copy()
    parts = expand_nuclei(nuclei, 2)
    y, x = np.indices(nuclei.shape)
    assert np.array_equal(parts.cell, 5 * (np.hypot(y - 3, x - 4) <= 2))
    assert np.array_equal(parts.nucleus, nuclei)
    assert (parts.cytoplasm > 0).sum() == 12  # 13 grid points within 2 px, less the nucleus
    assert _is_consistent(parts)
    assert np.array_equal(nuclei, before)


def test_neighbours_share_the_gap_and_do_not_overlap():
    parts = expand_nuclei(_two_nuclei(), 6)
    assert _is_consistent(parts)
    assert (parts.cell[10, 13:17] == 7).all()
    assert (parts.cell[10, 17:21] == 3).all()
    assert (parts.cell == 7).sum() == (parts.cell == 3).sum()


def test_no_expansion_leaves_the_nuclei():
    parts = expand_nuclei(_two_nuclei(), 0)
    assert np.array_equal(parts.cell, parts.nucleus)
    assert not parts.cytoplasm.any()


def test_voronoi_fills_the_image_or_stops_at_its_limit():
    nuclei = _two_nuclei()
    parts = voronoi(nuclei)
    assert set(np.unique(parts.cell)) == {3, 7}
    assert (parts.cell[:, :16] == 7).all()
    assert (parts.cell[:, 18:] == 3).all()
    assert np.array_equal(voronoi(nuclei, 4).cell, expand_nuclei(nuclei, 4).cell)


def test_no_nuclei_no_cells():
    empty = np.zeros((6, 5), np.uint16)
    for parts in (expand_nuclei(empty, 3), voronoi(empty)):
        assert not parts.cell.any()
        assert not ring(parts, 1, 2).any()


def test_a_ring_by_hand():
    nuclei = np.zeros((21, 21), np.uint16)
    nuclei[10, 10] = 4
    parts = expand_nuclei(nuclei, 9)
    distance = np.hypot(*(np.indices(nuclei.shape) - 10))
    assert np.array_equal(ring(parts, 2, 3), 4 * ((distance > 2) & (distance <= 5)))
    assert np.array_equal(ring(parts, 0, 50), parts.cytoplasm)


def test_a_ring_stays_in_its_own_cell_and_away_from_other_nuclei():
    parts = voronoi(_two_nuclei())
    rings = ring(parts, 1, 8)
    assert not rings[parts.nucleus > 0].any()
    assert np.array_equal(rings[rings > 0], parts.cell[rings > 0])
    assert set(np.unique(rings)) == {0, 3, 7}
    # A cell that reaches round its neighbour's nucleus has no ring beside that nucleus.
    nuclei = np.zeros((20, 20), np.uint16)
    nuclei[4, 4], nuclei[15, 15] = 1, 2
    cell = np.ones((20, 20), np.uint32)
    cell[15, 15] = 2
    around = ring(Compartments(nuclei.astype(np.uint32), cell * (nuclei == 0), cell), 0, 4)
    assert not around[12:, 12:].any()


def test_gaps_and_widths_that_are_none():
    parts = expand_nuclei(_two_nuclei(), 3)
    for gap, width in ((-1, 2), (0, 0), (1, -2), (np.nan, 1)):
        with pytest.raises(ValueError, match="ring"):
            ring(parts, gap, width)
    for distance in (-1, np.nan):
        with pytest.raises(ValueError, match="0 px or more"):
            expand_nuclei(_two_nuclei(), distance)


def _cells_and_nuclei() -> tuple[np.ndarray, np.ndarray]:
    cells = np.zeros((10, 30), np.uint16)
    cells[1:9, 1:9] = 20
    cells[1:9, 10:18] = 4
    cells[1:9, 20:24] = 11
    nuclei = np.zeros_like(cells)
    nuclei[2:4, 2:4] = 8  # two nuclei in cell 20
    nuclei[6:8, 5:7] = 2
    nuclei[3:5, 8:13] = 5  # 3 of 5 columns in cell 4, one in 20
    nuclei[5:7, 26:29] = 1  # in no cell
    return nuclei, cells


def test_pairing_by_hand():
    nuclei, cells = _cells_and_nuclei()
    inputs = nuclei.copy(), cells.copy()
    paired = pair(nuclei, cells)
    parts = paired.compartments
    assert paired.cell_ids.tolist() == [4, 11, 20, 21]
    assert paired.n_nuclei.tolist() == [1, 0, 2, 1]
    assert _is_consistent(parts)
    assert (parts.nucleus == 20).sum() == 8
    assert (parts.nucleus == 4).sum() == 10
    assert (parts.cell[3:5, 8:13] == 4).all()  # all of the nucleus belongs to its cell
    assert (parts.cell == 21).sum() == (parts.nucleus == 21).sum() == 6
    assert not (parts.nucleus == 11).any()
    assert (parts.cell == 11).sum() == 32
    assert np.array_equal(nuclei, inputs[0])
    assert np.array_equal(cells, inputs[1])


def test_a_nucleus_mostly_outside_its_cell_gets_its_own():
    cells, nuclei = np.zeros((1, 12), np.uint8), np.zeros((1, 12), np.uint8)
    cells[0, :4], nuclei[0, 2:7] = 1, 1  # 2 of 5 px
    paired = pair(nuclei, cells)
    assert paired.cell_ids.tolist() == [1, 2]
    assert paired.n_nuclei.tolist() == [0, 1]
    assert paired.compartments.cell[0].tolist() == [1, 1, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0]
    assert pair(nuclei, cells, min_overlap=0.4).n_nuclei.tolist() == [1]


def test_a_nucleus_shared_evenly_goes_to_the_smaller_id():
    cells, nuclei = np.array([[0, 9, 9, 2, 2, 0]]), np.array([[0, 0, 1, 1, 0, 0]])
    paired = pair(nuclei, cells)
    assert paired.cell_ids.tolist() == [2, 9]
    assert paired.n_nuclei.tolist() == [1, 0]


def test_a_cell_that_anothers_nucleus_covers_has_no_row():
    nuclei, cells = np.array([[1, 1, 1, 1]]), np.array([[5, 5, 5, 6]])
    paired = pair(nuclei, cells)
    assert paired.cell_ids.tolist() == [5]
    assert paired.n_nuclei.tolist() == [1]


@pytest.mark.parametrize("which", ["nuclei", "cells", "both"])
def test_pairing_with_nothing(which):
    nuclei, cells = _cells_and_nuclei()
    paired = pair(
        nuclei if which == "cells" else np.zeros_like(nuclei),
        cells if which == "nuclei" else np.zeros_like(cells),
    )
    expected = {"nuclei": [0, 0, 0], "cells": [1, 1, 1, 1], "both": []}[which]
    assert paired.n_nuclei.tolist() == expected
    assert paired.cell_ids.tolist() == np.unique(paired.compartments.cell)[1:].tolist()


def test_ids_beyond_sixteen_bits():
    nuclei, cells = np.zeros((3, 9), np.int64), np.zeros((3, 9), np.int64)
    nuclei[1, 1], cells[:, :4] = 1, 70_000
    nuclei[1, 7] = 2
    assert pair(nuclei, cells).cell_ids.tolist() == [70_000, 70_001]


def test_pairing_agrees_with_a_loop_on_random_labels():
    random = np.random.default_rng(3)
    nuclei = np.kron(random.integers(0, 9, (8, 8)), np.ones((3, 3), int))
    cells = np.kron(random.integers(0, 6, (6, 6)), np.ones((4, 4), int)) * 3
    paired = pair(nuclei, cells, min_overlap=0.2)
    counts = dict.fromkeys(np.unique(cells[cells > 0]).tolist(), 0)
    fresh = cells.max()
    for name in np.unique(nuclei[nuclei > 0]):
        inside = cells[nuclei == name]
        held = np.bincount(inside)
        held[0] = 0
        owner = held.argmax()
        if held[owner] < 0.2 * inside.size:
            fresh += 1
            owner = fresh
        counts[owner] = counts.get(owner, 0) + 1
        assert (paired.compartments.nucleus[nuclei == name] == owner).all()
    found = dict(zip(paired.cell_ids.tolist(), paired.n_nuclei.tolist(), strict=True))
    assert found == {name: counts[name] for name in found}


def test_what_is_no_label_image():
    good = _two_nuclei()
    for bad in (good.astype(float), good > 0, good[None], -good.astype(int)):
        with pytest.raises(ValueError, match="nuclei"):
            expand_nuclei(bad, 2)
    with pytest.raises(ValueError, match="2\\^32"):
        expand_nuclei(good.astype(np.int64) * 2**32, 2)
    with pytest.raises(ValueError, match="one shape"):
        pair(good, good[1:])
    for share in (0, 1.1, np.nan):
        with pytest.raises(ValueError, match="overlap"):
            pair(good, good, share)
