"""Simulated lobules: genes peak where they should, and each knob does its own."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.simulate.lobule import LobuleSettings, simulate_lobules

PLAIN = LobuleSettings(capture_cv=0.0)


def test_each_gene_is_highest_in_its_zone():
    section = simulate_lobules(PLAIN, 1)
    means = np.array([section.counts[section.zone == z].mean(axis=0) for z in range(3)])
    assert means.argmax(axis=0).tolist() == [0, 1, 2]
    assert 2000 < len(section.axis) < 6000
    assert section.axis.min() >= 0
    assert section.axis.max() <= 1


def test_p38_lowers_genes_and_keeps_the_layout():
    healthy, dimmed = (simulate_lobules(replace(PLAIN, p38=k), 2) for k in (0.0, 0.5))
    assert np.array_equal(healthy.positions_um, dimmed.positions_um)
    assert np.array_equal(healthy.zone, dimmed.zone)
    ratio = dimmed.counts.sum(axis=0) / healthy.counts.sum(axis=0)
    assert ratio == pytest.approx(np.full(3, 0.5), abs=0.05)


def test_erk_loses_pericentral_cells_and_mixes_the_others():
    healthy, mixed = (simulate_lobules(replace(PLAIN, erk=k), 3) for k in (0.0, 1.0))
    share = [(s.zone == 0).sum() for s in (healthy, mixed)]
    assert share[1] == pytest.approx(0.3 * share[0], rel=0.2)
    assert (mixed.zone == 2).sum() == (healthy.zone == 2).sum()
    portal = [s.counts[s.zone == 2][:, 0].mean() for s in (healthy, mixed)]
    assert portal[1] > 1.5 * portal[0]


def test_the_same_seed_gives_the_same_section():
    first, second = (simulate_lobules(LobuleSettings(), 4) for _ in range(2))
    assert first.counts.tobytes() == second.counts.tobytes()
