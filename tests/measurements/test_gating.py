"""Thresholds against quantiles, formulas and mixtures worked out by hand."""

import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.gating import (
    Gate,
    control_percentile,
    corrected_fraction,
    fixed,
    otsu,
    positive,
    two_component,
)


def two_lognormals(n: int, share: float, separation: float, seed: int = 0):
    """Log-normal cells of log-SD 0.3 around 100, some of them `separation` log-SD brighter."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < share * n
    return 100 * np.exp(0.3 * (rng.normal(size=n) + separation * truth)), truth


class TestControlPercentile:
    def test_interpolates_between_the_sorted_controls(self):
        gate = control_percentile(np.arange(1, 102), percentile=95, seed=0)
        assert gate.threshold == 96
        assert gate.observed_control_fraction == 5 / 101
        assert gate.alpha == pytest.approx(0.05)
        assert (gate.n_cells, gate.note) == (101, "")

    @pytest.mark.parametrize("percentile", [90.0, 95.0, 99.0, 99.9])
    def test_calls_alpha_of_new_negatives_positive(self, percentile):
        rng = np.random.default_rng(3)
        gate = control_percentile(rng.normal(size=200_000), percentile=percentile, seed=0, n_boot=0)
        fresh = positive(rng.normal(size=200_000), gate).mean()
        assert fresh == pytest.approx(1 - percentile / 100, rel=0.15)

    def test_interval_of_independent_cells_matches_theory(self):
        # SE of a quantile is sqrt(p q / n) / density: 0.0669 for the 95th of 1000 normal values.
        values = np.random.default_rng(4).normal(size=1000)
        gate = control_percentile(values, seed=1)
        assert gate.ci_low < gate.threshold < gate.ci_high
        assert (gate.ci_high - gate.ci_low) / (2 * 1.96) == pytest.approx(0.0669, rel=0.35)

    def test_resampling_units_widens_the_interval_of_clustered_cells(self):
        rng = np.random.default_rng(5)
        units = np.repeat([f"donor {i}" for i in range(12)], 100)
        values = rng.normal(size=1200) + np.repeat(rng.normal(size=12), 100)
        by_cell = control_percentile(values, seed=1)
        by_unit = control_percentile(values, seed=1, units=units)
        assert by_unit.threshold == by_cell.threshold
        assert by_unit.ci_high - by_unit.ci_low > 2 * (by_cell.ci_high - by_cell.ci_low)

    def test_same_seed_same_interval(self):
        values = np.random.default_rng(6).gamma(2, 1, 500)
        one, same, other = (control_percentile(values, seed=s) for s in (7, 7, 8))
        assert one == same
        assert one.ci_low != other.ci_low

    def test_few_controls_give_a_threshold_and_a_note(self):
        assert "19 control cells, 20 recommended" in control_percentile(range(19), seed=0).note
        gate = control_percentile(np.arange(500), percentile=99.9, seed=0)
        assert "500 control cells, 1000 recommended" in gate.note

    def test_one_unit_has_no_interval(self):
        gate = control_percentile(np.arange(50), seed=0, units=["a"] * 50)
        assert np.isfinite(gate.threshold)
        assert np.isnan(gate.ci_low)
        assert "no interval" in gate.note

    def test_no_controls_are_refused(self):
        gate = control_percentile([np.nan, np.inf], seed=0)
        assert np.isnan(gate.threshold)
        assert gate.note == "2 of 2 values not finite, dropped; no control cells"

    def test_all_equal_controls_are_their_own_threshold(self):
        gate = control_percentile(np.full(40, 7.0), seed=0)
        assert (gate.threshold, gate.ci_low, gate.ci_high) == (7, 7, 7)
        assert gate.observed_control_fraction == 0

    @pytest.mark.parametrize("percentile", [0.95, 49, 100, np.nan])
    def test_a_percentile_out_of_range_is_an_error(self, percentile):
        with pytest.raises(MeasurementError, match="percentile"):
            control_percentile(np.arange(50), percentile=percentile, seed=0)


class TestTwoComponent:
    @pytest.mark.parametrize(
        ("share", "separation", "n"),
        [(0.5, 3, 5000), (0.3, 4, 2000), (0.1, 5, 2000), (0.05, 6, 2000)],
    )
    def test_threshold_is_the_equal_posterior_point(self, share, separation, n):
        values, truth = two_lognormals(n, share, separation)
        gate = two_component(values, seed=0)
        # ln of equal weighted densities of equal SD: d/2 + ln((1 - w) / w) / d. The arcsinh scale
        # lowers it by up to 0.08 SD, 5000 cells scatter it by 0.09 SD.
        expected = separation / 2 + np.log((1 - share) / share) / separation
        assert np.log(gate.threshold / 100) / 0.3 == pytest.approx(expected, abs=0.3)
        assert gate.ci_low < gate.threshold < gate.ci_high
        assert np.mean(positive(values, gate) != truth) < 0.08

    def test_unequal_widths(self):
        rng = np.random.default_rng(1)
        z = np.concatenate([rng.normal(5, 0.1, 3000), rng.normal(7, 0.4, 1000)])
        gate = two_component(np.exp(z), seed=0, n_boot=0)
        # Root of log(0.75 / 0.1) - (z-5)²/0.02 = log(0.25 / 0.4) - (z-7)²/0.32 between the means.
        assert np.log(gate.threshold) == pytest.approx(5.449, abs=0.05)

    @pytest.mark.parametrize("n", [50, 1000, 20000])
    @pytest.mark.parametrize(
        "family",
        [
            lambda rng, n: rng.normal(100, 10, n),
            lambda rng, n: rng.normal(0, 10, n),
            lambda rng, n: 100 * np.exp(rng.normal(0, 0.8, n)) + rng.normal(0, 40, n),
            lambda rng, n: rng.gamma(2, 50, n),
            lambda rng, n: 100 * (1 + rng.pareto(2, n)),
            lambda rng, n: 100 * np.exp(0.3 * rng.standard_t(3, n)),
            lambda rng, n: rng.uniform(50, 500, n),
        ],
    )
    def test_one_population_is_not_split(self, family, n):
        gate = two_component(family(np.random.default_rng(2), n), seed=0, n_boot=0)
        assert np.isnan(gate.threshold)
        assert gate.note

    def test_a_shoulder_without_a_valley_is_refused(self):
        values, _ = two_lognormals(20000, 0.1, 3)
        assert "no valley" in two_component(values, seed=0, n_boot=0).note

    def test_the_threshold_follows_a_change_of_gain_and_the_order_of_cells_does_not_matter(self):
        values, _ = two_lognormals(500, 0.4, 5)
        gate = two_component(values, seed=0)
        scaled = two_component(values[::-1] / 65535, seed=0)
        assert scaled.threshold * 65535 == pytest.approx(gate.threshold)
        assert scaled.ci_low * 65535 == pytest.approx(gate.ci_low)

    def test_background_subtracted_values_below_zero(self):
        rng = np.random.default_rng(3)
        values = np.concatenate([rng.normal(0, 10, 700), 200 * np.exp(rng.normal(0, 0.3, 300))])
        gate = two_component(values, seed=0, n_boot=0)
        assert 25 < gate.threshold < 110

    def test_sixteen_bit_integers(self):
        values, _ = two_lognormals(2000, 0.4, 5)
        whole = values.astype(np.uint16)
        kept = whole.copy()
        gate = two_component(whole, seed=0, n_boot=0)
        same = two_component(whole.astype(np.float64), seed=0, n_boot=0)
        assert gate.threshold == same.threshold
        assert gate.threshold == pytest.approx(
            two_component(values, seed=0, n_boot=0).threshold, rel=0.02
        )
        np.testing.assert_array_equal(whole, kept)

    def test_saturated_or_zeroed_cells_are_no_population(self):
        rng = np.random.default_rng(4)
        saturated = np.minimum(rng.normal(200, 30, 2000), 255)
        zeroed = np.maximum(rng.normal(5, 10, 2000), 0)
        assert "largest" in two_component(saturated, seed=0, n_boot=0).note
        assert "smallest" in two_component(zeroed, seed=0, n_boot=0).note

    def test_a_single_bright_cell_is_no_population(self):
        values = np.append(np.random.default_rng(5).normal(100, 10, 300), 1e6)
        assert np.isnan(two_component(values, seed=0, n_boot=0).threshold)

    def test_units_that_differ_in_staining_are_noted(self):
        rng = np.random.default_rng(6)
        units = np.repeat([0, 1, 2, 3], 200)
        values = np.exp(0.2 * (rng.normal(size=800) + 6 * (units > 1)))
        gate = two_component(values, seed=0, units=units)
        assert "of the split lies between units" in gate.note
        assert "only 4 units" in gate.note
        mixed = two_component(values, seed=0, units=rng.permutation(units))
        assert "between units" not in mixed.note

    @pytest.mark.parametrize(
        ("values", "note"),
        [
            ([], "0 cells"),
            ([5.0], "1 cells"),
            (np.full(100, 3.0), "different values"),
            (np.tile([1.0, 2.0], 50), "different values"),
            ([np.nan] * 5 + [1.0, 2.0], "5 of 7 values not finite"),
        ],
    )
    def test_too_little_to_tell_is_refused(self, values, note):
        gate = two_component(values, seed=0)
        assert np.isnan(gate.threshold)
        assert note in gate.note


class TestOtsu:
    def test_the_best_gap_is_cut_in_its_middle(self):
        # Far above their own width the values' scale is logarithmic: middle of 110 and 990.
        values = np.concatenate([np.linspace(100, 110, 30), np.linspace(990, 1000, 30)])
        gate = otsu(values, seed=0, n_boot=0)
        assert gate.threshold == pytest.approx(np.sqrt(110 * 990), rel=0.01)

    def test_agrees_with_every_cut_tried_in_turn(self):
        values = np.random.default_rng(7).lognormal(3, 0.7, 60)
        gate = otsu(values, seed=0, n_boot=0)
        scale = (np.quantile(values, 0.25) - np.quantile(values, 0.025)) / 1.285
        z = np.sort(np.arcsinh(values / scale))
        within = [z[:k].var() * k + z[k:].var() * (60 - k) for k in range(1, 60)]
        best = int(np.argmin(within)) + 1
        assert positive(values, gate).sum() == 60 - best

    def test_the_note_says_whether_there_is_a_valley(self):
        split, _ = two_lognormals(500, 0.4, 6)
        assert "finds a valley" in otsu(split, seed=0).note
        single = otsu(np.random.default_rng(8).normal(100, 10, 500), seed=0)
        assert np.isfinite(single.threshold)
        assert "no valley" in single.note

    def test_edges(self):
        assert np.isnan(otsu([], seed=0).threshold)
        assert np.isnan(otsu([4.0], seed=0).threshold)
        assert np.isnan(otsu(np.zeros(50), seed=0).threshold)
        two = otsu([0.0, 0.0, 1.0, np.nan], seed=0)
        assert 0 < two.threshold < 1
        assert "1 of 4 values not finite" in two.note


def test_fixed():
    assert fixed(12).threshold == 12.0
    assert fixed(12).rule == "fixed"
    with pytest.raises(MeasurementError, match="finite"):
        fixed(np.nan)


def test_corrected_fraction_by_hand():
    # 100 cells, 20 truly positive: 20 + 5 % of 80 = 24 observed.
    assert corrected_fraction(0.24, 0.05) == pytest.approx(0.2)
    assert corrected_fraction(1.0, 0.05) == 1
    assert np.isnan(corrected_fraction(0.5, np.nan))
    with pytest.raises(MeasurementError):
        corrected_fraction(24, 0.05)


def test_corrected_fractions_of_negative_units_average_to_none():
    """Each unit's fraction scatters about α: clipped at 0, their mean would not be 0."""
    observed = np.random.default_rng(0).binomial(40, 0.05, 20000) / 40
    corrected = corrected_fraction(observed, 0.05)
    assert corrected.min() < 0
    assert corrected.mean() == pytest.approx(0, abs=0.001)
    assert np.maximum(corrected, 0).mean() > 0.01


def test_positive_is_strictly_above_and_never_for_a_missing_value():
    called = positive([9.0, 10.0, 10.1, np.nan, np.inf], fixed(10))
    np.testing.assert_array_equal(called, [False, False, True, False, True])
    assert called.dtype == bool


def test_a_refused_gate_calls_no_cell():
    with pytest.raises(MeasurementError, match="no control cells"):
        positive([1.0], Gate("control_percentile", np.nan, 0, note="no control cells"))


@pytest.mark.parametrize("rule", [control_percentile, two_component, otsu])
def test_shapes_that_do_not_fit_are_errors(rule):
    with pytest.raises(MeasurementError, match="one value a cell"):
        rule(np.ones((4, 4)), seed=0)
    with pytest.raises(MeasurementError, match="one unit a cell"):
        rule(np.arange(4), seed=0, units=[1, 2])
