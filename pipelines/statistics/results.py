"""What a test says, in numbers or in words."""

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class TestResult:
    """One test of one comparison.

    Attributes:
        test: its name.
        scale: what `estimate` is: a difference, an odds ratio, a rate ratio, a ratio of geometric
            means; empty for a test without one.
        estimate: first side against the reference; NaN where there is none.
        ci_low: lower end of the 95 % interval.
        ci_high: upper end.
        statistic: t or F.
        df: degrees of freedom of t, or the denominator's of F.
        df_numerator: degrees of freedom of F's numerator; NaN for t.
        p: two-sided; NaN where no test is possible.
        effect_size: standardised difference; NaN where it is not defined.
        effect_size_type: which one.
        icc: share of the variance between cells that lies between units; NaN where unknown.
        note: what limits the result, in words; says why where there is no p.
    """

    __test__ = False  # Not a test case, whatever pytest makes of the name.

    test: str
    scale: str = ""
    estimate: float = nan
    ci_low: float = nan
    ci_high: float = nan
    statistic: float = nan
    df: float = nan
    df_numerator: float = nan
    p: float = nan
    effect_size: float = nan
    effect_size_type: str = ""
    icc: float = nan
    note: str = ""


def joined(*notes: str) -> str:
    """Notes as one sentence each, without empty ones and repetitions."""
    return "; ".join(dict.fromkeys(note for note in notes if note))
