"""tables/statistics.csv: every outcome, every comparison, unit means first, models beside."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from statsmodels.stats.multitest import multipletests

from pipelines.statistics import unit_means
from pipelines.statistics.cell_models import cell_model, variance_components
from pipelines.statistics.comparisons import Comparison, Group, comparisons
from pipelines.statistics.measured import Measured, measure, units_of
from pipelines.statistics.moments import COUNTED, Outcome, kind_of
from pipelines.statistics.results import TestResult
from pipelines.study.messages import nearest
from pipelines.study.model import OutcomeWithin, Scalar, Statistics, Study

Row = dict[str, object]
ADJUST = {"holm": "holm", "bh": "fdr_bh"}
STATISTICS_COLUMNS = {
    "outcome": "Column of tables/cells.parquet that is compared.",
    "within": "Cells that count; empty for all.",
    "contrast": "The comparison: first level minus reference, or the factors of an omnibus test.",
    "role": "primary: test of unit means; beside: model of the cells, for comparison; "
    "omnibus: whether any level differs.",
    "unit": "The replicate: what is counted as n.",
    "n_units": "Units of the first side; of all groups in an omnibus test.",
    "n_units_reference": "Units of the reference side.",
    "n_images": "Images of the first side.",
    "n_images_reference": "Images of the reference side.",
    "n_cells": "Cells with a value on the first side.",
    "n_cells_reference": "Cells with a value on the reference side.",
    "mean": "Mean over the units of the first side, of their means or fractions.",
    "mean_reference": "The same of the reference side.",
    "estimate": "First side against the reference, on the scale named.",
    "ci_low": "Lower end of the 95 % interval of the estimate.",
    "ci_high": "Upper end of the 95 % interval of the estimate.",
    "scale": "difference (of means, or of fractions), odds ratio, rate ratio, or ratio of "
    "geometric means.",
    "effect_size": "Standardised difference of unit means.",
    "effect_size_type": "Hedges g, or Hedges g of the differences within blocks.",
    "icc": "Intraclass correlation: share of the variance between cells that lies between units.",
    "test": "Test or model.",
    "statistic": "t, or F in an omnibus test.",
    "df": "Degrees of freedom of t, or of F's denominator.",
    "df_numerator": "Degrees of freedom of F's numerator.",
    "p": "Two-sided p-value, not adjusted; empty where no test is possible.",
    "p_adjusted": "Adjusted over all comparisons and outcomes of the same role.",
    "adjust": "holm, bh (Benjamini-Hochberg) or none.",
    "note": "What limits the result; why there is no p, where there is none.",
}
"""What each column of tables/statistics.csv means."""


def statistics_rows(study: Study, cells: Path, order: Sequence[Group]) -> list[Row]:
    """Test every outcome of a study.

    Args:
        study: its design; without statistics there are no rows.
        cells: tables/cells.parquet.
        order: combinations of factor levels as text, in the order of the sample table.

    Returns:
        One row a test with `STATISTICS_COLUMNS`. p-values are adjusted over all outcomes and
        comparisons of a role together: models beside do not make a study's tests more numerous.

    Raises:
        StudyError: a contrast names a factor or level that was not measured.
    """
    design = study.statistics
    if design is None or not cells.is_file():
        return []
    named = list(design.outcomes) or [f"{name}_positive" for name in study.positivity]
    rows = [
        row
        for name in named
        for row in _outcome_rows(name, design, cells, study.exclude.flags, order)
    ]
    return _adjusted(rows, design.adjust)


def find_outcome(named: OutcomeWithin | str, cells: Path) -> Outcome | str:
    """The outcome; a sentence where the cells table has no such column."""
    schema = pq.read_schema(cells)
    within: dict[str, Sequence[Scalar]] = {}
    if isinstance(named, OutcomeWithin):
        within = {c: v if isinstance(v, tuple) else (v,) for c, v in named.within.items()}
    column = named if isinstance(named, str) else named.of
    for name in (column, *within):
        if name not in schema.names:
            return f"the cells table has no column '{name}'; {nearest(name, schema.names)}"
    return Outcome(column, within, kind_of(schema.field(column)))


def _outcome_rows(
    named: OutcomeWithin | str,
    design: Statistics,
    cells: Path,
    exclude: Sequence[str],
    order: Sequence[Group],
) -> list[Row]:
    outcome = find_outcome(named, cells)
    if isinstance(outcome, str):
        column = named if isinstance(named, str) else named.of
        nothing = TestResult("", note=outcome)
        return [{"outcome": column, "unit": design.unit, "role": "primary"} | _numbers(nothing)]
    measured = measure(outcome, design, cells, exclude, order)
    base: Row = {"outcome": outcome.column, "within": outcome.subset, "unit": design.unit}
    if not measured.groups:
        nothing = TestResult("", note="no cell has a value: no test")
        return [base | {"role": "primary"} | _numbers(nothing)]
    rows = [*_omnibus_rows(measured, design), *_comparison_rows(measured, design)]
    return [base | row for row in rows]


def _omnibus_rows(measured: Measured, design: Statistics) -> list[Row]:
    levels = [[group[i] for group in measured.groups] for i in range(len(design.factors))]
    found = unit_means.omnibus(units_of(measured, design), levels)
    counts = _counted(measured, measured.groups, design, "")
    return [
        {"contrast": _effect(key, design.factors), "role": "omnibus"} | counts | _numbers(result)
        for key, result in found.items()
    ]


def _effect(key: str, factors: Sequence[str]) -> str:
    if key == "all":
        return "any level of " + " or ".join(factors)
    return " x ".join(factors[int(position)] for position in key.split(":"))


def _comparison_rows(measured: Measured, design: Statistics) -> list[Row]:
    units = units_of(measured, design)
    components = variance_components(measured, design)
    icc = nan if isinstance(components, str) else components.icc
    model = cell_model(measured, design, components)
    rows = []
    for comparison in comparisons(design, measured.groups):
        weights = comparison.weights(measured.groups)
        sides = _sides(comparison, measured, design)
        primary = replace(unit_means.compare(units, weights), icc=icc)
        for result, role in ((primary, "primary"), (model(weights), "beside")):
            rows.append({"contrast": comparison.name, "role": role} | sides | _numbers(result))
    return rows


def _sides(comparison: Comparison, measured: Measured, design: Statistics) -> Row:
    first = _counted(measured, comparison.first, design, "")
    return first | _counted(measured, comparison.second, design, "_reference")


def _counted(measured: Measured, groups: Sequence[Group], design: Statistics, suffix: str) -> Row:
    """Units, images and cells of some groups, and the mean over groups of their units' mean."""
    mine = measured.units.filter(
        pl.any_horizontal(
            pl.all_horizontal(
                pl.col(factor) == level for factor, level in zip(design.factors, group, strict=True)
            )
            for group in groups
        )
    )
    means = mine.group_by(design.factors).agg(pl.col("mean").mean())["mean"]
    return {
        f"n_units{suffix}": mine.height,
        f"n_images{suffix}": int(mine["n_images"].sum()),
        f"n_cells{suffix}": int(mine[COUNTED].sum()),
        f"mean{suffix}": float(means.to_numpy().mean()),
    }


def _numbers(result: TestResult) -> Row:
    """The result's fields, named as in the table."""
    names = [name for name in STATISTICS_COLUMNS if hasattr(result, name)]
    return {name: getattr(result, name) for name in names}


def _adjusted(rows: list[Row], method: str) -> list[Row]:
    """Add p_adjusted and adjust; each role is a family of its own [judgement]."""
    for row in rows:
        row["adjust"] = method
    for role in ("primary", "beside", "omnibus"):
        family = [row for row in rows if row["role"] == role and not isnan(_p(row))]
        if not family:
            continue
        p = [_p(row) for row in family]
        adjusted = multipletests(p, method=ADJUST[method])[1] if method in ADJUST else p
        for row, value in zip(family, adjusted, strict=True):
            row["p_adjusted"] = float(value)
    return rows


def _p(row: Row) -> float:
    p = row["p"]
    assert isinstance(p, float)
    return p
