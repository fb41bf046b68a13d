"""Coefficients of a model, and the test of a weighted sum of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from pipelines.statistics.results import TestResult
from pipelines.statistics.unit_means import LEVEL
from pipelines.statistics.welch_james import Part

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Replicates:
    """Coefficients with one unit (or block) at a time left out.

    Attributes:
        beta: shape (left out, columns).
        strata: group of what was left out, shape (left out,).
    """

    beta: Floats
    strata: NDArray[np.intp]

    def spread(self, weights: Floats) -> tuple[float, float]:
        """Standard error of a weighted sum of coefficients and its degrees of freedom.

        Σ over groups of (n - 1)/n Σ (θ₋ᵢ - mean)²; degrees of freedom by Satterthwaite (1946,
        Biometrics Bull. 2:110). Both NaN where nothing varies.
        """
        variances = [float(weights @ p.covariance @ weights) for p in self.parts.values()]
        total = sum(variances)
        if total <= 0:
            return np.nan, np.nan
        shares = zip(variances, self.parts.values(), strict=True)
        df = total**2 / sum(variance**2 / part.df for variance, part in shares)
        return float(np.sqrt(total)), float(df)

    @property
    def parts(self) -> dict[int, Part]:
        """What each stratum adds to the coefficients' covariance."""
        found = {}
        for stratum in np.unique(self.strata):
            mine = self.beta[self.strata == stratum]
            apart = mine - mine.mean(axis=0)
            share = (len(mine) - 1) / len(mine)
            found[int(stratum)] = Part(share * apart.T @ apart, max(len(mine) - 1, 1))
        return found


@dataclass(frozen=True, eq=False)
class Estimates:
    """Fixed effects of a fitted model.

    Attributes:
        beta: shape (columns,).
        covariance: shape (columns, columns).
        df: units minus the rank of the design.
        note: what limits the fit, in words.
        replicates: where the standard errors are those of the jackknife; else None.
    """

    beta: Floats
    covariance: Floats
    df: int
    note: str
    replicates: Replicates | None = None

    def spread(self, weights: Floats) -> tuple[float, float]:
        """Standard error of a weighted sum of coefficients and its degrees of freedom."""
        if self.replicates is not None:
            return self.replicates.spread(weights)
        return float(np.sqrt(weights @ self.covariance @ weights)), float(self.df)


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
    se, df = estimates.spread(weights)
    reach = float(student.ppf((1 + LEVEL) / 2, df)) * se
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
        df=df,
        p=float(2 * student.sf(abs(estimate / se), df)),
        note=estimates.note,
    )
