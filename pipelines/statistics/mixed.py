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
from scipy.linalg import solve_triangular
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
    """Coefficients, their covariance and twice the negative restricted log-likelihood.

    Units are independent, so that their covariance matrices are handled one by one.
    """
    parts = [_unit_terms(cells, design, variances, residual, rows) for rows in _by_unit(cells)]
    information, crossed, squared, log_determinant = (
        sum(terms) for terms in zip(*parts, strict=True)
    )
    inverse = np.linalg.pinv(np.asarray(information), hermitian=True)
    beta = inverse @ np.asarray(crossed)
    between = float(log_determinant) + _log_determinant(np.asarray(information))
    between += float(squared) - float(beta @ np.asarray(crossed))
    free = cells.n.sum() - cells.n.size
    within = free * np.log(residual) + cells.squares.sum() / residual
    return beta, inverse, float(between + within)


def _by_unit(cells: Moments) -> list[NDArray[np.intp]]:
    """Rows of each unit."""
    order = np.argsort(cells.levels[0], kind="stable")
    ends = np.flatnonzero(np.diff(cells.levels[0][order])) + 1
    return list(np.split(order, ends))


def _unit_terms(
    cells: Moments, design: Design, variances: Floats, residual: float, rows: NDArray[np.intp]
) -> tuple[Floats, Floats, float, float]:
    """X'V⁻¹X, X'V⁻¹y, y'V⁻¹y and log |V| of one unit."""
    covariance = np.diag(residual / cells.n[rows])
    for variance, codes in zip(variances, cells.levels, strict=True):
        covariance += variance * (codes[rows, None] == codes[rows])
    factor = np.linalg.cholesky(covariance)
    both = np.column_stack([design.matrix[rows], cells.mean[rows]])
    half = solve_triangular(factor, both, lower=True, check_finite=False)
    products = half.T @ half
    log_determinant = 2 * float(np.log(np.diag(factor)).sum())
    return products[:-1, :-1], products[:-1, -1], float(products[-1, -1]), log_determinant


def _log_determinant(matrix: Floats) -> float:
    """Of a symmetric matrix on its own range, since blocks can make it singular."""
    values = np.linalg.eigvalsh(matrix)
    return float(np.log(values[values > 1e-10 * values.max()]).sum())
