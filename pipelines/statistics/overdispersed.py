"""Positive cells and counts of things in cells, as totals of units that vary more than chance.

Cells of one donor resemble each other, so that a unit's total varies more than a binomial or a
Poisson number. Fractions have the variance of a random unit effect on the logit, n μ(1 - μ) (1 +
(n - 1) φ μ(1 - μ)) (Williams 1982, Appl. Stat. 31:144, model III); counts have that of a random
effect on the logarithm, μ + φ μ² (Breslow 1984, Appl. Stat. 33:38). φ is such that Pearson's χ²
equals its degrees of freedom, which unlike maximum likelihood is not biased towards too little
variance in few units. Coefficients are those of quasi-likelihood (Wedderburn 1974, Biometrika
61:439). Counts are tested by t with the units' degrees of freedom. Fractions of strongly differing
units are skewed, so that the model's own standard error of their log odds is too small (8 to 10 %
false positives in studies of seven against seven); theirs is that of the jackknife over units
(Efron & Stein 1981, Ann. Stat. 9:586), with degrees of freedom by Satterthwaite (1946).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from pipelines.statistics.design_matrix import Design, estimable
from pipelines.statistics.estimates import Estimates, Replicates, wald
from pipelines.statistics.results import TestResult, joined

Floats = NDArray[np.float64]
Mean = Callable[[Floats], tuple[Floats, Floats]]
"""From the linear predictor to the mean and its slope there."""
Variance = Callable[[Floats, float], Floats]
"""From the mean and φ to the variance."""

BINOMIAL = "binomial model with overdispersion (Williams) on unit totals"
COUNTS = "negative binomial model (moments) on unit totals"
MOST_STEPS = 200
CONVERGED = 1e-9
FARTHEST = 30.0  # Linear predictors beyond it mean fractions that no data can tell from 0 or 1.
MOST_DISPERSION = 1e6


def fit_fractions(positive: Floats, cells: Floats, design: Design) -> Estimates:
    """Fit fractions of positive cells with a logit link.

    Args:
        positive: positive cells of each unit, shape (units,).
        cells: cells of each unit, all above 0.
        design: groups and blocks of the units.
    """

    def mean(predictor: Floats) -> tuple[Floats, Floats]:
        share = expit(predictor)
        return cells * share, cells * share * (1 - share)

    def variance(expected: Floats, dispersion: float) -> Floats:
        plain = expected * (1 - expected / cells)
        return plain * (1 + (cells - 1) * dispersion * plain / cells)

    start = np.log((positive + 0.5) / (cells - positive + 0.5))
    return _with_dispersion(positive, start, mean, variance, design, jackknife=True)


def fit_counts(totals: Floats, cells: Floats, design: Design) -> Estimates:
    """Fit counts per cell with a log link.

    Args:
        totals: sum of the counts of each unit's cells, shape (units,).
        cells: cells of each unit, all above 0.
        design: groups and blocks of the units.
    """

    def mean(predictor: Floats) -> tuple[Floats, Floats]:
        expected = cells * np.exp(predictor)
        return expected, expected

    def variance(expected: Floats, dispersion: float) -> Floats:
        return expected + dispersion * expected**2

    start = np.log((totals + 0.5) / cells)
    return _with_dispersion(totals, start, mean, variance, design)


def compare(
    fit: Estimates | str, test: str, contrast: Sequence[float], design: Design
) -> TestResult:
    """Test one comparison.

    Args:
        fit: of `fit_fractions` or `fit_counts`; a sentence where no fit was possible.
        test: `BINOMIAL` or `COUNTS`.
        contrast: weight of each group, as `Comparison.weights` gives.
        design: that the fit was made with.
    """
    scale = "odds ratio" if test == BINOMIAL else "rate ratio"
    if isinstance(fit, str):
        return TestResult(test, scale, note=fit)
    weights = design.contrast(contrast)
    if not estimable(design.matrix, weights):
        return TestResult(test, scale, note="blocks hold one side only: not estimable")
    if fit.replicates is None:
        return wald(test, scale, fit, weights)
    if why := _too_few(fit.replicates, weights, design):
        estimate = float(np.exp(weights @ fit.beta))
        return TestResult(test, scale, estimate, note=joined(fit.note, why))
    return wald(test, scale, fit, weights)


def _too_few(replicates: Replicates, weights: Floats, design: Design) -> str:
    """Why the jackknife gives a comparison no standard error; empty where it does."""
    used = [code for code in range(len(design.names)) if weights[code] != 0]
    thin = [design.names[c] for c in used if (design.groups == c).sum() < 2]
    if thin:
        return f"fewer than 2 units in {', '.join(thin)}: no test"
    predicted = replicates.beta @ design.matrix[np.isin(design.groups, used)].T
    if np.abs(predicted).max() > FARTHEST / 2:
        return "without one of the units a group has no or only positive cells: no test"
    return ""


def no_estimate(totals: Floats, most: Floats, design: Design) -> str:
    """Say why a ratio has no finite estimate; empty where it has.

    Args:
        totals: positive cells, or counts, of each unit.
        most: the largest possible total of each unit: its cells; infinite for counts.
        design: groups of the units.
    """
    if not totals.any():
        return "every unit is 0: no test"
    for code, name in enumerate(design.names):
        mine = design.groups == code
        if mine.any() and not totals[mine].any():
            return f"every unit of {name} is 0: the ratio has no finite estimate"
        if mine.any() and (totals[mine] == most[mine]).all():
            return f"every cell of {name} is positive: the ratio has no finite estimate"
    if design.df < 1:
        return "no unit more than groups and blocks need: no test"
    return ""


def _with_dispersion(
    totals: Floats,
    start: Floats,
    mean: Mean,
    variance: Variance,
    design: Design,
    *,
    jackknife: bool = False,
) -> Estimates:
    """Choose the φ that makes Pearson's χ² equal to its degrees of freedom."""
    first: Floats = np.linalg.lstsq(design.matrix, start, rcond=None)[0].astype(np.float64)

    def excess(dispersion: float) -> float:
        beta = _fitted(totals, first, dispersion, mean, variance, design.matrix)[0]
        expected = mean(design.matrix @ beta)[0]
        chi_square = float(((totals - expected) ** 2 / variance(expected, dispersion)).sum())
        return chi_square - design.df

    dispersion, note = 0.0, "units vary no more than chance alone"
    if excess(0.0) > 0:
        dispersion, note = MOST_DISPERSION, "dispersion at its upper limit"
        if excess(MOST_DISPERSION) < 0:
            # On a scale that is even in the logarithm of large φ and in φ itself near 0.
            root = brentq(lambda d: excess(np.expm1(d)), 0.0, np.log1p(MOST_DISPERSION))
            dispersion, note = float(np.expm1(root)), ""
    beta, covariance, converged = _fitted(totals, first, dispersion, mean, variance, design.matrix)
    lost = "" if converged else "the fit did not converge"
    fit = Estimates(beta, covariance, design.df, joined(note, lost))
    if not jackknife:
        return fit
    left_out = [
        _fitted(totals, beta, dispersion, mean, variance, design.matrix, kept)[0]
        for kept in design.folds
    ]
    return replace(fit, replicates=Replicates(np.array(left_out), design.strata))


def _fitted(
    totals: Floats,
    start: Floats,
    dispersion: float,
    mean: Mean,
    variance: Variance,
    matrix: Floats,
    kept: NDArray[np.bool_] | None = None,
) -> tuple[Floats, Floats, bool]:
    """Quasi-likelihood of the kept units by scoring: coefficients, covariance, if they settled."""
    counted = np.ones(totals.size) if kept is None else kept.astype(np.float64)
    beta = start
    for _ in range(MOST_STEPS):
        expected, slope = mean(matrix @ beta)
        spread = variance(expected, dispersion)
        information = (matrix.T * (counted * slope**2 / spread)) @ matrix
        covariance: Floats = np.linalg.pinv(information, hermitian=True).astype(np.float64)
        step = covariance @ (matrix.T @ (counted * slope * (totals - expected) / spread))
        longest = float(np.abs(matrix @ step).max())
        # Longer steps overshoot where a fraction is near 0 or 1.
        beta = beta + step * min(1.0, 2.0 / longest) if longest > 0 else beta
        beta = beta * min(1.0, FARTHEST / max(float(np.abs(matrix @ beta).max()), FARTHEST))
        if longest < CONVERGED:
            return beta, covariance, True
    return beta, covariance, False
