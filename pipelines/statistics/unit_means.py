"""Tests on the means of units: each donor or animal is one number, whatever its cells.

Variances are never pooled between groups (Welch 1947), since senescent groups vary more than young
ones as a rule, and a pooled variance then gives too many or too few false positives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import t as student
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.oneway import anova_oneway

from pipelines.statistics.results import TestResult, joined

Floats = NDArray[np.float64]
TEST = "Welch t on unit means"
PAIRED = "paired t on unit means"
LEVEL = 0.95
FEW = 3


@dataclass(frozen=True, eq=False)
class Units:
    """One number a unit.

    Attributes:
        values: mean or fraction of each unit, shape (units,).
        groups: code of each unit's group, shape (units,).
        blocks: code of each unit's pair or batch, shape (units,); None without blocks.
        names: of the groups, by code.
    """

    values: Floats
    groups: NDArray[np.intp]
    blocks: NDArray[np.intp] | None
    names: Sequence[str]

    def of(self, group: int) -> Floats:
        """Values of one group."""
        values: Floats = self.values[self.groups == group]
        return values


def compare(units: Units, weights: Sequence[float]) -> TestResult:
    """Estimate and test one comparison.

    Args:
        units: the numbers.
        weights: of each group's mean: positive on the first side, negative on the reference's.

    Returns:
        Without blocks, Welch's t for any number of groups on a side. With blocks, the paired t of
        the blocks that have both sides; where no block has, the means of blocks are compared.
    """
    if units.blocks is None:
        return welch(units, weights)
    first, second = (_block_means(units, weights, sign) for sign in (1, -1))
    shared = sorted(first.keys() & second.keys())
    if shared:
        left_out = len(first.keys() ^ second.keys())
        note = f"{left_out} block(s) with one side only left out" if left_out else ""
        return paired(np.array([first[b] - second[b] for b in shared]), note)
    values = [*first.values(), *second.values()]
    sides = np.repeat([0, 1], [len(first), len(second)])
    between = Units(np.array(values), sides, None, ("the first side", "the reference"))
    note = "no block has both sides: means of blocks are compared"
    result = welch(between, [1, -1])
    return replace(result, note=joined(note, result.note))


def welch(units: Units, weights: Sequence[float]) -> TestResult:
    """Welch's t of a weighted sum of group means.

    SE² = Σ w² s²/n; degrees of freedom by Welch (1947, Biometrika 34:28) and Satterthwaite (1946).
    """
    used = [(w, units.of(g), units.names[g]) for g, w in enumerate(weights) if w != 0]
    measured = all(values.size for _, values, _ in used)
    estimate = float(sum(w * v.mean() for w, v, _ in used)) if measured else np.nan
    thin = [label for _, v, label in used if v.size < 2]
    if thin:
        note = f"fewer than 2 units in {', '.join(thin)}: no test"
        return TestResult(TEST, "difference", estimate, note=note)
    parts = np.array([w**2 * v.var(ddof=1) / v.size for w, v, _ in used])
    free = np.array([v.size - 1 for _, v, _ in used])
    if not _varies([v for _, v, _ in used]):
        return TestResult(TEST, "difference", estimate, note=_constant([v for _, v, _ in used]))
    df = float(parts.sum() ** 2 / (parts**2 / free).sum())
    few = [label for _, v, label in used if v.size < FEW]
    note = f"only 2 units in {', '.join(few)}: not convincing" if few else ""
    spread = float(np.sqrt(sum(v.var(ddof=1) * (v.size - 1) for _, v, _ in used) / free.sum()))
    size = estimate / spread * _small_sample(int(free.sum()))
    return _t_result(TEST, estimate, float(np.sqrt(parts.sum())), df, (size, "Hedges g"), note)


def paired(differences: Floats, note: str = "") -> TestResult:
    """Student's t of the differences within blocks."""
    estimate = float(differences.mean())
    if differences.size < 2:
        note = joined(note, "fewer than 2 blocks with both sides: no test")
        return TestResult(PAIRED, "difference", estimate, note=note)
    spread = float(differences.std(ddof=1))
    if not _varies([differences]):
        note = joined(note, "the difference is the same in every block: no test")
        return TestResult(PAIRED, "difference", estimate, note=note)
    few = "only 2 blocks: not convincing" if differences.size < FEW else ""
    size = estimate / spread * _small_sample(differences.size - 1)
    se = spread / np.sqrt(differences.size)
    effect = (size, "Hedges g of differences")
    return _t_result(PAIRED, estimate, float(se), differences.size - 1, effect, joined(note, few))


def omnibus(units: Units, factors: Sequence[Sequence[str]]) -> dict[str, TestResult]:
    """Whether any level differs: one test for each factor and for the interaction.

    Args:
        units: the numbers.
        factors: for each factor, the level of each group, by code.

    Returns:
        Names such as ``0``, ``1`` and ``0:1`` (positions of the factors) and their tests; nothing
        for two groups, where the comparison says it all. One factor without blocks: Welch's
        analysis of variance (1951, Biometrika 38:330). Else a linear model of the unit means with
        blocks as fixed effects and type III sums of squares.
    """
    present = [g for g in range(len(units.names)) if units.of(g).size]
    if len(present) < 3 and len(factors) < 2:
        return {}
    if len(factors) == 1 and units.blocks is None:
        return {"0": _welch_anova([units.of(g) for g in present])}
    return _linear_model(units, factors)


def _welch_anova(samples: Sequence[Floats]) -> TestResult:
    name = "Welch analysis of variance of unit means"
    if any(sample.size < 2 for sample in samples):
        return TestResult(name, note="a group with fewer than 2 units: no test")
    if any(not _varies([sample]) for sample in samples):
        return TestResult(name, note="a group whose units are all equal: no test")
    found = anova_oneway(samples, use_var="unequal", welch_correction=True)
    return TestResult(
        name,
        statistic=float(found.statistic),
        df=float(found.df_denom),
        df_numerator=float(found.df_num),
        p=float(found.pvalue),
    )


def _linear_model(units: Units, factors: Sequence[Sequence[str]]) -> dict[str, TestResult]:
    """Type III F tests; an interaction only where every combination of levels was measured."""
    name = "analysis of variance of unit means (type III)"
    frame = pd.DataFrame({"y": units.values})
    for i, levels in enumerate(factors):
        frame[f"f{i}"] = np.array(levels)[units.groups]
    names = [f"f{i}" for i in range(len(factors)) if frame[f"f{i}"].nunique() > 1]
    full = len(frame[names].drop_duplicates()) == np.prod([frame[n].nunique() for n in names])
    terms = (" * " if full else " + ").join(f"C({n}, Sum)" for n in names)
    if units.blocks is not None:
        frame["block"] = units.blocks.astype(str)
        terms += " + C(block, Sum)"
    fit = ols(f"y ~ {terms}", frame).fit()
    if fit.df_resid < 1 or np.linalg.matrix_rank(fit.model.exog) < fit.model.exog.shape[1]:
        note = "too few units, or blocks that hold one side only: no test"
        return {"all": TestResult(name, note=note)}
    if not _varies([np.asarray(fit.resid)]):
        return {"all": TestResult(name, note="the units of a group are all equal: no test")}
    note = "" if full else "some combinations of levels were not measured: no interaction"
    return {
        _term(str(term)): TestResult(
            name,
            statistic=float(row["F"]),
            df=float(fit.df_resid),
            df_numerator=float(row["df"]),
            p=float(row["PR(>F)"]),
            note=note,
        )
        for term, row in anova_lm(fit, typ=3).iterrows()
        if str(term).startswith("C(f")
    }


def _term(term: str) -> str:
    """Positions of the factors in a term: ``0:1`` of ``C(f0, Sum):C(f1, Sum)``."""
    return term.replace("C(f", "").replace(", Sum)", "")


def _block_means(units: Units, weights: Sequence[float], sign: int) -> dict[int, float]:
    """For each block that has every group of one side: the mean of the group means there."""
    assert units.blocks is not None  # compare asks for blocks only where there are any
    side = [g for g, w in enumerate(weights) if w * sign > 0]
    found = {}
    for block in np.unique(units.blocks):
        values = [units.values[(units.groups == g) & (units.blocks == block)] for g in side]
        if all(v.size for v in values):
            found[int(block)] = float(np.mean([v.mean() for v in values]))
    return found


def _t_result(
    test: str, estimate: float, se: float, df: float, effect: tuple[float, str], note: str
) -> TestResult:
    reach = float(student.ppf((1 + LEVEL) / 2, df)) * se
    return TestResult(
        test,
        "difference",
        estimate,
        estimate - reach,
        estimate + reach,
        estimate / se,
        df,
        p=float(2 * student.sf(abs(estimate / se), df)),
        effect_size=float(effect[0]),
        effect_size_type=effect[1],
        note=note,
    )


def _small_sample(df: int) -> float:
    """Hedges' exact correction of a standardised difference (1981, J. Educ. Stat. 6:107)."""
    if df < 2:
        return float("nan")
    return float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2))


def _varies(samples: Sequence[Floats]) -> bool:
    """Whether any sample holds different numbers, beyond rounding."""
    return any(np.ptp(s) > 1e-12 * max(1.0, float(np.abs(s).max())) for s in samples if s.size)


def _constant(samples: Sequence[Floats]) -> str:
    values = {float(s[0]) for s in samples}
    if values == {0.0}:
        return "every unit is 0: no test"
    return "the units of each group are all equal: no test"
