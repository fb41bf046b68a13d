"""The simulated sections are what their settings say, before any method looks at them."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.simulate.tissue import TissueSettings, simulate_tissue

PLAIN = TissueSettings(
    height_um=1000, width_um=1000, leak=0.0, patch_strength=0.0, ragged=0.0, lumens_per_mm2=0.0
)


def _far(tissue, least=0.0, most=np.inf):
    d = tissue.to_source_um
    return ~tissue.is_source & (d >= least) & (d < most)


def test_fractions_and_density_are_those_asked_for():
    tissue = simulate_tissue(replace(PLAIN, source_cluster_um=0), seed=1)
    n = len(tissue.positions_um)
    assert n == pytest.approx(1000 * 1000 / (12 * 12 * np.sqrt(3) / 2), rel=0.03)
    assert tissue.is_source.mean() == pytest.approx(0.05, abs=0.01)
    assert tissue.responds[_far(tissue)].mean() == pytest.approx(0.2, abs=0.02)
    assert tissue.responds[tissue.is_source].mean() == pytest.approx(0.8, abs=0.06)
    assert (tissue.source == tissue.is_source).mean() > 0.99


def test_without_an_effect_the_response_is_the_same_near_and_far():
    tissue = simulate_tissue(PLAIN, seed=2)
    near, far = (tissue.responds[_far(tissue, *d)].mean() for d in ((0, 30), (60, 500)))
    assert near == pytest.approx(far, abs=0.05)


def test_a_planted_effect_falls_off_over_its_range():
    tissue = simulate_tissue(replace(PLAIN, effect=0.6, source_cluster_um=0), seed=3)
    for middle in (15, 30, 45):
        chosen = _far(tissue, middle - 4, middle + 4)
        planted = 0.6 * np.exp(-tissue.to_source_um[chosen] / 30)
        expected = (0.2 + 0.8 * planted).mean()
        assert tissue.responds[chosen].mean() == pytest.approx(expected, abs=0.05)


def test_leak_changes_only_cells_that_touch_and_most_those_that_touch_sources():
    still, leaking = (simulate_tissue(replace(PLAIN, leak=x), seed=4) for x in (0.0, 0.12))
    assert np.array_equal(still.responds, leaking.responds)
    touched = np.zeros(len(still.source), bool)
    for one, other in (leaking.touching.T, leaking.touching[:, ::-1].T):
        touched[one[leaking.is_source[other]]] = True
    raised = leaking.response & ~still.response & ~leaking.is_source
    assert raised[touched].mean() > raised[~touched].mean() + 0.1
    called = leaking.source & ~still.source
    assert called[touched].mean() > 10 * called[~touched].mean()


def test_sources_cluster_and_the_response_is_patchy():
    tissue = simulate_tissue(replace(PLAIN, patch_strength=1.5), seed=5)
    one, other = tissue.touching.T
    for flag in (tissue.is_source, tissue.responds & ~tissue.is_source):
        together = (flag[one] & flag[other]).mean()
        assert together > 1.3 * flag.mean() ** 2


def test_ragged_sections_with_lumens_lose_area_and_their_sources_act_from_beyond_the_edge():
    framed = simulate_tissue(PLAIN, seed=6)
    cut = simulate_tissue(replace(PLAIN, ragged=0.15, lumens_per_mm2=10), seed=6)
    assert 0.5 < len(cut.positions_um) / len(framed.positions_um) < 0.95
    assert np.isfinite(cut.to_source_um).all()


def test_the_same_seed_gives_the_same_section():
    first, second, other = (simulate_tissue(TissueSettings(height_um=600), s) for s in (7, 7, 8))
    assert first.positions_um.tobytes() == second.positions_um.tobytes()
    assert np.array_equal(first.response, second.response)
    assert first.positions_um.shape != other.positions_um.shape or not np.array_equal(
        first.response, other.response
    )
