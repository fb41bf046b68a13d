"""Cells to images, images to samples (units), units to groups: one level each.

A group's mean is the mean of its units' means, never of its cells: cells are not the n.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from measurements.gating import corrected_fraction

KEPT = "_kept"


def summarise_cells(
    cells: Path,
    keys: Sequence[str],
    numbers: Sequence[str],
    flags: Sequence[str],
    exclude: Sequence[str],
    alphas: Mapping[str, float],
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

    Returns:
        keys, n_cells, n_excluded, then the summaries; sorted by keys. One column is read at a
        time, so that memory does not grow with the number of columns. NaN is left out.
    """
    result = _counts(cells, keys, exclude)
    for name in (*numbers, *flags):
        kept = _read(cells, keys, exclude, name).filter(pl.col(KEPT))
        group = kept.group_by(keys, maintain_order=True)
        value = pl.col(name)
        if name in flags:
            summary = group.agg(value.mean().alias(f"{name}_fraction"))
        else:
            number = value.cast(pl.Float64).fill_nan(None).drop_nulls()
            summary = group.agg(
                number.mean().alias(f"{name}_mean"),
                number.median().alias(f"{name}_median"),
                number.std().alias(f"{name}_sd"),
            )
        if name in alphas:
            summary = summary.with_columns(_corrected(summary, name, alphas[name]))
        result = result.join(summary, on=list(keys), how="left", nulls_equal=True)
    return result.sort(keys)


def summarise_units(units: pl.DataFrame, groups: Sequence[str]) -> pl.DataFrame:
    """Mean and SD between units, for each group.

    Args:
        units: result of `summarise_cells` at the level of the unit, with n_images.
        groups: columns that are compared.

    Returns:
        groups, n_units, n_images, n_cells, then for each NAME_mean or NAME_fraction of the units
        its mean over units and, as NAME_mean_sd or NAME_fraction_sd, its SD between units; in the
        order in which the groups first stand in `units`.
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


def _counts(cells: Path, keys: Sequence[str], exclude: Sequence[str]) -> pl.DataFrame:
    group = _read(cells, keys, exclude).group_by(keys, maintain_order=True)
    return group.agg(pl.col(KEPT).sum().alias("n_cells"), (~pl.col(KEPT)).sum().alias("n_excluded"))


def _read(cells: Path, keys: Sequence[str], exclude: Sequence[str], *names: str) -> pl.DataFrame:
    """The keys, the named columns, and whether each cell is kept."""
    wanted = list(dict.fromkeys((*keys, *exclude, *names)))
    flags = [pl.col(name).fill_null(value=False) for name in exclude]
    excluded = pl.any_horizontal(flags) if flags else pl.lit(value=False)
    return pl.read_parquet(cells, columns=wanted).with_columns((~excluded).alias(KEPT))
