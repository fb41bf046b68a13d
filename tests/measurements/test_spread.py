"""Spread from sources: distances, rings, the null, the range and the cross-type statistics."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from measurements.errors import MeasurementError
from measurements.spread import (
    Section,
    SpreadSettings,
    cross_type,
    find_window,
    fit_decay,
    measure_rings,
    measure_spread,
    shifted_counts,
    source_distances,
)
from pipelines.simulate.tissue import TissueSettings, simulate_tissue

SETTINGS = SpreadSettings((0, 30, 60, 120), n_shifts=99)
SMALL = TissueSettings(height_um=700, width_um=700)


def _grid(n, step=10.0):
    y, x = np.meshgrid(np.arange(n) * step, np.arange(n) * step, indexing="ij")
    return np.column_stack([y.ravel(), x.ravel()])


def _section(positions, source_at, response=None, **more):
    source = np.zeros(len(positions), bool)
    source[source_at] = True
    response = np.zeros(len(positions)) if response is None else response
    return Section.of(positions, source, response, **more)


def _placed(section):
    window = find_window(section.positions, section.spacing)
    return window, source_distances(section, window)


def _counted(section, settings=SETTINGS, number=0):
    return shifted_counts(section, *_placed(section), settings, number)


def _simulated(seed, settings=SMALL):
    tissue = simulate_tissue(settings, seed)
    return Section.of(tissue.positions_um, tissue.source, tissue.response)


def test_distances_are_those_to_the_nearest_other_source():
    section = _section(_grid(21), [220, 222])
    _, distances = _placed(section)
    assert distances.to_source[220] == pytest.approx(20)
    assert distances.to_source[221] == pytest.approx(10)
    assert distances.to_source[0] == pytest.approx(np.hypot(100, 100))
    assert distances.certain[221]
    assert not distances.certain[0]


def test_a_single_source_is_at_no_distance_from_itself():
    _, distances = _placed(_section(_grid(9), [40]))
    assert np.isinf(distances.to_source[40])


def test_the_window_closes_gaps_between_cells_and_lumens_and_has_their_area():
    positions = _grid(41)
    hole = np.hypot(*(positions - 200).T) < 60
    window = find_window(positions[~hole], 10.0)
    assert window.area == pytest.approx(410 * 410, rel=0.05)
    assert window.to_edge(np.array([[200.0, 200.0]]))[0] == pytest.approx(205, abs=8)


def test_rings_count_each_responder_once_and_contact_apart():
    section = _simulated(1)
    counts = _counted(section)
    _, distances = _placed(section)
    assert counts.contact == pytest.approx(2 * section.spacing)
    assert counts.contact in counts.bounds
    assert counts.cells[0].sum() == section.responder.sum()
    touching = (distances.to_source < counts.contact) & section.responder
    assert counts.cells[0, 1].sum() == touching.sum()
    positive = section.responder & (section.response == 1)
    assert counts.positive[0].sum() == positive.sum()


def test_sources_doubles_and_unknown_responses_never_respond():
    response = np.ones(441)
    response[5] = np.nan
    among = np.ones(441, bool)
    among[7] = False
    section = _section(_grid(21), [220], response, among=among)
    assert section.responder.sum() == 441 - 3


def test_the_difference_is_the_mantel_haenszel_one_by_hand():
    section = _simulated(2)
    counts = _counted(section)
    found = measure_spread([counts])
    rings, positive = counts.cells[0, 0, 0], counts.positive[0, 0, 0]
    first = int(np.searchsorted(counts.bounds, counts.contact)) + 1
    stop = first + 1
    near, far = (
        positive[part].sum() / rings[part].sum() for part in (slice(first, stop), slice(stop, None))
    )
    assert found.difference[0] == pytest.approx(near - far)
    assert found.near[0] == pytest.approx(near)
    assert found.n_far[0] == rings[stop:].sum()
    assert found.ci_low[0] < found.difference[0] < found.ci_high[0]


def test_a_planted_effect_is_found_and_nothing_is_found_without_it():
    settings = SpreadSettings((0, 30, 60, 120), contact=20, n_shifts=99)
    planted = [_simulated(s, TissueSettings(effect=0.6)) for s in (10, 11)]
    counts = [_counted(s, settings, k) for k, s in enumerate(planted)]
    found = measure_spread(counts)
    assert found.p_any <= 0.02
    assert found.ci_low[0] > 0
    rings = measure_rings(counts)
    assert rings.fraction[1] > rings.expected_high[1]
    assert rings.fraction[0] > rings.fraction[-1]


def test_leak_alone_is_found_at_contact_only():
    settings = replace(SMALL, patch_strength=0.0)
    counts = [_counted(_simulated(s, settings), replace(SETTINGS, contact=20), s) for s in range(3)]
    with_contact, without = measure_spread(counts, with_contact=True), measure_spread(counts)
    assert with_contact.p[0] <= 0.02
    assert with_contact.difference[0] > 0.08
    assert np.abs(without.difference[0]) < 0.05


@pytest.mark.slow
def test_p_values_are_uniform_where_shuffled_labels_are_not():
    p, shuffled = [], []
    for seed in range(60):
        section = _simulated(seed, replace(SMALL, height_um=900, width_um=900))
        counts = _counted(section)
        p.append(measure_spread([counts]).p_any)
        rng = np.random.default_rng(seed)
        positive = counts.positive.copy()
        for row in range(1, len(positive)):
            for place in np.ndindex(positive.shape[1:-1]):
                drawn = counts.positive[0][place].sum()
                cells = counts.cells[0][place]
                positive[row][place] = rng.multivariate_hypergeometric(cells, drawn)
        labels = replace(counts, cells=np.repeat(counts.cells[:1], len(positive), 0))
        shuffled.append(measure_spread([replace(labels, positive=positive)]).p_any)
    assert kstest(p, "uniform").pvalue > 0.02
    assert kstest(shuffled, "uniform").pvalue < 1e-3


def test_strata_are_compared_within_themselves():
    rng = np.random.default_rng(3)
    positions = _grid(60)
    left = positions[:, 1] < 300
    source = rng.random(3600) < np.where(left, 0.06, 0.004)
    response = (rng.random(3600) < np.where(left, 0.6, 0.2)).astype(float)
    settings = SpreadSettings((0, 40, 80), contact=12, n_shifts=99)
    naive = measure_spread([_counted(Section.of(positions, source, response), settings)])
    section = Section.of(positions, source, response, stratum=left.astype(int))
    stratified = measure_spread([_counted(section, settings)])
    assert naive.difference[0] > 0.15
    assert np.abs(stratified.difference[0]) < 0.06


def test_the_range_of_an_effect_is_found_and_none_where_there_is_none():
    tissue = TissueSettings(effect=0.8, range_um=30, patch_strength=0.5, leak=0.0)
    sections = [_simulated(s, tissue) for s in (20, 21)]
    decay = fit_decay([(s, *_placed(s)) for s in sections], 18.0, 120.0)
    assert decay.range == pytest.approx(30, rel=1 / 3)
    assert decay.ci_low < decay.range < decay.ci_high
    far = _section(_grid(30), [0])
    assert np.isnan(fit_decay([(far, *_placed(far))], 15.0, 120.0).range)


def test_cross_k_and_pair_correlation_of_random_cells_are_those_of_chance_despite_edges():
    rng = np.random.default_rng(4)
    positions = rng.uniform(0, 1000, size=(12000, 2))
    positions = positions[np.abs(positions - 500).sum(axis=1) < 500]
    kind = rng.random(len(positions))
    window = find_window(positions, 10.0)
    r = np.arange(20.0, 201.0, 20.0)
    found = cross_type(positions, kind < 0.3, kind > 0.6, window, r)
    assert found.g == pytest.approx(np.ones(r.size), abs=0.05)
    assert found.k == pytest.approx(np.pi * r**2, rel=0.06)
    density = (kind < 0.3).sum() / window.area
    assert found.nearest[0] == pytest.approx(1 - np.exp(-density * np.pi * 400), abs=0.03)


def test_cells_that_keep_together_have_a_pair_correlation_above_one():
    rng = np.random.default_rng(5)
    first = rng.uniform(0, 1000, size=(300, 2))
    second = np.clip(first + rng.normal(0, 8, size=first.shape), 0, 1000)
    others = rng.uniform(0, 1000, size=(6000, 2))
    positions = np.concatenate([first, second, others])
    kind = np.repeat([0, 1, 2], [300, 300, 6000])
    r = np.array([20.0, 60.0, 100.0])
    found = cross_type(positions, kind == 0, kind == 1, find_window(positions, 12.0), r)
    assert found.g[0] > 2
    assert found.g[2] == pytest.approx(1, abs=0.25)
    assert found.nearest[0] > 0.8


def test_the_same_seed_gives_the_same_shifts_and_sections_of_an_animal_their_own():
    section = _simulated(6)
    first, second = _counted(section), _counted(section)
    assert np.array_equal(first.cells, second.cells)
    assert not np.array_equal(first.cells[1:], _counted(section, number=1).cells[1:])
    again = _counted(section, replace(SETTINGS, seed=1))
    assert np.array_equal(first.cells[0], again.cells[0])


@pytest.mark.parametrize(
    ("source_at", "responses", "word"),
    [([], 1.0, "0 sources"), ([40], np.nan, "0 cells whose response")],
)
def test_a_section_without_sources_or_responders_says_so(source_at, responses, word):
    section = _section(_grid(9), source_at, np.full(81, responses))
    with pytest.raises(MeasurementError, match=word):
        _counted(section)


def test_what_cannot_be_read_is_refused():
    with pytest.raises(MeasurementError, match="one value for each of the 4 positions"):
        Section.of(np.zeros((4, 2)), np.zeros(3), np.zeros(4))
    with pytest.raises(MeasurementError, match="neither 0 nor 1"):
        Section.of(np.zeros((2, 2)), np.zeros(2), np.array([0.5, 1]))
    with pytest.raises(MeasurementError, match="rising from 0"):
        SpreadSettings((10, 20))
    with pytest.raises(MeasurementError, match="19 are the least"):
        SpreadSettings((0, 20), n_shifts=5)
    with pytest.raises(MeasurementError, match="span no section"):
        find_window(np.zeros((1, 2)), 0.0)


def test_cells_without_a_place_are_left_out():
    places = np.array([[0.0, 0.0], [np.nan, 1.0], [5.0, 5.0]])
    section = Section.of(places, [True, False, False], [0, 1, 1])
    assert len(section.positions) == 2
    assert section.spacing == pytest.approx(np.hypot(5, 5))
