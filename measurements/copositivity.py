"""How markers of senescence go together in single cells.

No single marker proves senescence (MICSE, Cell 187:4150), so that every combination is counted
and compared with what chance would bring if the markers were independent. Call this for one
sample at a time: between samples the markers go together as soon as both differ between samples,
whatever the single cells do. Intervals take cells as independent; over samples, compare the
samples' odds ratios.
"""

from collections.abc import Mapping
from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.flags import Flags
from measurements.regions import Floats, divide

LEVEL = 0.95
MAX_MARKERS = 10

COMBINATION = Column(
    "combination",
    "key",
    "str",
    "Markers that the cells are positive (+) and negative (-) for.",
    "every combination, those without cells too",
)
N_POSITIVE = Column(
    "n_markers_positive", "count", "int64", "Markers that are positive.", "combination"
)
N = Column("n", "count", "int64", "Cells with this combination.", "cells with all markers measured")
N_CELLS = Column(
    "n_cells", "count", "int64", "Cells in which all markers were measured.", "not NaN"
)
N_LEFT_OUT = Column(
    "n_left_out", "count", "int64", "Cells left out, some marker not being measured.", "NaN"
)
FRACTION = Column("fraction", "1", "float64", "n over n_cells.", "n / n_cells")
EXPECTED = Column(
    "expected_fraction",
    "1",
    "float64",
    "Fraction if the markers were independent, each being as frequent as it is.",
    "product of the markers' fractions",
)
ENRICHMENT = Column(
    "enrichment",
    "1",
    "float64",
    "Observed over expected fraction; NaN where none is expected.",
    "fraction / expected_fraction",
)
FIRST = Column("first", "key", "str", "One marker of the pair.", "markers")
SECOND = Column("second", "key", "str", "The other marker.", "markers")
BOTH = Column("n_both", "count", "int64", "Cells positive for both.", "2 x 2 table")
ONLY_FIRST = Column("n_only_first", "count", "int64", "Positive for the first.", "2 x 2 table")
ONLY_SECOND = Column("n_only_second", "count", "int64", "Positive for the second.", "2 x 2 table")
NEITHER = Column("n_neither", "count", "int64", "Cells positive for none.", "2 x 2 table")
PHI = Column(
    "phi",
    "1",
    "float64",
    "Correlation of the two markers: 0 independent, 1 always together; NaN where one does not "
    "vary. Its largest value is below 1 where the markers differ in frequency.",
    "Pearson's r of two binary variables",
)
ODDS_RATIO = Column(
    "odds_ratio",
    "1",
    "float64",
    "Odds of the second marker in cells with the first over those in cells without; 1 independent; "
    "NaN where a marker does not vary.",
    "Haldane-Anscombe: 0.5 added to each count (Anscombe 1956, Biometrika 43:461)",
)
ODDS_LOW = Column(
    "odds_ratio_ci_low",
    "1",
    "float64",
    "Lower end of its 95 % interval, cells being taken as independent.",
    "log odds ratio ± 1.96 sqrt(sum of 1/(count + 0.5)); Gart 1966 (Biometrika 53:471)",
)
ODDS_HIGH = Column(
    "odds_ratio_ci_high",
    "1",
    "float64",
    "Upper end of its 95 % interval, cells being taken as independent.",
    ODDS_LOW.source,
)

COMBINATION_COLUMNS = (
    COMBINATION, N_POSITIVE, N, FRACTION, EXPECTED, ENRICHMENT, N_CELLS, N_LEFT_OUT
)  # fmt: skip
"""Columns of `copositivity`."""
PAIR_COLUMNS = (
    FIRST, SECOND, BOTH, ONLY_FIRST, ONLY_SECOND, NEITHER, PHI, ODDS_RATIO, ODDS_LOW, ODDS_HIGH
)  # fmt: skip
"""Columns of `marker_pairs`."""


def copositivity(flags: Mapping[str, ArrayLike]) -> Measured:
    """Count every combination of markers.

    Args:
        flags: marker -> one value a cell of one sample: booleans, or 1, 0 and NaN (not measured).

    Returns:
        One row a combination, all negative first, in the order of the markers; the rows share out
        the cells in which all markers were measured.

    Raises:
        MeasurementError: the flags do not fit each other, or are more than 10 markers.
    """
    read = _checked(flags)
    whole = read.measured.all(axis=1)
    positive = read.positive[whole]
    n_cells, k = positive.shape
    order = 1 << np.arange(k)[::-1]
    n = np.bincount(positive @ order, minlength=1 << k)
    states = np.array(list(product((False, True), repeat=k)))
    share = positive.mean(axis=0) if n_cells else np.full(k, np.nan)
    expected = np.where(states, share, 1 - share).prod(axis=1)
    fraction = n / n_cells if n_cells else np.full(n.size, np.nan)
    signs = np.where(states, "+", "-")
    return {
        COMBINATION: np.array([_shown(read.markers, row) for row in signs]),
        N_POSITIVE: states.sum(axis=1),
        N: n,
        FRACTION: fraction,
        EXPECTED: expected,
        ENRICHMENT: divide(fraction, expected),
        N_CELLS: np.full(n.size, n_cells),
        N_LEFT_OUT: np.full(n.size, read.measured.shape[0] - n_cells),
    }


def marker_pairs(flags: Mapping[str, ArrayLike]) -> Measured:
    """Association of every two markers, over the cells in which both were measured.

    Args:
        flags: as in `copositivity`.

    Returns:
        One row a pair.

    Raises:
        MeasurementError: the flags do not fit each other, or are more than 10 markers.
    """
    read = _checked(flags)
    pairs = list(combinations(range(len(read.markers)), 2))
    counts = np.array([_two_by_two(read, *pair) for pair in pairs], dtype=np.int64).reshape(-1, 4)
    odds, low, high = _odds_ratio(counts)
    names = np.array(read.markers)
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    both, only_first, only_second, neither = counts.T
    return {
        FIRST: names[first],
        SECOND: names[second],
        BOTH: both,
        ONLY_FIRST: only_first,
        ONLY_SECOND: only_second,
        NEITHER: neither,
        PHI: _phi(counts),
        ODDS_RATIO: odds,
        ODDS_LOW: low,
        ODDS_HIGH: high,
    }


def _checked(given: Mapping[str, ArrayLike]) -> Flags:
    flags = Flags.of(given)
    if len(flags.markers) > MAX_MARKERS:
        raise MeasurementError(
            f"{len(flags.markers)} markers were given, which have {2 ** len(flags.markers)} "
            f"combinations; at most {MAX_MARKERS} can be counted: choose the markers that matter."
        )
    return flags


def _shown(markers: tuple[str, ...], signs: np.ndarray) -> str:
    return " ".join(marker + sign for marker, sign in zip(markers, signs, strict=True))


def _two_by_two(flags: Flags, first: int, second: int) -> tuple[int, int, int, int]:
    measured = flags.measured[:, first] & flags.measured[:, second]
    a, b = flags.positive[measured, first], flags.positive[measured, second]
    return int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum())


def _phi(counts: np.ndarray) -> Floats:
    both, first, second, neither = counts.T.astype(np.float64)
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    return divide(both * neither - first * second, np.sqrt(margins))


def _odds_ratio(counts: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """Odds ratio and both ends of its interval."""
    a, b, c, d = cells = counts.T + 0.5
    varies = np.isfinite(_phi(counts))
    log = np.where(varies, np.log(a * d / (b * c)), np.nan)
    reach = norm.ppf((1 + LEVEL) / 2) * np.sqrt((1 / cells).sum(axis=0))
    return np.exp(log), np.exp(log - reach), np.exp(log + reach)
