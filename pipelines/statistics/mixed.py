"""A linear mixed model of cells, from the moments of the smallest level.

Model: value = group (+ block) + unit + nested levels + cell, all random parts normal. Where the
fixed effects are constant within the smallest level, the likelihood of the cells is that of the
level's means, with variance σ²/n added, times that of the deviations within it; so the restricted
likelihood (Patterson & Thompson 1971, Biometrika 58:545) of any number of cells is a function of
one row a level. Comparisons are tested by t with the units' degrees of freedom, which in a balanced
design is the exact test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipelines.statistics.design_matrix import Design, estimable
from pipelines.statistics.estimates import Estimates, wald
from pipelines.statistics.results import TestResult

Floats = NDArray[np.float64]
TEST = "linear mixed model of cells (REML)"
NONE = 1e-7  # A share of the variance below which a level is said to have none.


@dataclass(frozen=True, eq=False)
class Moments:
    """Cells of the smallest level, condensed.

    Attributes:
        n: cells, shape (rows,).
        mean: their mean.
        squares: their sum of squared deviations from it.
        levels: for each random level from the unit down to the smallest, the code of each row's
            member, shape (rows,) each; codes are unique over the study.
    """

    n: Floats
    mean: Floats
    squares: Floats
    levels: Sequence[NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A fitted model.

    Attributes:
        estimates: of the fixed effects.
        variances: of each random level, from the unit down.
        residual: variance between cells of the smallest level.
    """

    estimates: Estimates
    variances: Floats
    residual: float

    @property
    def icc(self) -> float:
        """Share of the variance between cells that lies between units."""
        total = float(self.variances.sum()) + self.residual
        return float(self.variances[0] / total) if total > 0 else np.nan


def fit_mixed(cells: Moments, design: Design) -> MixedFit | str:
    """Fit the model.

    Args:
        cells: moments of the smallest level.
        design: fixed effects of its rows.

    Returns:
        The fit, or a sentence that says why there is none.
    """
    units = np.unique(cells.levels[0]).size
    df = int(units - np.linalg.matrix_rank(design.matrix))
    free = cells.n.sum() - cells.n.size
    if df < 1:
        return "no unit more than groups and blocks need: no test"
    if free < 1:
        return "one cell in each of the smallest levels: no model of cells"
    within = float(cells.squares.sum() / free)
    total = within + float(np.var(cells.mean))
    if total <= 0 or within <= 1e-12 * total:
        return "the cells of a unit are all equal: no model of cells"
    start = _start(cells, within)
    ends = [_minimised(cells, design, point, within) for point in start]
    parameters, _, converged = min(ends, key=lambda found: found[1])
    variances, residual = np.exp(parameters[:-1]), float(np.exp(parameters[-1]))
    variances = np.where(variances < NONE * (variances.sum() + residual), 0.0, variances)
    beta, covariance, _ = _profile(cells, design, variances, residual)
    note = "" if converged else "the fit did not converge"
    if variances[0] == 0:
        note = "the variance between units is estimated as 0"
    return MixedFit(Estimates(beta, covariance, df, note), variances, residual)


def compare(
    fit: MixedFit | str, contrast: Sequence[float], design: Design, *, logs: bool
) -> TestResult:
    """Test one comparison.

    Args:
        fit: of `fit_mixed`.
        contrast: weight of each group.
        design: that the fit was made with.
        logs: whether the values are natural logarithms; the estimate is then a ratio.
    """
    scale = "ratio of geometric means" if logs else "difference"
    test = f"{TEST}, logarithms" if logs else TEST
    if isinstance(fit, str):
        return TestResult(test, scale, note=fit)
    weights = design.contrast(contrast)
    if not estimable(design.matrix, weights):
        return TestResult(test, scale, note="blocks hold one side only: not estimable")
    return replace(wald(test, scale, fit.estimates, weights), icc=fit.icc)


def _start(cells: Moments, within: float) -> list[Floats]:
    """Logarithms of variances to start from: much and little above the cells."""
    spread = max(float(np.var(cells.mean)), 1e-6 * within)
    levels = len(cells.levels)
    return [np.log([*([spread * share / levels] * levels), within]) for share in (1.0, 0.05)]


def _minimised(
    cells: Moments, design: Design, start: Floats, within: float
) -> tuple[Floats, float, bool]:
    """The least negative likelihood from one start: where, its value, whether it was found."""
    low, high = np.log(within) - 25, np.log(within + float(np.var(cells.mean))) + 10
    bounds = [*[(low, high)] * (start.size - 1), (np.log(within) - 3, np.log(within) + 3)]
    found = minimize(
        lambda p: _profile(cells, design, np.exp(p[:-1]), float(np.exp(p[-1])))[2],
        start,
        method="L-BFGS-B",
        bounds=bounds,
    )
    return found.x, float(found.fun), bool(found.success)


def _profile(
    cells: Moments, design: Design, variances: Floats, residual: float
) -> tuple[Floats, Floats, float]:
    """Coefficients, their covariance and twice the negative restricted log-likelihood."""
    products, log_determinant = _products(cells, design.matrix, variances, residual)
    information, crossed, squared = products[:-1, :-1], products[:-1, -1], products[-1, -1]
    inverse: Floats = np.linalg.pinv(information, hermitian=True).astype(np.float64)
    beta = inverse @ crossed
    between = log_determinant + _log_determinant(information)
    between += float(squared) - float(beta @ crossed)
    free = cells.n.sum() - cells.n.size
    within = free * np.log(residual) + cells.squares.sum() / residual
    return beta, inverse, float(between + within)


def _products(
    cells: Moments, matrix: Floats, variances: Floats, residual: float
) -> tuple[Floats, float]:
    """(X y)'V⁻¹(X y), shape (columns + 1, columns + 1), and log |V|.

    Each level adds a constant to the covariance of its members' rows, which Sherman & Morrison
    (1950, Ann. Math. Stat. 21:124) invert: of a member, sums with weights V⁻¹ are all that the
    level above needs. So no matrix of rows is ever made.
    """
    both = np.column_stack([matrix, cells.mean])
    weight = cells.n / residual
    sums = weight[:, None] * both
    products = both.T @ sums
    log_determinant = float(np.log(residual / cells.n).sum())
    codes: NDArray[np.intp] = np.arange(cells.n.size)
    for variance, level in zip(variances[::-1], cells.levels[::-1], strict=True):
        members, first, own = np.unique(level, return_index=True, return_inverse=True)
        within = own[codes]
        weight = np.bincount(within, weight, members.size).astype(np.float64)
        sums = np.stack([np.bincount(within, s, members.size) for s in sums.T], axis=1)
        shrink = 1 + variance * weight
        products -= (sums.T * (variance / shrink)) @ sums
        log_determinant += float(np.log(shrink).sum())
        weight, sums, codes = weight / shrink, sums / shrink[:, None], first
    return products, log_determinant


def _log_determinant(matrix: Floats) -> float:
    """Of a symmetric matrix on its own range, since blocks can make it singular."""
    values = np.linalg.eigvalsh(matrix)
    return float(np.log(values[values > 1e-10 * values.max()]).sum())
