"""Groups of spread.csv: means of units, with intervals and p-values over units."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

Row = dict[str, object]
LEVEL = 0.95


def group_rows(rows: Sequence[Row], groups: Sequence[str]) -> list[Row]:
    """Means of units with a t interval, for each group and bound of one question.

    Args:
        rows: of the units.
        groups: columns that are compared; without any there are no groups.
    """
    if not groups:
        return []
    members: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row.get("within_um") is not None:
            key = (*(row[name] for name in groups), row["within_um"])
            members.setdefault(key, []).append(row)
    found = []
    for key, units in members.items():
        shared = dict(zip([*groups, "within_um"], key, strict=True))
        found.append({"level": "group", "name": units[0]["name"]} | shared | _summary(units))
    return found


def _summary(units: Sequence[Row]) -> Row:
    """One group's row."""

    def finite(name: str) -> np.ndarray:
        values = np.array([unit[name] for unit in units], dtype=np.float64)
        return values[np.isfinite(values)]

    counts = ("n_sections", "n_sections_used", "n_sources", "n_responders", "n_near", "n_far")
    row: Row = {name: int(finite(name).sum()) for name in counts}
    row["n_units"] = len(units)
    for name in ("near_fraction", "far_fraction", "difference", "difference_with_contact"):
        row[name] = _mean(finite(name))
    row["ci_low"], row["ci_high"] = _interval(finite("difference"))
    if finite("difference").size >= 2:
        row["p"] = float(stats.ttest_1samp(finite("difference"), 0.0).pvalue)
    logs = np.log(finite("range_um"))
    ends = (_mean(logs), *_interval(logs))
    for name, value in zip(("range_um", "range_ci_low_um", "range_ci_high_um"), ends, strict=True):
        row[name] = float(np.exp(value))
    return row | {name: units[0][name] for name in ("contact_um", "n_shifts", "seed")}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else np.nan


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean by Student's t; NaN under 2 values."""
    if values.size < 2:
        return np.nan, np.nan
    reach = stats.t.ppf((1 + LEVEL) / 2, values.size - 1) * values.std(ddof=1)
    middle = values.mean()
    return (
        float(middle - reach / np.sqrt(values.size)),
        float(middle + reach / np.sqrt(values.size)),
    )
