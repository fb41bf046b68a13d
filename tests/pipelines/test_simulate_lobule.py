"""Simulated lobules: genes peak where they should, and each knob does its own."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.simulate.lobule import GENES, LobuleSettings, simulate_lobules
from pipelines.simulate.lobule_images import (
    MARKERS,
    LobuleFieldSettings,
    simulate_lobule_field,
    simulate_lobule_transcripts,
)
from pipelines.simulate.lobule_study import lobule_images

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


SMALL = LobuleFieldSettings(lobules=LobuleSettings(side_um=250.0), gene_e=25.0)


def test_light_of_a_cell_follows_its_own_counts():
    field = simulate_lobule_field(SMALL, 5)
    cells, table = field.labels["cells"], field.truth["cells"]
    assert cells.max() == len(table["label"]) > 100
    for gene in GENES:
        image = field.channels[gene.lower()].astype(float)
        means = np.bincount(cells.ravel(), image.ravel())[1:] / np.bincount(cells.ravel())[1:]
        assert np.corrcoef(means, table[gene.lower()])[0, 1] > 0.95
    assert set(field.truth["veins"]["zone"]) == {"pericentral", "periportal"}


def test_transcripts_lie_in_the_cells_that_have_them():
    settings = replace(SMALL, astray=0.0, macrophages=0.2)
    field = simulate_lobule_transcripts(settings, 6)
    table, cells = field.inputs["transcripts"], field.truth["cells"]
    place = [np.rint(table[axis] / settings.pixel_size_um).astype(int) for axis in "yx"]
    inside = [np.clip(p, 0, field.labels["cells"].shape[0] - 1) for p in place]
    owner = field.labels["cells"][tuple(inside)].astype(int)
    for gene in (*GENES, *MARKERS):
        found = np.bincount(owner[table["gene"] == gene], minlength=cells["label"].size + 1)[1:]
        true = cells[gene.lower()]
        assert true.sum() == (table["gene"] == gene).sum()
        # Some are decoded just across the border of their cell.
        assert np.corrcoef(found, true)[0, 1] > 0.9
    kind = cells["macrophage"]
    assert cells["adgre1"][kind].mean() == pytest.approx(8, abs=1.5)
    assert cells["cyp2e1"][kind].sum() == 0


def test_each_knob_has_an_arm_of_its_own_and_no_effect_is_none():
    arms = {columns["model"]: s for _, columns, s in lobule_images(SMALL, (1, 1), 0, 1.5, 0)}
    assert [(s.lobules.erk, s.lobules.p38) for s in arms.values()] == [(0, 0), (0.5, 0), (0, 0.5)]
    assert arms["mek1"].macrophages > arms["none"].macrophages
    none = [s for _, _, s in lobule_images(SMALL, (1, 1), 0, 0.0, 0)]
    assert none[0] == none[1] == none[2]
