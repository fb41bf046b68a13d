"""Coefficients of a model, and the test of a weighted sum of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from pipelines.statistics.results import TestResult
from pipelines.statistics.unit_means import LEVEL

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimates:
    """Fixed effects of a fitted model.

    Attributes:
        beta: shape (columns,).
        covariance: shape (columns, columns).
        df: units minus the rank of the design.
        note: what limits the fit, in words.
    """

    beta: Floats
    covariance: Floats
    df: int
    note: str


def wald(test: str, scale: str, estimates: Estimates, weights: Floats) -> TestResult:
    """Test a weighted sum of coefficients by Student's t.

    Args:
        test: name of the test.
        scale: what the estimate is; every scale but ``difference`` is a ratio, whose logarithm the
            coefficients are.
        estimates: the coefficients.
        weights: shape (columns,).
    """
    estimate = float(weights @ estimates.beta)
    se = float(np.sqrt(weights @ estimates.covariance @ weights))
    reach = float(student.ppf((1 + LEVEL) / 2, estimates.df)) * se
    ends = np.array([estimate, estimate - reach, estimate + reach])
    if scale != "difference":
        with np.errstate(over="ignore"):
            ends = np.exp(ends)
    return TestResult(
        test,
        scale,
        estimate=float(ends[0]),
        ci_low=float(ends[1]),
        ci_high=float(ends[2]),
        statistic=estimate / se,
        df=estimates.df,
        p=float(2 * student.sf(abs(estimate / se), estimates.df)),
        note=estimates.note,
    )
