"""Cells to images, images to samples (units), units to groups: one level each.

A group's mean is the mean of its units' means, never of its cells: cells are not the n.

Cells are read one image or unit after the other. A tree of partial counts and moments would need no
less memory, since none is held for the images before, and its medians would not be exact.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from measurements.gating import corrected_fraction

# Values of a unit's cells that are held at a time: 32 MB of float64, or one column.
VALUES_AT_ONCE = 2**22


def summarise_cells(
    cells: Path,
    keys: Sequence[str],
    numbers: Sequence[str],
    flags: Sequence[str],
    exclude: Sequence[str],
    alphas: Mapping[str, float],
    counted: Sequence[str] = (),
) -> pl.DataFrame:
    """Count cells and summarise every column for each combination of `keys`.

    Args:
        cells: tables/cells.parquet.
        keys: columns that name one row of the result.
        numbers: number columns, summarised as NAME_mean, NAME_median and NAME_sd (n - 1).
        flags: boolean columns, summarised as NAME_fraction.
        exclude: boolean columns; a cell that carries any is counted in n_excluded alone.
        alphas: share of negative cells that a flag is on by its definition; such a flag also gets
            NAME_corrected_fraction (`measurements.gating.corrected_fraction`).
        counted: flags that also get NAME_n, the number of cells that carry them.

    Returns:
        keys, n_cells, n_excluded, then the summaries; sorted by keys. NaN is left out. What is
        held at a time is one row's cells, a few columns of them: memory grows with the cells of
        the largest image or unit, not with their number. So medians are exact.
    """
    file = pq.ParquetFile(cells)
    rows = [
        key.hstack(_summary(file, row_groups, numbers, flags, exclude, counted))
        for key, row_groups in _members(file, keys)
    ]
    result = pl.concat(rows) if rows else _nothing(file, keys, numbers, flags, counted)
    for name in flags:
        if name in alphas:
            corrected = _corrected(result, name, alphas[name])
            result.insert_column(result.get_column_index(f"{name}_fraction") + 1, corrected)
    return result.sort(keys)


def summarise_units(
    units: pl.DataFrame, groups: Sequence[str], counted: Sequence[str] = ()
) -> pl.DataFrame:
    """Mean and SD between units, for each group.

    Args:
        units: result of `summarise_cells` at the level of the unit, with n_images.
        groups: columns that are compared.
        counted: see `summarise_cells`; their counts are added up.

    Returns:
        groups, n_units, n_images, n_cells, the counts, then for each NAME_mean or NAME_fraction of
        the units its mean over units and, as NAME_mean_sd or NAME_fraction_sd, its SD between
        units; in the order in which the groups first stand in `units`.
    """
    outcomes = [name for name in units.columns if name.endswith(("_mean", "_fraction"))]
    summaries = [
        summary
        for name in outcomes
        for summary in (pl.col(name).mean(), pl.col(name).std().alias(f"{name}_sd"))
    ]
    return units.group_by(groups, maintain_order=True).agg(
        pl.len().alias("n_units"),
        pl.col("n_images").sum(),
        pl.col("n_cells").sum(),
        *(pl.col(f"{name}_n").sum() for name in counted),
        *summaries,
    )


def reference_first(
    frame: pl.DataFrame, columns: Sequence[str], reference: Mapping[str, object]
) -> pl.DataFrame:
    """Sort by columns, in each of them the reference level before all others.

    Args:
        frame: any table with these columns.
        columns: the most important one first.
        reference: level of some of them, as the table has it.
    """
    order: list[pl.Expr] = []
    for name in columns:
        if name in reference:
            order.append(pl.col(name).eq_missing(pl.lit(reference[name])).not_())
        order.append(pl.col(name))
    return frame.sort(order, nulls_last=True, maintain_order=True) if order else frame


def _corrected(summary: pl.DataFrame, flag: str, alpha: float) -> pl.Series:
    observed = summary[f"{flag}_fraction"].to_numpy()
    return pl.Series(f"{flag}_corrected_fraction", corrected_fraction(observed, alpha)).fill_nan(
        None
    )


def _nothing(
    file: pq.ParquetFile,
    keys: Sequence[str],
    numbers: Sequence[str],
    flags: Sequence[str],
    counted: Sequence[str],
) -> pl.DataFrame:
    """The summary's columns without a row."""
    keys_alone = _frame(file, [], keys)
    without_cells = _summary(file, [], numbers, flags, [], counted)
    return pl.concat([keys_alone, without_cells.clear()], how="horizontal")


def _members(file: pq.ParquetFile, keys: Sequence[str]) -> list[tuple[pl.DataFrame, list[int]]]:
    """Each combination of `keys` as a frame of one row, and the row groups of its images.

    A row group holds cells of one image (`pipelines.tables.write_parquet_rows`).
    """
    members: dict[tuple[object, ...], tuple[pl.DataFrame, list[int]]] = {}
    for number in range(file.num_row_groups):
        found = _frame(file, [number], keys).unique()
        assert found.height <= 1
        for key in found.iter_rows():
            members.setdefault(key, (found, []))[1].append(number)
    return list(members.values())


def _summary(
    file: pq.ParquetFile,
    row_groups: Sequence[int],
    numbers: Sequence[str],
    flags: Sequence[str],
    exclude: Sequence[str],
    counted: Sequence[str],
) -> pl.DataFrame:
    """Counts and summaries of the cells of some row groups, as a frame of one row."""
    n_cells = sum(file.metadata.row_group(number).num_rows for number in row_groups)
    at_once = max(1, VALUES_AT_ONCE // max(1, n_cells))
    names = [*numbers, *flags]
    flagged = [pl.col(name).fill_null(value=False) for name in exclude]
    excluded = pl.any_horizontal(flagged) if flagged else pl.lit(value=False)
    drop = _frame(file, row_groups, exclude).select(excluded.alias("_"))["_"]
    summaries = [pl.DataFrame({"n_cells": n_cells - drop.sum(), "n_excluded": drop.sum()})]
    for first in range(0, len(names), at_once):
        chosen = names[first : first + at_once]
        kept = _frame(file, row_groups, chosen).filter(~drop)
        of_each = [
            [
                *([_count(name)] if name in counted else []),
                *_summaries(name, is_flag=name in flags),
            ]
            for name in chosen
        ]
        summaries.append(kept.select(e for expressions in of_each for e in expressions))
    return pl.concat(summaries, how="horizontal")


def _count(name: str) -> pl.Expr:
    return pl.col(name).sum().cast(pl.Int64).alias(f"{name}_n")


def _summaries(name: str, *, is_flag: bool) -> list[pl.Expr]:
    if is_flag:
        return [pl.col(name).mean().alias(f"{name}_fraction")]
    number = pl.col(name).cast(pl.Float64).fill_nan(None).drop_nulls()
    return [
        number.mean().alias(f"{name}_mean"),
        number.median().alias(f"{name}_median"),
        number.std().alias(f"{name}_sd"),
    ]


def _frame(file: pq.ParquetFile, row_groups: Sequence[int], names: Sequence[str]) -> pl.DataFrame:
    frame = pl.from_arrow(file.read_row_groups(row_groups, columns=list(names)))
    assert isinstance(frame, pl.DataFrame)  # of a table
    return frame
