"""Whether any group differs, where groups vary unlike: the test of Welch and James."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher

from pipelines.statistics.results import TestResult

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """What the units of one group add to the covariance of all groups' estimates.

    Attributes:
        covariance: shape (groups, groups).
        df: units of the group less 1.
    """

    covariance: Floats
    df: float


def welch_james(
    test: str, estimates: Floats, parts: Sequence[Part], contrasts: Floats
) -> TestResult:
    """Test that some weighted sums of group estimates are all 0.

    Johansen 1980 (Biometrika 67:85): T = (Cθ)'(CVC')⁻¹Cθ over q + 2A - 6A/(q + 2) is taken as F
    with q and q(q + 2)/(3A) degrees of freedom, where A = ½ Σ [tr((VᵢR)²) + tr(VᵢR)²]/dfᵢ and
    R = C'(CVC')⁻¹C. For one sum it is Welch's t squared, for all groups of one factor Welch's
    analysis of variance (1951, Biometrika 38:330).

    Args:
        test: its name.
        estimates: θ of each group, shape (groups,).
        parts: of V, one a group of units.
        contrasts: C, shape (q, groups), of full rank.
    """
    covariance = np.sum([part.covariance for part in parts], axis=0)
    between = contrasts @ covariance @ contrasts.T
    q = contrasts.shape[0]
    if np.linalg.matrix_rank(between, hermitian=True) < q:
        return TestResult(test, note="groups whose units are all equal: no test")
    sums = contrasts @ estimates
    reach = contrasts.T @ np.linalg.solve(between, contrasts)
    shares = [part.covariance @ reach for part in parts]
    a = sum(
        (float(np.trace(share @ share)) + float(np.trace(share)) ** 2) / (2 * part.df)
        for share, part in zip(shares, parts, strict=True)
    )
    statistic = float(sums @ np.linalg.solve(between, sums)) / (q + 2 * a - 6 * a / (q + 2))
    df = q * (q + 2) / (3 * a)
    return TestResult(
        test,
        statistic=statistic,
        df=df,
        df_numerator=float(q),
        p=float(fisher.sf(statistic, q, df)),
    )


def effects(factors: Sequence[Sequence[str]]) -> Mapping[str, Floats]:
    """Contrasts of group means that are 0 without a main effect, or an interaction.

    Args:
        factors: for each factor, the level of each group.

    Returns:
        ``0``, ``1``, ``0:1`` and so on (positions of factors) -> weights (sums, groups): every
        combination of other levels counts alike. Nothing where a combination has no group.
    """
    coded = [_coded(levels) for levels in factors]
    varied = [i for i, matrix in enumerate(coded) if matrix.shape[1]]
    columns, names = [np.ones((len(factors[0]), 1))], [""]
    for size in range(1, len(varied) + 1):
        for chosen in combinations(varied, size):
            product = columns[0]
            for factor in chosen:
                product = (product[:, :, None] * coded[factor][:, None]).reshape(len(product), -1)
            columns.append(product)
            names += [":".join(map(str, chosen))] * product.shape[1]
    matrix = np.hstack(columns)
    if matrix.shape[0] != matrix.shape[1]:
        return {}
    inverse = np.linalg.inv(matrix)
    return {name: inverse[np.array(names) == name] for name in dict.fromkeys(names[1:])}


def _coded(levels: Sequence[str]) -> Floats:
    """A column for each level but the last, which is -1 in all of them."""
    names = list(dict.fromkeys(levels))
    places = np.array([names.index(level) for level in levels])
    rows = np.vstack([np.eye(len(names) - 1), np.full((1, len(names) - 1), -1.0)])
    coded: Floats = rows[places]
    return coded
