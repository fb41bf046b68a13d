"""copositivity.csv and marker_pairs.csv: which markers single cells are positive for together.

Combinations are counted unit by unit, since between units markers go together as soon as both
differ between units; a group is the mean of its units, as everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import stats

from measurements.columns import Column, Measured
from measurements.copositivity import (
    COMBINATION_COLUMNS,
    LEVEL,
    MAX_MARKERS,
    ODDS_HIGH,
    ODDS_LOW,
    PAIR_COLUMNS,
    copositivity,
    marker_pairs,
)
from measurements.regions import Floats
from pipelines.run.cohort import Cohort, cohort_of
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.positivity import Gates
from pipelines.study.check import Checked
from pipelines.tables import write_csv

OF = Column(
    "level", "key", "str", "unit: the cells of one unit; group: its units, of which fractions and "
    "phi are means, counts sums and odds ratios geometric means.", "run",
)  # fmt: skip
N_UNITS = Column("n_units", "count", "int64", "Units that the row is about.", "run")
BETWEEN = "standard deviation (n - 1) of units"
FRACTION_SD = Column("fraction_sd", "1", "float64", "SD of the fraction between units.", BETWEEN)
PHI_SD = Column("phi_sd", "1", "float64", "SD of phi between units.", BETWEEN)
OF_UNITS = "; of a group: t interval of its units' log odds ratios, from 2 units"
COUNTS = ("n", "n_cells", "n_left_out", "n_both", "n_only_first", "n_only_second", "n_neither")


@dataclass(frozen=True)
class CoDesign(Cohort):
    """Whose cells are counted together, and for which markers.

    Attributes:
        markers: those with a cell that was judged, in the order of the study.
    """

    markers: Sequence[str]


@dataclass(frozen=True)
class CoTable:
    """One of the two tables: units first, then groups."""

    rows: list[dict[str, object]]
    columns: list[Column]


def write_together(
    checked: Checked, parts: Sequence[Part], layout: Layout, gates: Gates
) -> dict[str, list[Column]]:
    """Write the two tables, or remove them where the study has no two markers.

    Args:
        checked: the study and its images.
        parts: the images that are in the tables.
        layout: of the run, whose cells table is written.
        gates: the thresholds; a marker whose every threshold was refused is left out.

    Returns:
        Table -> its columns.
    """
    tables = count_together(layout, _design(checked, layout, gates)) if parts else {}
    for name in ("copositivity", "marker_pairs"):
        if name in tables:
            columns = [column.name for column in tables[name].columns]
            write_csv(layout.table(name), tables[name].rows, columns)
        else:
            layout.table(name).unlink(missing_ok=True)
    return {name: table.columns for name, table in tables.items()}


def _design(checked: Checked, layout: Layout, gates: Gates) -> CoDesign:
    decided = {key.name for key, gate in gates.decided.items() if np.isfinite(gate.threshold)}
    markers = [name for name in gates.rules if name in decided]
    return CoDesign(**vars(cohort_of(checked, layout)), markers=markers)


def count_together(layout: Layout, design: CoDesign) -> dict[str, CoTable]:
    """Count combinations and pairs of markers in every unit and group.

    Args:
        layout: of the run, whose cells table is written.
        design: whose cells are counted together.

    Returns:
        Table -> its content; none under 2 markers, or over `MAX_MARKERS`.
    """
    if not 2 <= len(design.markers) <= MAX_MARKERS:
        return {}
    units = list(_units(layout, design))
    combined = pl.concat([_rows(unit, design, copositivity) for unit in units])
    paired = pl.concat([_rows(unit, design, marker_pairs) for unit in units])
    # Ten markers have a thousand combinations, most of them on no cell of the study.
    occurring = combined.filter(pl.col("n").sum().over("combination") > 0)
    return {
        "copositivity": _table(occurring, ["combination"], COMBINATION_COLUMNS, design),
        "marker_pairs": _table(paired, ["first", "second"], PAIR_COLUMNS, design),
    }


def _units(layout: Layout, design: CoDesign) -> Sequence[pl.DataFrame]:
    """The flags of each unit's cells that are not excluded."""
    flags = [f"{marker}_positive" for marker in design.markers]
    names = list(dict.fromkeys([*design.unit_names, *flags, *design.exclude]))
    return design.by_unit(design.kept(pl.read_parquet(layout.cells, columns=names)))


def _rows(
    unit: pl.DataFrame, design: CoDesign, count: Callable[[Mapping[str, Floats]], Measured]
) -> pl.DataFrame:
    """What one of the two counts says of one unit, with the columns that name it."""
    flags = {
        marker: unit[f"{marker}_positive"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for marker in design.markers
    }
    counted = pl.DataFrame({column.name: values for column, values in count(flags).items()})
    counted = counted.with_columns(pl.col(pl.Float64).fill_nan(None))
    key = [pl.lit(unit[name][0], dtype=unit[name].dtype).alias(name) for name in design.unit_names]
    one = pl.lit(1, dtype=pl.Int64).alias(N_UNITS.name)
    return counted.select(pl.lit("unit").alias(OF.name), *key, one, pl.all())


def _table(
    units: pl.DataFrame, by: Sequence[str], columns: Sequence[Column], design: CoDesign
) -> CoTable:
    groups = _grouped(units, by, design) if design.groups else units.clear()
    frame = pl.concat([units, groups], how="diagonal_relaxed")
    spreads = [c for c in (FRACTION_SD, PHI_SD) if c.name in frame.columns]
    defined = [OF, *design.units, N_UNITS, *map(_of_groups_too, columns), *spreads]
    return CoTable(frame.select(c.name for c in defined).to_dicts(), defined)


def _grouped(units: pl.DataFrame, by: Sequence[str], design: CoDesign) -> pl.DataFrame:
    """The units' rows of one group as one row, in the order in which groups stand."""
    present = set(units.columns)
    means = [name for name in ("fraction", "expected_fraction", "phi") if name in present]
    summaries = [pl.col(name).sum() for name in COUNTS if name in present]
    summaries += [pl.col(name).mean() for name in means]
    summaries += [
        pl.col(column.name.removesuffix("_sd")).std().alias(column.name)
        for column in (FRACTION_SD, PHI_SD)
        if column.name.removesuffix("_sd") in present
    ]
    summaries += [pl.col(name).first() for name in ("n_markers_positive",) if name in present]
    if "odds_ratio" in present:
        logs = pl.col("odds_ratio").log()
        summaries += [logs.mean().alias("_log"), logs.std().alias("_sd"), logs.count().alias("_n")]
    key = [*design.groups, *by]
    groups = units.group_by(key, maintain_order=True).agg(pl.len().alias(N_UNITS.name), *summaries)
    groups = groups.with_columns(
        pl.lit("group").alias(OF.name), pl.col(N_UNITS.name).cast(pl.Int64)
    )
    if "odds_ratio" in present:
        return _with_odds(groups)
    enrichment = pl.col("fraction") / pl.col("expected_fraction")
    return groups.with_columns(enrichment.fill_nan(None).alias("enrichment"))


def _with_odds(groups: pl.DataFrame) -> pl.DataFrame:
    """Geometric mean of the units' odds ratios with its t interval."""
    n = groups["_n"].to_numpy().astype(np.float64)
    mean, sd = (
        groups[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in ("_log", "_sd")
    )
    enough = np.where(n > 1, n, np.nan)
    reach = stats.t.ppf((1 + LEVEL) / 2, enough - 1) * sd / np.sqrt(enough)
    ends = {"odds_ratio": mean, ODDS_LOW.name: mean - reach, ODDS_HIGH.name: mean + reach}
    found = [pl.Series(name, np.exp(logs)).fill_nan(None) for name, logs in ends.items()]
    return groups.with_columns(found).drop("_log", "_sd", "_n")


def _of_groups_too(column: Column) -> Column:
    """The definition of a unit's column, which says what a group's row has there."""
    if column in (ODDS_LOW, ODDS_HIGH):
        return replace(column, source=column.source + OF_UNITS)
    return column
