"""Outcomes that whole sections have, such as cells per mm²: one value a unit, none a cell."""

from pathlib import Path

import polars as pl

from pipelines.statistics.measured import Measured, groups_in_order, unit_keys
from pipelines.statistics.moments import COUNTED, IMAGE, MEAN, Outcome
from pipelines.study.model import Statistics

TABLES = ("zonation", "densities")
UNIT_LEVEL = "unit"


def section_value(name: str, cells: Path, design: Statistics) -> Measured | None:
    """The units' values of a column of zonation.csv or densities.csv.

    Args:
        name: the column.
        cells: tables/cells.parquet, beside which these tables lie.
        design: the study's.

    Returns:
        None where no table has such a column of numbers.
    """
    keys = unit_keys(design)
    for table in TABLES:
        path = cells.with_name(f"{table}.csv")
        if not path.is_file():
            continue
        frame = pl.read_csv(path, infer_schema=False)
        if not {name, *keys, "level"} <= set(frame.columns) or name in keys:
            continue
        units = _units(frame.filter(pl.col("level") == UNIT_LEVEL), name, keys)
        found = set(units.select(design.factors).iter_rows())
        groups = [group for group in groups_in_order(cells, design.factors) if group in found]
        outcome = Outcome(name, {}, "number")
        return Measured(outcome, tuple(groups), units, units.clear(), (design.unit,), logs=False)
    return None


def _units(frame: pl.DataFrame, name: str, keys: tuple[str, ...]) -> pl.DataFrame:
    return (
        frame.select(
            *(pl.col(key).fill_null("") for key in keys),
            pl.col("n_cells").cast(pl.Int64).alias(COUNTED),
            pl.col(name).cast(pl.Float64, strict=False).alias(MEAN),
            pl.col("n_images").cast(pl.Int64),
        )
        .with_columns(pl.lit("").alias(IMAGE))
        .filter(pl.col(MEAN).is_finite())
        .sort(list(keys))
    )
