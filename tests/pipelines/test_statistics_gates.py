"""Fractions above a gate that the reference's cells set: each unit is left out of both at once."""

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from scipy import stats

from pipelines.statistics import power_rows, statistics_rows
from pipelines.statistics.measured import measure
from pipelines.statistics.moments import Outcome
from pipelines.statistics.plans import components_of, plan_of
from pipelines.statistics.regated import regated
from pipelines.statistics.unit_fractions import GATED, GATED_PAIRS, compare_gated
from pipelines.statistics.unit_means import Units
from pipelines.study import Study, parse_study

STUDY = """
study: gated
samples: samples.csv
channels: {{dna: 0}}
segmentation:
  nuclei: {{channel: dna, diameter_px: 20}}
measurements: [{{type: morphology}}]
exclude: {{flags: [debris]}}
positivity:
  marker: {{of: intensity, rule: {rule}}}
statistics:
  unit: donor
  factors: [genotype]
  {more}
  reference: {{genotype: healthy}}
  outcomes: [marker_positive]
"""
CONTROLLED = "control_percentile, controls: {genotype: healthy}"


def study(rule=CONTROLLED, more=""):
    return parse_study(STUDY.format(rule=rule, more=more), "study")


def donors(n=4, seed=0, effect=0.6, litters=False):
    """Cells of `n` donors a group, which differ, in two images each."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in ("healthy", "werner"):
        for donor in range(n):
            own = rng.normal(0, 0.3) + effect * (group == "werner")
            rows += [
                {
                    "image_id": f"{group}{donor}_{cell % 2}",
                    "genotype": group,
                    "donor": f"{group[0]}{donor}",
                    "litter": donor if litters else None,
                    "intensity": float(np.exp(own + rng.normal(0, 0.5))),
                    "debris": bool(rng.random() < 0.1),
                }
                for cell in range(50)
            ]
    return pl.DataFrame(rows)


def gates_by_hand(cells, left_out=None, by="donor"):
    """Threshold of every member as a run sets it, with `left_out` not in the study."""
    controls = cells.filter((pl.col("genotype") == "healthy") & ~pl.col("debris"))
    controls = controls.filter(pl.col(by) != left_out) if left_out is not None else controls
    found = {None: np.percentile(controls["intensity"], 95)}
    for member in controls[by].unique():
        others = controls.filter(pl.col(by) != member)
        found[member] = np.percentile(others["intensity"], 95)
    return found


def gated(cells, by="donor"):
    gates = gates_by_hand(cells, by=by)
    limit = pl.col(by).replace_strict(gates, default=gates[None], return_dtype=pl.Float64)
    return cells.with_columns((pl.col("intensity") > limit).alias("marker_positive"))


def written(tmp_path, cells):
    path = tmp_path / "cells.parquet"
    pq.write_table(cells.to_arrow(), path)
    return path


def counted(tmp_path, cells, settings):
    path, design = written(tmp_path, cells), settings.statistics
    flags = settings.exclude.flags
    measured = measure(Outcome("marker_positive", {}, "flag"), design, path, flags)
    found = regated(measured, design, settings.positivity["marker"], path, flags)
    return measured, found * measured.units["n"].to_numpy()


@pytest.mark.parametrize("by", ["donor", "litter"])
def test_each_fold_is_gated_as_if_it_had_not_been_measured(tmp_path, by):
    cells = gated(donors(litters=True), by)
    settings = study(more="blocks: litter" if by == "litter" else "")
    measured, found = counted(tmp_path, cells, settings)
    members = measured.units[by].to_list()
    folds = sorted(set(members)) if by == "litter" else members
    assert found.shape == (len(folds), len(members))
    for fold, row in zip(folds, found, strict=True):
        gates = gates_by_hand(cells, type(cells[by][0])(fold), by)
        for unit, positive in zip(measured.units.iter_rows(named=True), row, strict=True):
            mine = cells.filter((pl.col("donor") == unit["donor"]) & ~pl.col("debris"))
            gate = gates.get(mine[by][0], gates[None])
            expected = mine["marker_positive"].sum()
            if unit[by] != fold:
                expected = (mine["intensity"] > gate).sum()
            assert positive == pytest.approx(expected, abs=1e-9)


def test_a_gate_moves_with_the_reference_alone(tmp_path):
    measured, found = counted(tmp_path, gated(donors()), study())
    werner = (measured.units["genotype"] == "werner").to_numpy()
    assert (np.ptp(found[werner][:, werner], axis=0) == 0).all()
    assert (np.ptp(found[~werner][:, werner], axis=0) > 0).any()


def test_the_gates_error_is_in_p_and_interval(tmp_path):
    cells = gated(donors(6))
    given = "fixed, value: 1"
    with_error = statistics_rows(study(), written(tmp_path, cells))
    as_given = statistics_rows(study(given), written(tmp_path, cells))
    found, exact = with_error[0], as_given[0]
    assert found["estimate"] == exact["estimate"]
    assert found["ci_high"] - found["ci_low"] > exact["ci_high"] - exact["ci_low"]
    assert {row["role"]: row["test"] for row in with_error}["primary"] == GATED
    paired = statistics_rows(study(more="blocks: litter"), written(tmp_path, gated(
        donors(6, litters=True), "litter")))  # fmt: skip
    assert {row["role"]: row["test"] for row in paired}["primary"] == GATED_PAIRS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.filter(~pl.col("donor").is_in(["h2", "h3"])), "too few of its control units"),
        (lambda c: c.with_columns(marker_positive=pl.col("intensity") > 1), "controls alone"),
        (lambda c: c.drop("intensity"), "not in the cells table"),
    ],
)
def test_where_no_unit_can_be_left_out_the_row_says_so(tmp_path, change, why):
    rows = statistics_rows(study(), written(tmp_path, change(gated(donors(4)))))
    primary = next(row for row in rows if row["role"] == "primary")
    assert "takes the gate as exact" in primary["note"]
    assert why in primary["note"]
    assert primary["test"] != GATED
    assert np.isfinite(primary["p"])


@pytest.mark.parametrize("more", ["", "blocks: litter"])
def test_a_plan_has_the_gates_error(tmp_path, more):
    cells = gated(donors(6, litters=bool(more)), "litter" if more else "donor")
    settings = study(more=more)
    measured, positive = counted(tmp_path, cells, settings)
    fractions = positive / measured.units["n"].to_numpy()
    components = components_of(measured, settings.statistics)
    plan = plan_of(measured, settings.statistics, components, fractions)
    # The reference's fraction is held by the gate, whose error the other group has.
    assert plan.gate[1] > 1
    assert plan.gate[0] == plan.gate[1] if more else plan.gate[0] < plan.gate[1]
    rows = power_rows(settings, tmp_path / "cells.parquet")
    assert {row["test"] for row in rows} == {GATED_PAIRS if more else GATED}
    assert not any("takes the gate as exact" in row["note"] for row in rows)


CELLS = np.full(20, 100.0)


def units(first, second, blocks=None):
    values = np.array([*second, *first])
    groups = np.repeat([0, 1], [len(second), len(first)])
    return Units(values, groups, blocks, ("reference", "first"))


def test_without_an_error_of_the_gate_it_is_welchs_t_of_logits():
    first, second = np.array([0.3, 0.42, 0.25, 0.5]), np.array([0.05, 0.1, 0.08])
    given = units(first, second)
    found = compare_gated(given, [-1, 1], CELLS[:7], np.tile(given.values, (7, 1)))
    parts = [v.var(ddof=1) / v.size / (v.mean() * (1 - v.mean())) ** 2 for v in (first, second)]
    logits = [np.log(v.mean() / (1 - v.mean())) for v in (first, second)]
    assert found.statistic == pytest.approx((logits[0] - logits[1]) / np.sqrt(sum(parts)))
    df = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 2)
    assert found.df == pytest.approx(df)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.statistic), df))


def test_without_an_error_of_the_gate_pairs_are_the_paired_t():
    rng = np.random.default_rng(3)
    given = units(rng.uniform(0.1, 0.6, 5), rng.uniform(0.02, 0.2, 5), np.tile(np.arange(5), 2))
    found = compare_gated(given, [-1, 1], CELLS[:10], np.tile(given.values, (5, 1)))
    expected = stats.ttest_rel(given.of(1), given.of(0))
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_says_what_p_says_and_stays_within_bounds(seed):
    rng = np.random.default_rng(seed)
    given = units(rng.beta(2, 8, 5), rng.beta(1, 12, 6))
    noise = rng.normal(0, 0.02, (11, 1)) * (given.groups == 1)
    found = compare_gated(given, [-1, 1], CELLS[:11], np.clip(given.values + noise, 0, 1))
    assert -1 <= found.ci_low < found.estimate < found.ci_high <= 1
    assert (found.ci_low > 0 or found.ci_high < 0) == (found.p < 0.05)


def test_a_side_without_positive_cells_has_half_a_one():
    first, second = np.zeros(3), np.array([0.05, 0.1, 0.08])
    given = units(first, second)
    refolded = np.tile(given.values, (6, 1))
    refolded[0, 3:] = 0.01
    found = compare_gated(given, [-1, 1], CELLS[:6], refolded)
    half, mean = 0.5 / 300, second.mean()
    difference = np.log(half / (1 - half)) - np.log(mean / (1 - mean))
    # Left out one at a time: of the reference the first moves the gate, of the others none does.
    left_out = np.array([np.delete(second, i).mean() for i in range(3)]) / (mean * (1 - mean))
    moved = np.array([0.01, 0, 0]) / (half * (1 - half)) - left_out
    variance = 2 / 3 * ((moved - moved.mean()) ** 2).sum()
    assert found.test == GATED
    assert found.statistic == pytest.approx(difference / np.sqrt(variance))


def test_a_class_of_reporters_says_that_it_takes_its_gates_as_exact(tmp_path):
    rules = {"controls": {"genotype": "healthy"}}
    reporters = {"type": "reporters", "channels": ["gfp"], "gates": {"gfp": rules}}
    plain = study().model_dump(mode="json", exclude_unset=True)
    plain["channels"]["gfp"] = 1
    plain["measurements"].append(reporters)
    plain["statistics"]["outcomes"] = ["reporter_class_gfp"]
    # As a run hands it over: with the reporters' gates among the rules of positivity.
    gated = Study.model_validate(plain)
    gated = gated.model_copy(update={"positivity": {"gfp": gated.positivity["marker"]}})
    path = tmp_path / "cells.parquet"
    cells = donors().with_columns(reporter_class_gfp=pl.col("intensity") > 1.5)
    cells.write_parquet(path)
    [found] = [row for row in statistics_rows(gated, path) if row["role"] == "primary"]
    assert found["note"] == (
        "takes the gate as exact: a class comes from the gates of several reporters"
    )
