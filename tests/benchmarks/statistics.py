"""False positives and coverage of every shipped test: ``python -m tests.benchmarks.statistics``.

Studies without an effect are simulated from cell intensities up: donors (or animals) differ
strongly, clones and images differ too, cell numbers vary, positive cells are gated by the 95th
percentile of the reference cells (each reference unit by the others, as a run does it). They go
through the same code as a run: a cells table on disk, condensed, tested. Beside each test stands
how often it is wrong when the cells are taken as n. Coverage is that of the 95 % interval in
studies with a known effect, where fractions are those above the 95th percentile of the reference
population. Power is planned from one study's variance components and found in fresh studies. Every
study has a seed of its own, so that `--processes` changes the time and nothing else. The last line
is one JSON object. Simulation only.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from scipy.stats import norm, ttest_ind

from measurements.gating import control_percentile
from pipelines.statistics import statistics_rows
from pipelines.statistics.measured import measure
from pipelines.statistics.moments import Outcome
from pipelines.statistics.plans import components_of, plan_of
from pipelines.statistics.power import Plan as PowerPlan
from pipelines.statistics.power import power
from pipelines.statistics.regated import percentile_gate, regated
from pipelines.statistics.table import find_outcome
from pipelines.study import Study, parse_study

ALPHA = 0.05
LOG_SD = {"unit": 0.35, "clone": 0.15, "image": 0.1, "cell": 0.5}
FOCI_MEAN, FOCI_SHAPE, FOCI_UNIT_SD = 4.0, 1.5, 0.35
CELLS_PER_IMAGE = 40
EFFECT = 0.4


@dataclass(frozen=True)
class Work:
    """Where tables are written, and the processes that studies are handed to."""

    folder: Path
    pool: Executor


@dataclass(frozen=True)
class Plan:
    """A design: units of each group, what they are grouped and blocked by."""

    name: str
    factors: dict[str, tuple[str, ...]]
    units: int
    clones: int = 1
    images: int = 3
    paired: bool = False


PLANS = (
    Plan("two groups of 7, clones", {"genotype": ("healthy", "werner")}, 7, clones=2, images=2),
    Plan("two groups of 3", {"genotype": ("healthy", "werner")}, 3),
    Plan("pairs of 6", {"treatment": ("vehicle", "inhibitor")}, 6, paired=True),
    Plan("three groups of 5", {"treatment": ("vehicle", "inhibitor", "clodronate")}, 5),
    Plan(
        "two factors, 4 each",
        {"model": ("MEK1", "MKK6"), "treatment": ("vehicle", "inhibitor")},
        4,
    ),
)


OUTCOMES = ("intensity", "foci", "marker_positive")


def study_of(plan: Plan, outcomes: Sequence[str]) -> str:
    """The study file of a design."""
    blocks = "  blocks: litter\n" if plan.paired else ""
    random = "  random: [clone]\n" if plan.clones > 1 else ""
    reference = ", ".join(f"{name}: {levels[0]}" for name, levels in plan.factors.items())
    return (
        "study: no-effect\nsamples: samples.csv\nchannels: {dna: 0}\n"
        "segmentation:\n  nuclei: {channel: dna, diameter_px: 20}\n"
        "measurements: [{type: morphology}]\n"
        "positivity:\n  marker: {of: intensity, rule: control_percentile, "
        f"controls: {{{reference}}}}}\n"
        f"statistics:\n  unit: unit\n  factors: [{', '.join(plan.factors)}]\n{blocks}{random}"
        f"  reference: {{{reference}}}\n"
        f"  outcomes: [{', '.join(outcomes)}]\n  adjust: none\n"
    )


def groups_of(plan: Plan) -> list[tuple[str, ...]]:
    """Combinations of levels, the reference first."""
    combined: list[tuple[str, ...]] = [()]
    for levels in plan.factors.values():
        combined = [(*group, level) for group in combined for level in levels]
    return combined


def simulate(plan: Plan, rng: np.random.Generator, effect: float) -> pl.DataFrame:
    """Cells of one study; `effect` is added to the logarithms of every group but the reference."""
    rows = []
    litters = rng.normal(0, LOG_SD["unit"], (2, plan.units))
    for g, group in enumerate(groups_of(plan)):
        for u in range(plan.units):
            own = rng.normal(0, LOG_SD["unit"], 2) * (0.5 if plan.paired else 1.0)
            own = own + (litters[:, u] if plan.paired else 0.0)
            for c in range(plan.clones):
                clone = rng.normal(0, LOG_SD["clone"], 2) * (plan.clones > 1)
                for i in range(plan.images):
                    image = rng.normal(0, LOG_SD["image"], 2)
                    n = int(rng.negative_binomial(4, 4 / (4 + CELLS_PER_IMAGE))) + 1
                    shift = own + clone + image + effect * (g > 0)
                    intensity = np.exp(shift[0] + rng.normal(0, LOG_SD["cell"], n))
                    mean = FOCI_MEAN * np.exp(shift[1])
                    foci = rng.negative_binomial(FOCI_SHAPE, FOCI_SHAPE / (FOCI_SHAPE + mean), n)
                    labels = dict(zip(plan.factors, group, strict=True))
                    litter = {"litter": f"L{u}"} if plan.paired else {}
                    rows.append(
                        pl.DataFrame({"intensity": intensity, "foci": foci}).with_columns(
                            **{k: pl.lit(v) for k, v in {**labels, **litter}.items()},
                            unit=pl.lit(f"g{g}u{u}"),
                            clone=pl.lit(f"g{g}u{u}c{c}"),
                            image_id=pl.lit(f"g{g}u{u}c{c}i{i}"),
                        )
                    )
    return pl.concat(rows)


def gated(cells: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Add marker_positive: by the reference's 95th percentile, as a run does it.

    A reference unit is gated by the other units, a pair by the other pairs' reference units.
    """
    by = "litter" if plan.paired else "unit"
    first = groups_of(plan)[0]
    is_reference = pl.all_horizontal(
        pl.col(name) == level for name, level in zip(plan.factors, first, strict=True)
    )
    reference = cells.filter(is_reference)

    def threshold(frame: pl.DataFrame) -> float:
        return control_percentile(frame["intensity"].to_numpy(), seed=0, n_boot=0).threshold

    limits = {
        member: threshold(reference.filter(pl.col(by) != member))
        for member in reference[by].unique(maintain_order=True)
    }
    limit = pl.col(by).replace_strict(limits, default=threshold(reference), return_dtype=pl.Float64)
    return cells.with_columns((pl.col("intensity") > limit).alias("marker_positive"))


def write(cells: pl.DataFrame, path: Path) -> None:
    """The table as a run leaves it: counts say that they are."""
    table = cells.to_arrow()
    index = table.schema.get_field_index("foci")
    field = table.schema.field(index).with_metadata({"unit": "count"})
    pq.write_table(table.set_column(index, field, table.column(index)), path)


def cells_as_n(cells: pl.DataFrame, plan: Plan, column: str) -> float:
    """p of Welch's t on the cells of the last group against the reference."""
    sides = []
    for group in (groups_of(plan)[0], groups_of(plan)[-1]):
        chosen = pl.all_horizontal(
            pl.col(name) == level for name, level in zip(plan.factors, group, strict=True)
        )
        sides.append(cells.filter(chosen)[column].cast(pl.Float64).to_numpy())
    return float(ttest_ind(*sides, equal_var=False).pvalue)


def truth(row: dict[str, object], plan: Plan, effect: float) -> float | None:
    """What the interval should contain; None for an omnibus test."""
    if row["role"] == "omnibus":
        return None
    # Litters add their variance to that of the animals, which is halved in SD there.
    unit = LOG_SD["unit"] ** 2 * (1.25 if plan.paired else 1.0)
    image = LOG_SD["image"] ** 2
    if row["outcome"] == "marker_positive":
        sd = np.sqrt(unit + image + LOG_SD["cell"] ** 2)
        reference, other = 0.05, float(norm.sf(norm.ppf(0.95) - effect / sd))
        if row["scale"] == "difference":
            return other - reference
        return other / (1 - other) / (reference / (1 - reference))
    if row["scale"] != "difference":
        return float(np.exp(effect))
    if row["outcome"] == "foci":
        return float(FOCI_MEAN * np.exp((unit + image) / 2) * np.expm1(effect))
    return float(np.exp((unit + image + LOG_SD["cell"] ** 2) / 2) * np.expm1(effect))


def power_curve(outcome: str, studies: int, work: Work) -> list[tuple[int, float, float, float]]:
    """Units of a group, effect, planned and found power, of one outcome's test of units.

    The plan is made from one large study without an effect, as power.csv is.
    """
    plan = Plan("two groups", {"genotype": ("healthy", "werner")}, 100)
    path = work.folder / "cells.parquet"
    write(gated(simulate(plan, np.random.default_rng(7), 0.0), plan), path)
    study = parse_study(study_of(plan, [outcome]), "study")
    planned = _planned(study, outcome, path)
    rows = []
    for units in (4, 7):
        plan = Plan("two groups", {"genotype": ("healthy", "werner")}, units)
        for effect in (0.3, 0.5, 0.7):
            hits = [
                float(row["p"]) < ALPHA  # type: ignore[arg-type]
                for row in run(plan, studies, 11 * units + round(10 * effect), effect, work,
                               [outcome])
                if row["role"] == "primary"
            ]  # fmt: skip
            difference = _difference(outcome, plan, effect)
            rows.append((units, effect, power(planned, planned.mean + difference, units),
                         float(np.mean(hits))))  # fmt: skip
    return rows


def _planned(study: Study, name: str, path: Path) -> PowerPlan:
    assert study.statistics is not None
    outcome = find_outcome(name, path)
    assert isinstance(outcome, Outcome)
    measured = measure(outcome, study.statistics, path, (), may_log=False)
    components = components_of(measured, study.statistics)
    assert not isinstance(components, str)
    rule = percentile_gate(outcome, study)
    refolded = None if rule is None else regated(measured, study.statistics, rule, path, ())
    return plan_of(measured, study.statistics, components, refolded)


def _difference(outcome: str, plan: Plan, effect: float) -> float:
    """The difference of the groups' true means."""
    known = truth({"role": "primary", "outcome": outcome, "scale": "difference"}, plan, effect)
    assert known is not None
    return known


def run(
    plan: Plan,
    studies: int,
    seed: int,
    effect: float,
    work: Work,
    outcomes: Sequence[str] = OUTCOMES,
) -> list[dict[str, object]]:
    """All rows of all studies, with the naive p beside."""
    rows = partial(_rows, plan, seed, effect, tuple(outcomes), work.folder)
    found = work.pool.map(rows, range(studies), chunksize=5)
    return [row for of_study in found for row in of_study]


def _rows(
    plan: Plan, seed: int, effect: float, outcomes: Sequence[str], folder: Path, number: int
) -> list[dict[str, object]]:
    """Rows of one study."""
    cells = gated(simulate(plan, np.random.default_rng([seed, number]), effect), plan)
    path = folder / f"{os.getpid()}.parquet"
    write(cells, path)
    naive = {c: cells_as_n(cells, plan, c) for c in outcomes}
    rows = statistics_rows(parse_study(study_of(plan, outcomes), "study"), path)
    return [row | {"naive_p": naive[str(row["outcome"])]} for row in rows]


def main() -> None:
    """Print false-positive rates, then coverage, then power."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000, help="null studies in all")
    parser.add_argument(
        "--effect-studies", type=int, default=500, help="with an effect, of each design"
    )
    parser.add_argument("--power-studies", type=int, default=200, help="studies a point of power")
    parser.add_argument("--processes", type=int, default=1, help="studies at a time")
    parser.add_argument("--outcomes", nargs="+", default=OUTCOMES, choices=OUTCOMES)
    options = parser.parse_args()
    started = time.perf_counter()
    each = -(-options.studies // len(PLANS))
    spawned = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(options.processes, spawned) as pool,
    ):
        work = Work(Path(name), pool)
        tally = _false_positives(each, options.outcomes, work)
        coverage = _coverage(options.effect_studies, options.outcomes, work)
        for outcome in options.outcomes:
            for point in power_curve(outcome, options.power_studies, work):
                print("power of {}, {} units a group, effect {}: {:.3f} planned, {:.3f} found"
                      .format(outcome, *point))  # fmt: skip
    result = {}
    for test, values in tally.items():
        table = np.array(values)
        kept = table[~np.isnan(table[:, 0])]
        result[test] = {
            "false_positive_rate": round(float(np.mean(kept[:, 0] < ALPHA)), 4),
            "exact": False,
            "false_positive_rate_cells_as_n": round(float(np.mean(kept[:, 1] < ALPHA)), 4),
            "coverage": round(float(np.mean(coverage[test])), 4) if test in coverage else None,
            "studies": each * len(PLANS),
        }
        print(f"{test}: {result[test]}")
    print(f"{time.perf_counter() - started:.0f} s")
    print(json.dumps(result))


def _false_positives(
    each: int, outcomes: Sequence[str], work: Work
) -> dict[str, list[tuple[float, float]]]:
    """p of every test in studies without an effect, with that of cells taken as n."""
    print(f"{each} null studies of each design; share of p < {ALPHA}")
    tally: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for index, plan in enumerate(PLANS):
        by: dict[tuple[str, str], list[float]] = defaultdict(list)
        for row in run(plan, each, index, 0.0, work, outcomes):
            p, naive = float(row["p"]), float(row["naive_p"])  # type: ignore[arg-type]
            by[str(row["outcome"]), str(row["test"])].append(p)
            tally[str(row["test"])].append((p, naive))
        for (outcome, test), found in by.items():
            ps = np.array(found)
            rate = float(np.mean(ps[~np.isnan(ps)] < ALPHA))
            print(
                f"{plan.name:<26}{outcome:<17}{test:<66}{rate:6.3f}  no p {np.isnan(ps).mean():.3f}"
            )
    return tally


def _coverage(studies: int, outcomes: Sequence[str], work: Work) -> dict[str, list[bool]]:
    """Whether each interval held the truth, in studies with an effect."""
    coverage: dict[str, list[bool]] = defaultdict(list)
    for plan in (Plan("two groups of 7", PLANS[0].factors, 7), PLANS[2]):
        inside: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for row in run(plan, studies, 99, EFFECT, work, outcomes):
            known = truth(row, plan, EFFECT)
            if known is not None and not np.isnan(float(row["p"])):  # type: ignore[arg-type]
                held = bool(row["ci_low"] <= known <= row["ci_high"])  # type: ignore[operator]
                coverage[str(row["test"])].append(held)
                inside[str(row["outcome"]), str(row["test"])].append(held)
        for (outcome, test), held_all in inside.items():
            print(f"{plan.name:<26}{outcome:<17}{test:<66}coverage {np.mean(held_all):.3f}")
    return coverage


if __name__ == "__main__":
    main()
