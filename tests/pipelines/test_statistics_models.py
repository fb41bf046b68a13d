"""Tests and models against published results and by another path."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logit

from pipelines.statistics import mixed, overdispersed, unit_fractions, unit_means
from pipelines.statistics.design_matrix import Design, estimable
from pipelines.statistics.mixed import Moments, fit_mixed
from pipelines.statistics.overdispersed import BINOMIAL, COUNTS, fit_counts, fit_fractions
from pipelines.statistics.unit_means import Units

# Davies & Goldsmith (1972): yield of six batches of dyestuff, five samples each; lme4's vignette
# gives the REML fit: intercept 1527.5 (SE 19.38), SD between batches 42.00, within 49.51.
DYESTUFF = [
    [1545, 1440, 1440, 1520, 1580],
    [1540, 1555, 1490, 1560, 1495],
    [1595, 1550, 1605, 1510, 1560],
    [1445, 1440, 1595, 1465, 1545],
    [1595, 1630, 1515, 1635, 1625],
    [1520, 1455, 1450, 1480, 1445],
]
# Crowder (1978, Appl. Stat. 27:34), germinated and sown seeds of Orobanche on 21 plates: O. 75 and
# O. 73, each with bean and cucumber root extract.
SEEDS = {
    ("75", "bean"): ([10, 23, 23, 26, 17], [39, 62, 81, 51, 39]),
    ("75", "cucumber"): ([5, 53, 55, 32, 46, 10], [6, 74, 72, 51, 79, 13]),
    ("73", "bean"): ([8, 10, 8, 23, 0], [16, 30, 28, 45, 4]),
    ("73", "cucumber"): ([3, 22, 15, 32, 3], [12, 41, 30, 51, 7]),
}


def moments(samples, levels):
    arrays = [np.asarray(s, dtype=float) for s in samples]
    return Moments(
        np.array([float(a.size) for a in arrays]),
        np.array([a.mean() for a in arrays]),
        np.array([((a - a.mean()) ** 2).sum() for a in arrays]),
        [np.asarray(level) for level in levels],
    )


def one_group(rows):
    return Design.of(np.zeros(rows, dtype=np.intp), None, ("all",))


def units(*samples, blocks=None):
    values = np.concatenate([np.asarray(s, dtype=float) for s in samples])
    groups = np.repeat(np.arange(len(samples)), [len(s) for s in samples])
    return Units(values, groups, blocks, [f"group {i}" for i in range(len(samples))])


def test_two_groups_are_welchs_t_with_its_interval():
    a, b = [5.1, 6.3, 7.0, 5.5], [3.0, 3.4, 2.9]
    expected = stats.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval(0.95)

    found = unit_means.compare(units(a, b), [1, -1])

    assert found.p == pytest.approx(expected.pvalue)
    assert found.df == pytest.approx(expected.df)
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high))
    assert found.estimate == pytest.approx(np.mean(a) - np.mean(b))


def test_hedges_g_by_hand():
    # Pooled SD 1, difference 2, 4 degrees of freedom: J = Γ(2) / (√2 Γ(1.5)) = 0.79788.
    found = unit_means.compare(units([3, 4, 5], [1, 2, 3]), [1, -1])

    assert found.effect_size == pytest.approx(2 * 0.797885, rel=1e-5)


def test_a_comparison_of_averages_is_the_contrast_of_welch():
    samples = [[1.0, 2.0, 2.5], [4.0, 4.5, 6.0], [0.5, 1.5, 0.7], [3.0, 1.0, 2.0]]
    found = unit_means.compare(units(*samples), [0.5, -0.5, 0.5, -0.5])

    parts = [0.25 * np.var(s, ddof=1) / 3 for s in samples]
    se, df = np.sqrt(sum(parts)), sum(parts) ** 2 / sum(p**2 / 2 for p in parts)
    estimate = (np.mean(samples[0]) + np.mean(samples[2])) / 2
    estimate -= (np.mean(samples[1]) + np.mean(samples[3])) / 2
    assert found.estimate == pytest.approx(estimate)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(estimate / se), df))


def test_blocks_are_the_paired_t_and_name_what_they_leave_out():
    blocks = np.array([0, 1, 2, 3, 0, 1, 2])
    found = unit_means.compare(units([5, 7, 6, 9], [4, 5, 5.5], blocks=blocks), [1, -1])

    expected = stats.ttest_rel([5, 7, 6], [4, 5, 5.5])
    assert found.p == pytest.approx(expected.pvalue)
    assert "1 block(s) with one side only" in found.note


def test_groups_in_blocks_of_their_own_are_compared_between_blocks():
    blocks = np.array([0, 1, 2, 3, 4, 5])
    found = unit_means.compare(units([5, 7, 6], [4, 5, 5.5], blocks=blocks), [1, -1])

    assert found.p == pytest.approx(stats.ttest_ind([5, 7, 6], [4, 5, 5.5], equal_var=False).pvalue)
    assert "between" not in found.test
    assert "means of blocks" in found.note


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (([1.0], [2.0, 3.0]), "fewer than 2 units in group 0"),
        (([0.0, 0.0], [0.0, 0.0, 0.0]), "every unit is 0"),
        (([1.0, 1.0], [2.0, 2.0]), "all equal"),
    ],
)
def test_no_p_without_a_reason(samples, why):
    found = unit_means.compare(units(*samples), [1, -1])

    assert np.isnan(found.p)
    assert np.isnan(found.ci_low)
    assert why in found.note


def test_a_group_of_equal_units_still_meets_one_that_varies():
    found = unit_means.compare(units([0.0, 0.0, 0.0], [0.1, 0.2, 0.15]), [-1, 1])

    expected = stats.ttest_1samp([0.1, 0.2, 0.15], 0).pvalue
    assert found.p == pytest.approx(expected)


def test_three_groups_are_welchs_analysis_of_variance():
    # Welch 1951 by hand, with weights n / s².
    samples = [[4.0, 5.0, 6.5], [7.0, 8.0, 8.5, 7.5], [3.0, 9.0, 6.0]]
    w = np.array([len(s) / np.var(s, ddof=1) for s in samples])
    m = np.array([np.mean(s) for s in samples])
    centre = (w * m).sum() / w.sum()
    spread = ((1 - w / w.sum()) ** 2 / (np.array([len(s) for s in samples]) - 1)).sum()
    f = ((w * (m - centre) ** 2).sum() / 2) / (1 + 2 * (3 - 2) / (9 - 1) * spread)
    p = stats.f.sf(f, 2, (9 - 1) / (3 * spread))

    found = unit_means.omnibus(units(*samples), [("a", "b", "c")])["0"]

    assert (found.statistic, found.p) == pytest.approx((f, p))


def test_two_factors_give_main_effects_and_their_interaction():
    cells = {
        ("a", "x"): [1, 2, 3],
        ("a", "y"): [2, 3, 4],
        ("b", "x"): [5, 6, 7],
        ("b", "y"): [1, 2, 3],
    }
    levels = [[key[0] for key in cells], [key[1] for key in cells]]

    found = unit_means.omnibus(units(*cells.values()), levels)

    # Balanced, variance 1 within every cell: sums of squares by hand from the means 2, 3, 6, 2.
    grand = 3.25
    a = 6 * ((2.5 - grand) ** 2 + (4 - grand) ** 2)
    b = 6 * ((4 - grand) ** 2 + (2.5 - grand) ** 2)
    total = 3 * sum((m - grand) ** 2 for m in (2, 3, 6, 2))
    assert found["0"].statistic == pytest.approx(a)
    assert found["1"].statistic == pytest.approx(b)
    assert found["0:1"].statistic == pytest.approx(total - a - b)
    assert found["0"].df == 8


def test_a_missing_combination_is_named_and_has_no_interaction():
    found = unit_means.omnibus(
        units([1, 2, 3], [2, 3, 5], [5, 6, 8]), [["a", "a", "b"], ["x", "y", "x"]]
    )

    assert set(found) == {"0", "1"}
    assert "not measured" in found["0"].note


def test_mixed_model_gives_lme4s_published_fit():
    fit = fit_mixed(moments(DYESTUFF, [range(6)]), one_group(6))

    assert np.sqrt(fit.variances[0]) == pytest.approx(42.00, abs=0.01)
    assert np.sqrt(fit.residual) == pytest.approx(49.51, abs=0.01)
    found = mixed.compare(fit, [1], one_group(6), logs=False)
    assert found.estimate == pytest.approx(1527.5)
    assert found.estimate / found.statistic == pytest.approx(19.38, abs=0.01)
    assert found.icc == pytest.approx(1764.05 / (1764.05 + 2451.25), abs=1e-3)


def test_nested_levels_agree_with_statsmodels():
    rng = np.random.default_rng(1)
    rows, samples, donors, clones = [], [], [], []
    for donor in range(8):
        own = rng.normal(0, 2)
        for clone in range(2 + donor % 2):
            part = rng.normal(0, 1)
            values = 10 + (donor % 2) * 1.5 + own + part + rng.normal(0, 3, 5 + 4 * clone)
            samples.append(values)
            donors.append(donor)
            clones.append(10 * donor + clone)
            rows += [(v, donor, 10 * donor + clone, donor % 2) for v in values]
    frame = pd.DataFrame(rows, columns=["y", "donor", "clone", "group"])
    expected = smf.mixedlm(
        "y ~ group", frame, groups="donor", re_formula="1", vc_formula={"clone": "0 + C(clone)"}
    ).fit(reml=True, method="powell")
    groups = np.array(donors) % 2
    design = Design.of(groups, None, ("a", "b"))

    fit = fit_mixed(moments(samples, [donors, clones]), design)
    found = mixed.compare(fit, [-1, 1], design, logs=False)

    assert found.estimate == pytest.approx(expected.params["group"], abs=2e-3)
    assert found.estimate / found.statistic == pytest.approx(expected.bse["group"], rel=2e-3)
    assert fit.variances[0] == pytest.approx(expected.cov_re.iloc[0, 0], rel=0.02)
    assert fit.variances[1] == pytest.approx(expected.vcomp[0], rel=0.02)
    assert fit.residual == pytest.approx(expected.scale, rel=0.01)
    assert found.df == 6


def test_a_balanced_mixed_model_is_the_t_test_of_unit_means():
    rng = np.random.default_rng(3)
    samples = [rng.normal(rng.normal(0, 2), 1, 20) for _ in range(10)]
    design = Design.of(np.repeat([0, 1], 5), None, ("a", "b"))

    found = mixed.compare(
        fit_mixed(moments(samples, [range(10)]), design), [1, -1], design, logs=False
    )

    means = [s.mean() for s in samples]
    assert found.p == pytest.approx(stats.ttest_ind(means[:5], means[5:]).pvalue, rel=1e-4)


def test_units_that_do_not_differ_are_said_to():
    samples = [[1.0, 2.0, 3.0]] * 6
    fit = fit_mixed(moments(samples, [range(6)]), one_group(6))

    assert fit.variances[0] == 0
    assert "estimated as 0" in fit.estimates.note


@pytest.mark.parametrize(
    ("samples", "why"), [([[1.0]] * 4, "one cell"), ([[1.0, 1.0], [2.0, 2.0]], "all equal")]
)
def test_no_model_without_spread_within_units(samples, why):
    assert why in fit_mixed(moments(samples, [range(len(samples))]), one_group(len(samples)))


def seeds():
    positive = np.concatenate([np.array(v[0], dtype=float) for v in SEEDS.values()])
    cells = np.concatenate([np.array(v[1], dtype=float) for v in SEEDS.values()])
    groups = np.repeat(np.arange(4), [len(v[0]) for v in SEEDS.values()])
    return positive, cells, Design.of(groups, None, [" ".join(key) for key in SEEDS])


SEED, EXTRACT, INTERACTION = np.array([[-1.0, 0, 1, 0], [-1, 1, 0, 0], [1, -1, -1, 1]])


def test_seeds_agree_with_their_published_analyses():
    positive, cells, design = seeds()
    fit = fit_fractions(positive, cells, design)

    # Spiegelhalter et al., BUGS Examples I, "Seeds", after Breslow & Clayton (1993, JASA 88:9):
    # penalised quasi-likelihood with a normal effect of plates gives seed 0.077 (SE 0.308),
    # extract 1.339 (0.270) and their interaction -0.825 (0.430).
    contrasts = (SEED, EXTRACT, INTERACTION)
    se = [float(np.sqrt(w @ fit.covariance @ w)) for w in contrasts]
    assert [w @ fit.beta for w in contrasts] == pytest.approx([0.077, 1.339, -0.825], abs=0.02)
    assert se == pytest.approx([0.308, 0.270, 0.430], rel=0.03)
    assert fit.df == 17


def test_without_extra_variance_the_fit_is_logistic_regression():
    _, cells, design = seeds()
    mean = cells * np.repeat([0.36, 0.68, 0.40, 0.53], [5, 6, 5, 5])
    model = sm.GLM(
        np.column_stack([np.rint(mean), cells - np.rint(mean)]),
        design.matrix,
        sm.families.Binomial(),
    ).fit()

    fit = fit_fractions(np.rint(mean), cells, design)

    assert "no more than chance" in fit.note
    assert fit.beta == pytest.approx(model.params, abs=1e-6)
    assert fit.covariance == pytest.approx(model.cov_params(), abs=1e-6)


def test_dispersion_makes_pearsons_chi_square_its_degrees_of_freedom():
    positive, cells, design = seeds()
    fit = fit_fractions(positive, cells, design)
    share = 1 / (1 + np.exp(-design.matrix @ fit.beta))
    plain = share * (1 - share)

    def chi_square(dispersion):
        variance = plain / cells * (1 + (cells - 1) * dispersion * plain)
        return ((positive / cells - share) ** 2 / variance).sum()

    # Its covariance says which dispersion it found: the first group's is 1 / Σ information.
    first = design.groups == 0
    found = brentq(
        lambda d: (
            1 / (cells[first] * plain[first] / (1 + (cells[first] - 1) * d * plain[first])).sum()
            - fit.covariance[0, 0]
        ),
        0,
        5,
    )
    assert chi_square(found) == pytest.approx(fit.df, rel=1e-4)


def test_fractions_have_the_standard_error_of_the_jackknife_over_units():
    positive = np.array([5.0, 12, 8, 20, 25, 31])
    cells = np.full(6, 50.0)
    design = Design.of(np.repeat([0, 1], 3), None, ("a", "b"))
    fit = fit_fractions(positive, cells, design)
    found = overdispersed.compare(fit, BINOMIAL, [-1, 1], design)

    # With equal totals the estimates are those of the pooled fractions: 25/150 and 76/150.
    assert found.estimate == pytest.approx((76 / 74) / (25 / 125))
    # Pseudo-values of the logit of each group's mean, whose t test is Welch's.
    sides = []
    for side in positive.reshape(2, 3) / 50:
        without = np.array([np.delete(side, i).mean() for i in range(3)])
        sides.append(3 * logit(side.mean()) - 2 * logit(without))
    se = np.sqrt(sum(side.var(ddof=1) / 3 for side in sides))
    assert np.log(found.estimate) / found.statistic == pytest.approx(se, rel=1e-5)
    assert found.df == pytest.approx(stats.ttest_ind(*sides, equal_var=False).df, rel=1e-4)
    assert found.ci_low < found.estimate < found.ci_high


def test_within_blocks_whole_blocks_are_left_out():
    positive = np.array([5.0, 9, 12, 20, 8, 12, 25, 31])
    blocks = np.repeat([0, 1, 2, 3], 2)
    design = Design.of(np.tile([0, 1], 4), blocks, ("a", "b"))
    fit = fit_fractions(positive, np.full(8, 50.0), design)
    found = overdispersed.compare(fit, BINOMIAL, [-1, 1], design)

    assert found.df == 3
    assert fit.replicates is not None
    without_first = Design.of(np.tile([0, 1], 3), blocks[2:], ("a", "b"))
    alone = fit_fractions(positive[2:], np.full(6, 50.0), without_first)
    assert fit.replicates.beta[0] @ design.contrast([-1, 1]) == pytest.approx(
        alone.beta @ without_first.contrast([-1, 1]), abs=0.01
    )


def test_odds_that_hang_on_one_unit_have_no_interval():
    design = Design.of(np.repeat([0, 1], 3), None, ("a", "b"))
    fit = fit_fractions(np.array([0.0, 0, 6, 8, 9, 7]), np.full(6, 50.0), design)
    found = overdispersed.compare(fit, BINOMIAL, [-1, 1], design)

    assert np.isnan(found.p)
    assert "without one of the units" in found.note


def fractions(*groups):
    values = np.concatenate([np.asarray(group, dtype=float) for group in groups])
    codes = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return Units(values, codes, None, [f"g{i}" for i in range(len(groups))])


def test_fractions_are_compared_as_angles_of_group_means():
    a, b = np.array([0.1, 0.2, 0.3, 0.2]), np.array([0.02, 0.05, 0.02])
    found = unit_fractions.compare(fractions(a, b), [1, -1])

    means = np.array([a.mean(), b.mean()])
    angles = np.arcsin(np.sqrt(means))
    parts = np.array([v.var(ddof=1) / v.size for v in (a, b)]) / (4 * means * (1 - means))
    df = parts.sum() ** 2 / (parts**2 / [3, 2]).sum()
    t = (angles[0] - angles[1]) / np.sqrt(parts.sum())
    assert found.estimate == pytest.approx(means[0] - means[1])
    assert (found.statistic, found.df) == pytest.approx((t, df))
    assert found.p == pytest.approx(2 * stats.t.sf(t, df))
    # An end of the interval, taken back to an angle, is where the test would stand at the limit.
    total = angles.sum()
    low = np.arcsin(found.ci_low / np.sin(total))
    assert (angles[0] - angles[1] - low) / np.sqrt(parts.sum()) == pytest.approx(
        stats.t.ppf(0.975, df)
    )


@given(
    st.lists(st.integers(0, 20), min_size=2, max_size=5),
    st.lists(st.integers(0, 20), min_size=2, max_size=5),
)
def test_an_interval_of_fractions_says_what_p_says_and_stays_within_bounds(a, b):
    found = unit_fractions.compare(fractions(np.array(a) / 20, np.array(b) / 20), [1, -1])

    if np.isnan(found.p):
        assert found.note
        return
    assert -1 <= found.ci_low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.ci_high <= 1
    if abs(found.p - 0.05) > 1e-9:
        assert (found.p < 0.05) == (not found.ci_low <= 0 <= found.ci_high)


def test_counts_per_cell_give_the_ratio_of_rates():
    totals, cells = np.array([100.0, 130, 90, 210, 260, 170]), np.array([50.0, 50, 50, 50, 50, 50])
    design = Design.of(np.repeat([0, 1], 3), None, ("a", "b"))
    found = overdispersed.compare(fit_counts(totals, cells, design), COUNTS, [-1, 1], design)

    assert found.estimate == pytest.approx(640 / 320, rel=1e-6)
    assert found.scale == "rate ratio"


def test_counts_that_vary_by_chance_alone_say_so():
    design = Design.of(np.repeat([0, 1], 3), None, ("a", "b"))
    fit = fit_counts(np.array([100.0, 101, 99, 200, 201, 199]), np.full(6, 50.0), design)

    assert "no more than chance" in fit.note


@pytest.mark.parametrize(
    ("totals", "why"),
    [
        ([0.0, 0, 0, 0], "every unit is 0"),
        ([0.0, 0, 3, 4], "every unit of a is 0"),
        ([10.0, 10, 3, 4], "every cell of a is positive"),
    ],
)
def test_separation_is_named(totals, why):
    design = Design.of(np.repeat([0, 1], 2), None, ("a", "b"))

    assert why in overdispersed.no_estimate(np.array(totals), np.full(4, 10.0), design)


def test_a_group_alone_in_its_blocks_is_not_estimable():
    within = Design.of(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), ("a", "b"))
    between = Design.of(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), ("a", "b"))

    assert estimable(within.matrix, within.contrast([1, -1]))
    assert not estimable(between.matrix, between.contrast([1, -1]))
