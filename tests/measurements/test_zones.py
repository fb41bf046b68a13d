"""Zones: references frozen, dimming kept apart from loss, mixing seen, too little unassigned."""

from dataclasses import replace

import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.zones import (
    UNASSIGNED,
    Reference,
    Surroundings,
    ZoneSettings,
    assign_zones,
    learn_reference,
    measure_section,
)
from pipelines.simulate.lobule import LobuleSettings, simulate_lobules

WIDTH = 30.0
PLAIN = LobuleSettings(side_um=1000, capture_cv=0.0)
SETTINGS = ZoneSettings()


def laid(settings, seed):
    section = simulate_lobules(settings, seed)
    return section, Surroundings.of(section.positions_um, WIDTH)


@pytest.fixture(scope="module")
def reference():
    sections = [laid(PLAIN, seed) for seed in (1, 2)]
    return learn_reference([(s.counts, around) for s, around in sections])


def measured(settings, seed, reference):
    section, around = laid(settings, seed)
    return section, measure_section(section.counts, around, reference, SETTINGS, section.axis)


def test_surroundings_are_weighted_means_by_hand():
    around = Surroundings.of(np.array([[0.0, 0.0], [0.0, 10.0], [0.0, 100.0]]), 10.0)
    w = np.exp(-0.5)
    assert around.mean(np.array([[1.0], [3.0], [9.0]]))[:, 0] == pytest.approx(
        [(1 + 3 * w) / (1 + w), (3 + w) / (1 + w), 9.0]
    )
    assert around.effective[2] == 1
    assert around.effective[0] == pytest.approx((1 + w) ** 2 / (1 + w**2))
    assert around.near.tolist() == [[0, 1]]


def test_the_score_by_hand():
    reference = Reference(np.array([10.0, 1.0, 5.0]), -0.5, 0.5)
    score = reference.score(np.array([[10.0, 0, 0], [10, 0, 5], [0, 0, 5], [0, 7, 0]]))
    assert score[:3].tolist() == [1, 0, -1]
    assert np.isnan(score[3])


def test_most_cells_of_healthy_liver_get_their_true_zone(reference):
    section, found = measured(PLAIN, 3, reference)
    assert (found.zones.zone == section.zone).mean() > 0.87
    assert found.steepness < -1.5
    assert found.coherence > found.coherence_chance + 0.2
    confident = found.zones.confidence > 0.95
    right = found.zones.zone == section.zone
    assert right[confident].mean() > right[~confident].mean() + 0.1


def test_dimming_lowers_expression_and_nothing_else(reference):
    _, healthy = measured(PLAIN, 4, reference)
    _, dimmed = measured(replace(PLAIN, p38=0.5), 4, reference)
    assert dimmed.expression / healthy.expression == pytest.approx(np.full(3, 0.5), abs=0.06)
    assert dimmed.fraction[:3] == pytest.approx(healthy.fraction[:3], abs=0.06)
    assert dimmed.order == pytest.approx(healthy.order, abs=0.04)
    assert dimmed.fraction[3] < 0.02


def test_a_strong_dimming_leaves_cells_unassigned_instead_of_losing_one_zone(reference):
    _, found = measured(replace(PLAIN, p38=0.95), 5, reference)
    assert found.fraction[UNASSIGNED] > 0.5
    assert found.fraction.sum() == pytest.approx(1)


def test_lost_cells_and_mixed_zones_lower_the_fraction_and_the_order(reference):
    _, healthy = measured(PLAIN, 6, reference)
    _, mixed = measured(replace(PLAIN, erk=0.8), 6, reference)
    assert mixed.fraction[0] < 0.7 * healthy.fraction[0]
    assert mixed.order < healthy.order - 0.15


def test_permuted_counts_have_no_order(reference):
    section, around = laid(PLAIN, 7)
    shuffled = np.random.default_rng(0).permutation(section.counts)
    found = measure_section(shuffled, around, reference, SETTINGS)
    assert abs(found.order) < 0.08
    assert np.isnan(found.steepness)


def test_the_middle_zone_without_midzonal_genes_is_the_middle_third():
    section, around = laid(PLAIN, 8)
    counts = section.counts.copy()
    counts[:, 1] = 0
    reference = learn_reference([(counts, around)])
    zone = assign_zones(counts, around, reference, SETTINGS).zone
    assert np.bincount(zone, minlength=3)[:3] / zone.size == pytest.approx(
        np.full(3, 1 / 3), abs=0.02
    )


def test_empty_sections_and_single_cells_are_measured():
    reference = Reference(np.ones(3), -0.5, 0.5)
    for n in (0, 1):
        around = Surroundings.of(np.zeros((n, 2)), 10.0)
        found = measure_section(np.full((n, 3), 20.0), around, reference, SETTINGS)
        assert found.zones.zone.size == n
        assert np.isnan(found.coherence)


def test_what_cannot_be_measured_is_refused():
    around = Surroundings.of(np.zeros((2, 2)), 10.0)
    reference = Reference(np.ones(3), -0.5, 0.5)
    with pytest.raises(MeasurementError, match="three kinds of genes"):
        assign_zones(np.zeros((2, 2)), around, reference, SETTINGS)
    with pytest.raises(MeasurementError, match="width above 0"):
        Surroundings.of(np.zeros((2, 2)), 0.0)
    with pytest.raises(MeasurementError, match="at least one is needed"):
        learn_reference([])
    with pytest.raises(MeasurementError, match="both must be above 0"):
        learn_reference([(np.zeros((2, 3)), around)])
