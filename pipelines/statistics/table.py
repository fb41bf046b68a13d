"""tables/statistics.csv: every outcome, every comparison, unit means first, models beside."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from measurements.columns import Column
from pipelines.selection import written_otherwise
from pipelines.statistics import unit_fractions, unit_means
from pipelines.statistics.cell_models import Compare, cell_model, variance_components
from pipelines.statistics.comparisons import Comparison, Group, comparisons
from pipelines.statistics.measured import Measured, measure, units_of
from pipelines.statistics.moments import COUNTED, Outcome, kind_of
from pipelines.statistics.regated import percentile_gate, regated, several_gates
from pipelines.statistics.results import TestResult
from pipelines.statistics.unit_means import Units
from pipelines.statistics.unit_values import section_value
from pipelines.study.base import Scalar
from pipelines.study.messages import nearest
from pipelines.study.model import OutcomeWithin, Statistics, Study

Row = dict[str, object]
Floats = NDArray[np.float64]
ADJUST = {"holm": "holm", "bh": "fdr_bh"}


def _text(name: str, meaning: str) -> Column:
    return Column(name, "key", "str", meaning, "study file", aggregate=False)


def _count(name: str, meaning: str) -> Column:
    return Column(name, "count", "int64", meaning, "rows of the cells table")


def _number(name: str, unit: str, meaning: str, source: str) -> Column:
    return Column(name, unit, "float64", meaning, source)


OF_OUTCOME, ON_SCALE = "unit of the outcome", "on the scale named"
MODELS = (
    "pipelines.statistics: Welch 1947, Bartlett 1947, Williams 1982, Efron & Stein 1981, "
    "Breslow 1984, Patterson & Thompson 1971"
)
STATISTICS_COLUMNS = (
    _text("outcome", "Column of tables/cells.parquet, or of zonation.csv or densities.csv, that is "
          "compared."),
    _text("within", "Cells that count; empty for all."),
    _text("contrast", "First level minus reference; the factors, in an omnibus test."),
    _text("role", "primary: test of unit means; beside: model of the cells, for comparison; "
          "omnibus: whether any level differs."),
    _text("unit", "The replicate: what is counted as n."),
    _count("n_units", "Units of the first side; of all groups, in an omnibus test."),
    _count("n_units_reference", "Units of the reference side."),
    _count("n_images", "Images of the first side."),
    _count("n_images_reference", "Images of the reference side."),
    _count("n_cells", "Cells with a value on the first side."),
    _count("n_cells_reference", "Cells with a value on the reference side."),
    _number("mean", OF_OUTCOME, "Mean of the units' means or fractions on the first side.", "mean"),
    _number("mean_reference", OF_OUTCOME, "The same of the reference side.", "mean"),
    _number("estimate", ON_SCALE, "First side against the reference.", MODELS),
    _number("ci_low", ON_SCALE, "Lower end of the estimate's 95 % interval.", MODELS),
    _number("ci_high", ON_SCALE, "Upper end of the estimate's 95 % interval.", MODELS),
    _text("scale", "difference (of means, or of fractions), odds ratio, rate ratio or ratio of "
          "geometric means."),
    _number("effect_size", "SD of unit means", "Standardised difference of unit means.",
            "Hedges 1981 (J. Educ. Stat. 6:107)"),
    _text("effect_size_type", "Hedges g, or Hedges g of the differences within blocks."),
    _number("icc", "1", "Intraclass correlation: share of the variance between cells that lies "
            "between units.", "variance components by REML"),
    _text("test", "Test or model."),
    _number("statistic", "1", "t; F in an omnibus test.", MODELS),
    _number("df", "1", "Degrees of freedom of t, or of F's denominator.", MODELS),
    _number("df_numerator", "1", "Degrees of freedom of F's numerator.", MODELS),
    _number("p", "1", "Two-sided p-value, not adjusted; empty where no test is possible.", MODELS),
    _number("p_adjusted", "1", "Adjusted over all outcomes and comparisons of the same role.",
            "Holm 1979 (Scand. J. Stat. 6:65); Benjamini & Hochberg 1995 (JRSS B 57:289)"),
    _text("adjust", "How: holm, bh (Benjamini and Hochberg) or none."),
    _text("note", "What limits the result; why there is no p, where there is none."),
)  # fmt: skip


def statistics_rows(study: Study, cells: Path) -> list[Row]:
    """Test every outcome of a study.

    Args:
        study: its design; without statistics there are no rows.
        cells: tables/cells.parquet.

    Returns:
        One row a test with `STATISTICS_COLUMNS`. p-values are adjusted over all outcomes and
        comparisons of a role together: models beside do not make a study's tests more numerous.

    Raises:
        StudyError: a contrast names a factor or level that was not measured.
    """
    design = study.statistics
    if design is None or not cells.is_file():
        return []
    rows = [row for name in outcomes_of(study) for row in _outcome_rows(name, study, design, cells)]
    return _adjusted(rows, design.adjust)


def outcomes_of(study: Study) -> list[OutcomeWithin | str]:
    """What a study compares: its outcomes; without any, its positivity rules."""
    named = study.statistics.outcomes if study.statistics else ()
    return list(named) or [f"{name}_positive" for name in study.positivity]


def find_outcome(named: OutcomeWithin | str, cells: Path) -> Outcome | str:
    """The outcome; a sentence where the cells table has no such column, or a value otherwise."""
    schema = pq.read_schema(cells)
    within: dict[str, tuple[Scalar, ...]] = {}
    if isinstance(named, OutcomeWithin):
        within = {c: v if isinstance(v, tuple) else (v,) for c, v in named.within.items()}
    column = named if isinstance(named, str) else named.of
    for name in (column, *within):
        if name not in schema.names:
            return f"the cells table has no column '{name}'; {nearest(name, schema.names)}"
    if otherwise := written_otherwise(within, pl.scan_parquet(cells)):
        return otherwise
    return Outcome(column, within, kind_of(schema.field(column)))


def _outcome_rows(
    named: OutcomeWithin | str, study: Study, design: Statistics, cells: Path
) -> list[Row]:
    outcome = find_outcome(named, cells)
    if isinstance(outcome, Outcome):
        measured = measure(outcome, design, cells, study.exclude.flags)
    else:
        column = named if isinstance(named, str) else named.of
        of_units = section_value(column, cells, design) if isinstance(named, str) else None
        if of_units is None:
            nothing = TestResult("", note=outcome)
            return [{"outcome": column, "unit": design.unit, "role": "primary"} | _numbers(nothing)]
        measured, outcome = of_units, of_units.outcome
    base: Row = {"outcome": outcome.column, "within": outcome.subset, "unit": design.unit}
    if not measured.groups:
        nothing = TestResult("", note="no cell has a value: no test")
        return [base | {"role": "primary"} | _numbers(nothing)]
    fractions: Floats | str | None = None
    if (rule := percentile_gate(outcome, study)) is not None:
        fractions = regated(measured, design, rule, cells, study.exclude.flags)
    elif several_gates(outcome, study):
        fractions = "a class comes from the gates of several reporters"
    rows = [
        *_omnibus_rows(measured, design, fractions),
        *_comparison_rows(measured, design, fractions),
    ]
    return [base | row for row in rows]


def _omnibus_rows(
    measured: Measured, design: Statistics, fractions: Floats | str | None
) -> list[Row]:
    levels = [[group[i] for group in measured.groups] for i in range(len(design.factors))]
    units = units_of(measured, design)
    if measured.outcome.kind == "flag":
        cells = measured.units[COUNTED].to_numpy().astype(np.float64)
        found = unit_fractions.omnibus(units, levels, cells, fractions)
    else:
        found = unit_means.omnibus(units, levels)
    counts = _counted(measured, measured.groups, design, "")
    return [
        {"contrast": _effect(key, design.factors), "role": "omnibus"} | counts | _numbers(result)
        for key, result in found.items()
    ]


def _effect(key: str, factors: Sequence[str]) -> str:
    if key == "all":
        return "any level of " + " or ".join(factors)
    return " x ".join(factors[int(position)] for position in key.split(":"))


def _comparison_rows(
    measured: Measured, design: Statistics, fractions: Floats | str | None
) -> list[Row]:
    """Test and model of every comparison; `fractions` are those that `regated` gives, if any."""
    units = units_of(measured, design)
    if measured.images.is_empty():
        return _of_units(measured, units, design)
    components = variance_components(measured, design)
    icc = nan if isinstance(components, str) else components.icc
    model = cell_model(measured, design, components)
    compare = _unit_test(measured, units, fractions)
    rows = []
    for comparison in comparisons(design, measured.groups):
        weights = comparison.weights(measured.groups)
        sides = _sides(comparison, measured, design)
        primary = replace(compare(weights), icc=icc)
        for result, role in ((primary, "primary"), (model(weights), "beside")):
            rows.append({"contrast": comparison.name, "role": role} | sides | _numbers(result))
    return rows


def _unit_test(measured: Measured, units: Units, fractions: Floats | str | None) -> Compare:
    """The test of unit means or fractions, by what the outcome is."""
    if measured.outcome.kind != "flag":
        return lambda weights: unit_means.compare(units, weights)
    if fractions is None:
        return lambda weights: unit_fractions.compare(units, weights)
    cells = measured.units[COUNTED].to_numpy().astype(np.float64)
    return lambda weights: unit_fractions.compare_gated(units, weights, cells, fractions)


def _of_units(measured: Measured, units: Units, design: Statistics) -> list[Row]:
    """Comparisons of what has one value a unit: no cells, no model of cells."""
    rows: list[Row] = []
    for comparison in comparisons(design, measured.groups):
        result = unit_means.compare(units, comparison.weights(measured.groups))
        sides = _sides(comparison, measured, design)
        rows.append({"contrast": comparison.name, "role": "primary"} | sides | _numbers(result))
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
    names = [column.name for column in STATISTICS_COLUMNS if hasattr(result, column.name)]
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
