"""Tests on fractions of units, on the scale where fractions vary alike.

Where donors differ strongly, a fraction of few positive cells is skewed: Welch's t on the fractions
themselves then found 1 % false positives at 5 %, and missed a fifth of the effects that the
angular scale finds. Only the groups' means are transformed, never a unit's own fraction, which
would shift the means of units with few cells.

Where a percentile of the reference's cells is the gate, the reference's fraction is held near its
share of false positives, and what is uncertain is where the gate stands: the error of all other
fractions. `compare_gated` has it in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t as student

from pipelines.statistics import unit_means
from pipelines.statistics.design_matrix import Design
from pipelines.statistics.estimates import Replicates
from pipelines.statistics.results import TestResult, joined
from pipelines.statistics.unit_means import LEVEL, Units
from pipelines.statistics.welch_james import Part, effects, welch_james

Floats = NDArray[np.float64]
DIFFERENCE = np.array([1.0, -1.0])
TEST = "Welch t on unit fractions, arcsine scale"
GATED = "jackknife t on unit fractions and gate, logit scale"
GATED_PAIRS = "paired jackknife t on unit fractions and gate"
OMNIBUS = "Welch-James F on unit fractions, arcsine scale"
GATED_OMNIBUS = "jackknife Welch-James F on unit fractions and gate, logit scale"


def compare(units: Units, weights: Sequence[float]) -> TestResult:
    """Estimate and test the difference of two sides' mean fractions.

    Each side's mean m of unit fractions is taken as the angle asin √m, whose variance is that of
    m times 1 / 4m(1 - m) (delta method; Bartlett 1947, Biometrics 3:39); degrees of freedom as by
    Welch (1947, Biometrika 34:28). Since sin²a - sin²b = sin(a + b) sin(a - b), the interval of
    the difference a - b is one of m₁ - m₂ that holds 0 exactly where p is above 0.05.

    Args:
        units: fractions from 0 to 1. With blocks, the paired t of `unit_means` is given.
        weights: of each group's mean: positive on the first side, negative on the reference's.
    """
    plain = unit_means.compare(units, weights)
    if units.blocks is not None:
        return plain
    if np.isnan(plain.p):
        return replace(plain, test=TEST)
    parts, free, angles = [], [], []
    for sign in (1, -1):
        side = [(abs(w), units.of(g)) for g, w in enumerate(weights) if w * sign > 0]
        mean = float(sum(w * values.mean() for w, values in side))
        angles.append(float(np.arcsin(np.sqrt(mean))))
        varying = [(w, values) for w, values in side if np.ptp(values) > 0]
        slope = 1 / (4 * mean * (1 - mean)) if varying else 0.0
        parts += [slope * w**2 * values.var(ddof=1) / values.size for w, values in varying]
        free += [values.size - 1 for _, values in varying]
    se = float(np.sqrt(sum(parts)))
    df = sum(parts) ** 2 / sum(part**2 / f for part, f in zip(parts, free, strict=True))
    difference, total = angles[0] - angles[1], angles[0] + angles[1]
    reach = float(student.ppf((1 + LEVEL) / 2, df)) * se
    ends = np.clip([difference - reach, difference + reach], -np.pi / 2, np.pi / 2)
    low, high = np.sin(total) * np.sin(ends)
    return replace(
        plain,
        test=TEST,
        ci_low=float(low),
        ci_high=float(high),
        statistic=difference / se,
        df=float(df),
        p=float(2 * student.sf(abs(difference / se), df)),
    )


def compare_gated(
    units: Units, weights: Sequence[float], cells: Floats, refolded: Floats | str
) -> TestResult:
    """Estimate and test the difference of two sides' mean fractions, the gate's error within.

    Each unit, or whole block, is left out of the means and of the gate at once (see `regated`);
    standard errors are those of the jackknife (Efron & Stein 1981, Ann. Stat. 9:586).

    Without blocks each side's mean is taken as its logit, whose deviations are those of the mean
    times 1 / m(1 - m) (delta method). The interval moves both sides apart and together as far as
    they vary with their difference, so that it holds 0 exactly where p is above 0.05. With blocks
    the mean difference within blocks is taken as it is.

    Args:
        units: fractions from 0 to 1.
        weights: of each group's mean: positive on the first side, negative on the reference's.
        cells: of each unit. A side without any positive cell is taken to have half a one, or, with
            positive cells alone, half a negative one (Haldane 1956, Ann. Hum. Genet. 20:309).
        refolded: fractions (folds, units) with each fold left out of the gate; or in words why
            there are none, which is noted beside a test that takes the gate as given.
    """
    plain = compare(units, weights)
    if np.isnan(plain.p):
        return plain
    if isinstance(refolded, str):
        return _taking_the_gate_as_given(plain, refolded)
    if units.blocks is not None:
        return _paired(units, weights, refolded, plain)
    return _unpaired(units, weights, cells, refolded, plain)


def _taking_the_gate_as_given(plain: TestResult, why: str) -> TestResult:
    return replace(plain, note=joined(plain.note, f"takes the gate as exact: {why}"))


def omnibus(
    units: Units,
    factors: Sequence[Sequence[str]],
    cells: Floats | None = None,
    refolded: Floats | str | None = None,
) -> Mapping[str, TestResult]:
    """Whether any level differs in its fraction: one test for each factor and for interactions.

    On the scales of `compare` and `compare_gated`, each group with its own variance (see
    `welch_james`). With blocks, or where a combination of levels was not measured, it is the
    analysis of variance of `unit_means`.

    Args:
        units: fractions from 0 to 1.
        factors: for each factor, the level of each group, by code.
        cells: of each unit; needed with `refolded`.
        refolded: as in `compare_gated`, where a gate of control cells tells who is positive.
    """
    several = len(units.names) > 2 or len(factors) > 1
    whole = all(units.of(group).size >= 2 for group in range(len(units.names)))
    contrasts = effects(factors) if several and whole and units.blocks is None else {}
    gated = None if isinstance(refolded, str) or not contrasts else refolded
    if gated is not None and cells is not None:
        angles, replicates = _logits(units, np.eye(len(units.names)), cells, gated)
        name, parts = GATED_OMNIBUS, list(replicates.parts.values())
    else:
        name, (angles, parts) = OMNIBUS, _angles(units)
    found = {key: welch_james(name, angles, parts, sums) for key, sums in contrasts.items()}
    given = found or unit_means.omnibus(units, factors)
    if refolded is None or gated is not None:
        return given
    why = refolded if isinstance(refolded, str) else "with blocks or too few units it is not known"
    return {key: _taking_the_gate_as_given(test, why) for key, test in given.items()}


def _angles(units: Units) -> tuple[Floats, list[Part]]:
    """Angle of each group's mean fraction, and its variance by the units of that group alone."""
    angles, parts = [], []
    for group in range(len(units.names)):
        values = units.of(group)
        mean = float(values.mean())
        angles.append(np.arcsin(np.sqrt(mean)))
        covariance = np.zeros((len(units.names), len(units.names)))
        if np.ptp(values) > 0:
            covariance[group, group] = values.var(ddof=1) / values.size / (4 * mean * (1 - mean))
        parts.append(Part(covariance, values.size - 1))
    return np.array(angles), parts


def _logits(
    units: Units, sides: Floats, cells: Floats, refolded: Floats
) -> tuple[Floats, Replicates]:
    """Logits of weighted means of groups, and the same with each unit left out, to first order.

    Args:
        units: fractions.
        sides: weights of groups, shape (sides, groups), none below 0.
        cells: of each unit.
        refolded: as in `compare_gated`.
    """
    design = Design.of(units.groups, None, units.names)
    means = sides @ _group_means(units, units.values, np.ones(units.values.size, dtype=bool))
    half = 0.5 / (design.matrix @ (sides > 0).T).T.dot(cells)
    means = np.clip(means, half, 1 - half)
    left_out = [
        sides @ _group_means(units, values, kept)
        for values, kept in zip(refolded, design.folds, strict=True)
    ]
    return logit(means), Replicates(np.array(left_out) / (means * (1 - means)), design.strata)


def _unpaired(
    units: Units,
    weights: Sequence[float],
    cells: Floats,
    refolded: Floats,
    plain: TestResult,
) -> TestResult:
    sides = np.array([np.maximum(weights, 0.0), np.maximum(np.negative(weights), 0.0)])
    angles, replicates = _logits(units, sides, cells, refolded)
    difference = float(angles[0] - angles[1])
    se, df = replicates.spread(DIFFERENCE)
    if np.isnan(se):
        return _taking_the_gate_as_given(plain, "the fractions do not vary with it")
    reach = float(student.ppf((1 + LEVEL) / 2, df)) * se
    first = _share_of_first(replicates, se)
    ends = [
        expit(angles[0] + first * step) - expit(angles[1] - (1 - first) * step)
        for step in (-reach, reach)
    ]
    return replace(
        plain,
        test=GATED,
        ci_low=float(ends[0]),
        ci_high=float(ends[1]),
        statistic=difference / se,
        df=df,
        p=float(2 * student.sf(abs(difference / se), df)),
    )


def gated_sds(
    units: Units, groups: tuple[int, int], cells: Floats, refolded: Floats
) -> tuple[float, float]:
    """What one unit more or less of two groups moves their logit difference, the gate with it.

    Args:
        units: fractions, without blocks.
        groups: codes of the group that is compared, and of its reference.
        cells: of each unit.
        refolded: as in `compare_gated`.

    Returns:
        SD of a unit of each group: the variance of the difference is the sum of SD²/n.
    """
    sides = np.eye(len(units.names))[list(groups)]
    parts = _logits(units, sides, cells, refolded)[1].parts
    first, second = (
        float(np.sqrt(DIFFERENCE @ parts[g].covariance @ DIFFERENCE * units.of(g).size))
        for g in groups
    )
    return first, second


def _group_means(units: Units, values: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Mean of the kept units of each group; 0 for a group without any."""
    return np.array(
        [
            values[mine].mean() if (mine := kept & (units.groups == group)).any() else 0.0
            for group in range(len(units.names))
        ]
    )


def _share_of_first(replicates: Replicates, se: float) -> float:
    """By how much the first side moves when the difference moves by 1: cov / variance."""
    first = replicates.spread(np.array([1.0, 0.0]))[0]
    second = replicates.spread(np.array([0.0, 1.0]))[0]
    return float((np.nan_to_num(first) ** 2 - np.nan_to_num(second) ** 2 + se**2) / (2 * se**2))


def _paired(
    units: Units, weights: Sequence[float], refolded: Floats, plain: TestResult
) -> TestResult:
    blocks = units.blocks
    assert blocks is not None  # asked by compare_gated
    design = Design.of(units.groups, blocks, units.names)
    left_out = []
    for values, kept in zip(refolded, design.folds, strict=True):
        rest = Units(values[kept], units.groups[kept], blocks[kept], units.names)
        left_out.append(unit_means.compare(rest, weights).estimate)
    if np.isnan(left_out).any() or not plain.test.startswith("paired"):
        return _taking_the_gate_as_given(plain, "no pairs are left without one of them")
    # About the estimate itself and not about the replicates' mean:
    # gates of fewer controls lie lower, which their own mean would hide. About it, 7 % of null
    # studies of six pairs were false positives.
    n, df = len(left_out), plain.df
    squares = float(((np.array(left_out) - plain.estimate) ** 2).sum())
    if squares <= 0:
        return _taking_the_gate_as_given(plain, "the fractions do not vary with it")
    se = float(np.sqrt((n - 1) / n * squares))
    reach = float(student.ppf((1 + LEVEL) / 2, df)) * se
    return replace(
        plain,
        test=GATED_PAIRS,
        ci_low=plain.estimate - reach,
        ci_high=plain.estimate + reach,
        statistic=plain.estimate / se,
        df=df,
        p=float(2 * student.sf(abs(plain.estimate / se), df)),
    )
