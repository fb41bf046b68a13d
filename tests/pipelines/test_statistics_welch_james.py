"""The test of Welch and James against Welch's own, and its contrasts by hand."""

import numpy as np
import pytest
from statsmodels.stats.oneway import anova_oneway

from pipelines.statistics.unit_fractions import GATED_OMNIBUS, OMNIBUS, omnibus
from pipelines.statistics.unit_means import Units, welch
from pipelines.statistics.welch_james import Part, effects, welch_james

SAMPLES = ([3.0, 4.5, 5.1, 3.9], [6.0, 9.0, 4.0, 8.5, 7.7], [5.0, 5.2, 4.9])


def parts(samples):
    found = []
    for g, sample in enumerate(samples):
        covariance = np.zeros((len(samples), len(samples)))
        covariance[g, g] = np.var(sample, ddof=1) / len(sample)
        found.append(Part(covariance, len(sample) - 1))
    return found


def test_for_one_factor_it_is_welchs_analysis_of_variance():
    means = np.array([np.mean(s) for s in SAMPLES])
    found = welch_james("", means, parts(SAMPLES), effects([("a", "b", "c")])["0"])
    expected = anova_oneway(SAMPLES, use_var="unequal", welch_correction=True)
    assert found.statistic == pytest.approx(expected.statistic)
    assert (found.df_numerator, found.df) == pytest.approx((expected.df_num, expected.df_denom))
    assert found.p == pytest.approx(expected.pvalue)


def test_for_one_difference_it_is_welchs_t():
    values = np.concatenate(SAMPLES)
    units = Units(values, np.repeat([0, 1, 2], [4, 5, 3]), None, ("a", "b", "c"))
    t = welch(units, [0.5, 0.5, -1.0])
    means = np.array([np.mean(s) for s in SAMPLES])
    found = welch_james("", means, parts(SAMPLES), np.array([[0.5, 0.5, -1.0]]))
    assert (found.statistic, found.df, found.p) == pytest.approx((t.statistic**2, t.df, t.p))


def test_interactions_are_differences_of_differences():
    found = effects([("old", "old", "young", "young"), ("v", "i", "v", "i")])
    assert set(found) == {"0", "1", "0:1"}
    means = np.array([7.0, 5.0, 2.0, 1.5])  # of old v, old i, young v, young i
    assert found["0"] @ means == pytest.approx([(7 + 5 - 2 - 1.5) / 4])
    assert found["1"] @ means == pytest.approx([(7 + 2 - 5 - 1.5) / 4])
    assert found["0:1"] @ means == pytest.approx([(7 - 5 - 2 + 1.5) / 4])


def test_a_combination_that_was_not_measured_has_no_contrasts():
    assert effects([("old", "old", "young"), ("v", "i", "v")]) == {}


def test_groups_that_do_not_vary_are_not_tested():
    found = welch_james("", np.array([1.0, 2.0, 3.0]), parts([[1, 1], [2, 2], [3, 3]]),
                        effects([("a", "b", "c")])["0"])  # fmt: skip
    assert np.isnan(found.p)
    assert "all equal" in found.note


def fractions():
    rng = np.random.default_rng(2)
    return Units(rng.beta(2, 8, 15), np.repeat([0, 1, 2], 5), None, ("a", "b", "c"))


def test_fractions_are_compared_as_angles():
    given = fractions()
    found = omnibus(given, [("a", "b", "c")])["0"]
    assert found.test == OMNIBUS
    # To first order: each group's units as angles, about the angle of its mean.
    linear = []
    for g in range(3):
        values, mean = given.of(g), given.of(g).mean()
        slope = 1 / (2 * np.sqrt(mean * (1 - mean)))
        linear.append(np.arcsin(np.sqrt(mean)) + slope * (values - mean))
    assert found.p == pytest.approx(anova_oneway(linear, use_var="unequal").pvalue)


def test_the_gates_error_moves_groups_together():
    given, cells = fractions(), np.full(15, 200.0)
    still = np.tile(given.values, (15, 1))
    alone = omnibus(given, [("a", "b", "c")], cells, still)["0"]
    assert alone.test == GATED_OMNIBUS
    moved = still.copy()
    # Leaving a reference unit out moves the gate, and with it both other groups.
    moved[:5, 5:] *= 1 + np.linspace(-0.5, 0.5, 5)[:, None]
    together = omnibus(given, [("a", "b", "c")], cells, moved)["0"]
    assert together.p > alone.p


@pytest.mark.parametrize("refolded", ["no controls", np.ones((2, 8))])
def test_where_the_gate_is_taken_as_given_the_row_says_so(refolded):
    rng = np.random.default_rng(0)
    blocks = None if isinstance(refolded, str) else np.tile(np.arange(2), 4)
    given = Units(rng.beta(2, 8, 8), np.repeat([0, 1, 2, 3], 2), blocks, tuple("abcd"))
    levels = [("x", "x", "y", "y"), ("v", "i", "v", "i")]
    found = omnibus(given, levels, np.full(8, 50.0), refolded)
    assert found
    assert all("takes the gate as exact" in test.note for test in found.values())
