"""Power against published tables and against simulation."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.special import expit

from pipelines.statistics import POWER_COLUMNS, power_rows
from pipelines.statistics.power import Components, Plan, detectable, power
from pipelines.statistics.unit_fractions import compare
from pipelines.statistics.unit_means import Units
from pipelines.study import parse_study

ALIKE = Plan(0.0, 1.0)


def test_power_is_cohens_table():
    # Cohen (1988), table 2.4.1, two-sided 0.05, power 0.80: d 0.5 needs 64 a group, 0.8 needs 26,
    # 1.0 needs 17.
    for difference, units in ((0.5, 64), (0.8, 26), (1.0, 17)):
        assert detectable(ALIKE, units) <= difference < detectable(ALIKE, units - 1)


def test_power_without_a_difference_is_the_level():
    assert power(ALIKE, 0.0, 5) == pytest.approx(0.05)


def test_detectable_is_where_the_power_is():
    for plan in (ALIKE, Plan(3.0, 0.2, "mean"), Plan(0.1, 0.5, "odds")):
        found = plan.mean + detectable(plan, 4, 0.9)
        assert power(plan, found, 4) == pytest.approx(0.9, abs=1e-6)


def test_power_agrees_with_simulation():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (4000, 5)), rng.normal(1.5, 1, (4000, 5))
    found = np.mean(stats.ttest_ind(a, b, axis=1).pvalue < 0.05)

    assert power(ALIKE, 1.5, 5) == pytest.approx(found, abs=3 * np.sqrt(0.25 / 4000))


def test_units_that_vary_with_their_mean_are_found_as_planned():
    # Log-normal donors: twice the mean is twice the SD. With the reference's SD for both, 87 %
    # would be planned for.
    rng = np.random.default_rng(0)
    a, b = np.exp(rng.normal(0, 0.37, (4000, 4))), np.exp(rng.normal(0.7, 0.37, (4000, 4)))
    found = np.mean(stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05)
    mean, cv = np.exp(0.37**2 / 2), np.sqrt(np.expm1(0.37**2))

    plan = Plan(mean, cv, "mean")
    # Besides chance, raw means of so few log-normal units are not normal.
    assert power(plan, mean * np.exp(0.7), 4) == pytest.approx(found, abs=0.05)
    assert power(replace(plan, spread=cv * mean, growth="none"), 2 * mean, 4) > found + 0.3


def test_fractions_are_planned_on_the_scale_of_their_test():
    rng = np.random.default_rng(1)
    low, high = (expit(rng.normal(center, 0.5, (1000, 5))) for center in (-2.5, -1.2))
    found = []
    for first, second in zip(high, low, strict=True):
        units = Units(np.append(second, first), np.repeat([0, 1], 5), None, ("a", "b"))
        found.append(compare(units, [-1, 1]).p < 0.05)

    plan = Plan(low.mean(), 0.5, "odds")
    assert power(plan, high.mean(), 5) == pytest.approx(np.mean(found), abs=0.06)


def test_rare_cells_are_found_as_often_as_planned(tmp_path):
    # Donors alike and 40 cells of each, 2 % of which are positive: only chance varies. With all
    # variance taken to follow m(1 - m), differences were planned of which 36 % were found.
    rng = np.random.default_rng(5)
    cells = rng.random((120, 1, 40)) < np.repeat([0.02, 0.2], 60)[:, None, None]
    path = written(tmp_path / "cells.parquet", cells.astype(float), 60)
    flags = pl.read_parquet(path).with_columns(rare=pl.col("value") > 0.5)
    flags.write_parquet(path)
    rows = power_rows(parse_study(STUDY.replace("[value, negative]", "[rare]"), "study"), path)
    plans = {r["n_units"]: r for r in rows if r["sampling"] == "as in this study"}

    for units in (6, 12):
        low, difference = plans[units]["mean"], plans[units]["detectable_80"]
        sides = [rng.binomial(40, m, (1000, units)) / 40 for m in (low, low + difference)]
        found = [
            compare(Units(np.append(a, b), np.repeat([0, 1], units), None, ("a", "b")), [-1, 1]).p
            for a, b in zip(*sides, strict=True)
        ]
        assert np.mean(np.array(found) < 0.05) == pytest.approx(0.8, abs=0.08)
    more = {r["n_units"]: r for r in rows if r["sampling"] == "ten times the cells"}
    assert more[6]["detectable_80"] < 0.5 * plans[6]["detectable_80"]
    assert "chance" in plans[6]["sd_assumed"]


def test_a_fraction_and_its_complement_are_planned_alike():
    few, many = Plan(0.1, 0.5, "odds"), Plan(0.9, 0.5, "odds")
    assert detectable(few, 5) == pytest.approx(detectable(many, 5))


def test_more_images_help_up_to_the_spread_between_units():
    components = Components(
        {"donor": 4.0, "clone": 2.0, "image_id": 3.0}, 100.0, {"clone": 2.0}, 50.0, df=6
    )

    # By hand: 4 + 2/2 + 3/6 + 100/(6·50), and 4 + 2/1 + 3/1 + 100/50.
    assert components.sd_of_unit_means(6, 50) == pytest.approx(np.sqrt(4 + 1 + 0.5 + 1 / 3))
    assert components.sd_of_unit_means(1, 50) == pytest.approx(np.sqrt(4 + 2 + 3 + 2))
    assert components.sd_of_unit_means(1e6, 50) == pytest.approx(np.sqrt(5.0), rel=1e-4)


def test_an_increase_that_its_own_group_hides_is_none():
    assert detectable(Plan(1.0, 0.4, "mean"), 2) is None
    assert detectable(Plan(0.5, 3.0, "odds"), 2) is None
    assert detectable(Plan(1.0, 0.4, "mean"), 50) == pytest.approx(0.256, abs=0.01)


STUDY = """
study: planned
samples: samples.csv
channels: {dna: 0}
segmentation:
  nuclei: {channel: dna, diameter_px: 20}
measurements: [{type: morphology}]
statistics:
  unit: donor
  factors: [genotype]
  reference: {genotype: healthy}
  outcomes: [value, negative]
"""
SD = {"donor": 2.0, "image": 1.0, "cell": 3.0}
CELLS = 15


def simulated(rng, units, images, difference):
    """Cells of two groups of donors, by the SDs above, around a mean of 10."""
    genotype = np.repeat([0, 1], units)
    own = 10 + difference * genotype + rng.normal(0, SD["donor"], 2 * units)
    image = own[:, None] + rng.normal(0, SD["image"], (2 * units, images))
    return image[:, :, None] + rng.normal(0, SD["cell"], (2 * units, images, CELLS))


def written(path, values, units):
    """The cells as a run leaves them; donors of both groups are called alike."""
    names = np.indices(values.shape).reshape(3, -1)
    frame = pl.DataFrame(
        {
            "image_id": [f"{d}_{i}" for d, i in zip(names[0], names[1], strict=True)],
            "genotype": [("healthy", "werner")[d // units] for d in names[0]],
            "donor": [f"d{d % units}" for d in names[0]],
            "value": values.ravel(),
            "negative": -values.ravel(),
        }
    )
    frame.write_parquet(path)
    return path


def test_a_planned_experiment_finds_its_difference_as_often_as_planned(tmp_path):
    # Planned from one large study, tried out on 2,000 fresh ones with twice its images.
    rng = np.random.default_rng(3)
    path = written(tmp_path / "cells.parquet", simulated(rng, 60, 3, 0.0), 60)
    rows = power_rows(parse_study(STUDY, "study"), path)
    assert {key for row in rows for key in row} <= {column.name for column in POWER_COLUMNS}
    [plan] = [
        r
        for r in rows
        if (r["outcome"], r["sampling"], r["n_units"]) == ("value", "twice the images", 5)
    ]
    assert (plan["n_images_per_unit"], plan["n_cells_per_image"]) == (6, CELLS)
    true_sd = np.sqrt(SD["donor"] ** 2 + SD["image"] ** 2 / 6 + SD["cell"] ** 2 / (6 * CELLS))
    assert plan["sd_of_unit_means"] == pytest.approx(true_sd, rel=0.15)

    found = []
    for _ in range(2000):
        means = simulated(rng, 5, 6, plan["detectable_80"] * true_sd / plan["sd_of_unit_means"])
        sides = means.mean(axis=(1, 2)).reshape(2, 5)
        found.append(stats.ttest_ind(*sides).pvalue < 0.05)
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_a_plan_does_not_depend_on_the_sign_of_the_outcome(tmp_path):
    rng = np.random.default_rng(4)
    path = written(tmp_path / "cells.parquet", simulated(rng, 4, 2, 1.0), 4)
    rows = power_rows(parse_study(STUDY, "study"), path)
    plans = {(r["outcome"], r["sampling"], r["n_units"]): r["detectable_80_relative"] for r in rows}

    for (outcome, *rest), value in plans.items():
        if outcome == "value":
            assert plans["negative", *rest] == pytest.approx(value)
    assert all("cautious" in row["note"] for row in rows)


def test_a_plan_under_a_gate_of_controls_says_that_it_takes_it_as_exact(tmp_path):
    path = written(tmp_path / "cells.parquet", simulated(np.random.default_rng(4), 4, 2, 1.0), 4)
    cells = pl.read_parquet(path)
    cells.with_columns(value_positive=pl.col("value") > 12).write_parquet(path)
    study = STUDY.replace("[value, negative]", "[value, value_positive]") + (
        "positivity:\n  value: {of: value, rule: control_percentile, controls: {genotype: healthy}}"
    )
    rows = power_rows(parse_study(study, "study"), path)
    said = {row["outcome"]: "takes the gate as exact" in row["note"] for row in rows}
    assert said == {"value": False, "value_positive": True}


def test_a_pair_is_planned_by_the_paired_test():
    rng = np.random.default_rng(0)
    differences = rng.normal(1.5, np.sqrt(2), (4000, 6))
    found = np.mean(stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05)

    assert power(replace(ALIKE, paired=True), 1.5, 6) == pytest.approx(
        found, abs=3 * np.sqrt(0.25 / 4000)
    )


def test_too_few_units_are_told_in_words(tmp_path):
    path = written(tmp_path / "cells.parquet", simulated(np.random.default_rng(0), 1, 2, 1.0), 1)

    rows = power_rows(parse_study(STUDY, "study"), path)
    assert [row["note"] for row in rows] == [
        "no unit more than groups and blocks need: nothing to plan with"
    ] * 2


def test_the_cautious_sd_is_the_upper_limit_of_chi_square():
    components = Components({"donor": 1.0}, 0.0, {}, 1.0, 4)
    sds = np.random.default_rng(0).normal(size=(4000, 5)).std(axis=1, ddof=1)

    assert np.mean(sds * components.cautious > 1) == pytest.approx(0.8, abs=0.025)
