"""Cells condensed to number, mean and spread: all that the tests and the cell models need.

A mixed model whose fixed effects are constant within an image sees the cells only through these
three numbers, so that ten million cells cost as much memory as one image's row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.selection import chosen
from pipelines.study.base import Scalar

Kind = Literal["flag", "count", "number"]
COUNTED = "n"
MEAN = "mean"
SQUARES = "squares"
IMAGE = "image_id"


@dataclass(frozen=True)
class Outcome:
    """A column that is compared, and the cells that it is compared in.

    Attributes:
        column: of tables/cells.parquet.
        within: column -> values; a cell counts where every one of them holds. Empty for all cells.
        kind: a flag (its fraction is compared), a count of things in a cell, or any other number.
    """

    column: str
    within: Mapping[str, tuple[Scalar, ...]]
    kind: Kind

    @property
    def subset(self) -> str:
        """The cells in words, such as ``reporter_class secondary or negative``; empty for all."""
        return ", ".join(f"{c} {' or '.join(map(str, v))}" for c, v in self.within.items())


def kind_of(field: pa.Field) -> Kind:
    """What a field of the cells table holds, from its type and its unit."""
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    if pa.types.is_boolean(field.type):
        return "flag"
    return "count" if unit == "count" else "number"


def image_moments(
    cells: Path,
    outcome: Outcome,
    keys: Sequence[str],
    exclude: Sequence[str],
    *,
    logs: bool = False,
) -> pl.DataFrame:
    """Condense each image's cells.

    Args:
        cells: tables/cells.parquet.
        outcome: the column and the cells that count.
        keys: sample columns to keep, constant within an image.
        exclude: flag columns; a cell that carries any is left out.
        logs: take natural logarithms first.

    Returns:
        keys as text (empty where missing), image_id, ``n`` (cells with a value), ``mean``,
        ``squares`` (sum of squared deviations from the mean) and ``smallest`` (value, before any
        logarithm); images without such a cell are missing.
    """
    frame = kept_cells(cells, exclude).filter(chosen(outcome.within))
    value = pl.col(outcome.column).cast(pl.Float64).fill_nan(None)
    by = list(dict.fromkeys((*keys, IMAGE)))
    number = pl.col("value").log() if logs else pl.col("value")
    return (
        frame.select(
            *(pl.col(name).cast(pl.String).fill_null("") for name in by), value.alias("value")
        )
        .drop_nulls("value")
        .group_by(by)
        .agg(
            pl.len().cast(pl.Int64).alias(COUNTED),
            number.mean().alias(MEAN),
            (number.var(ddof=0) * pl.len()).alias(SQUARES),
            pl.col("value").min().alias("smallest"),
        )
        .collect(engine="streaming")
        .sort(by)
    )


def kept_cells(cells: Path, exclude: Sequence[str]) -> pl.LazyFrame:
    """Cells that carry none of the flags; a flag that the table does not have is on no cell."""
    present = set(pq.read_schema(cells).names)
    frame = pl.scan_parquet(cells)
    for name in exclude:
        if name in present:
            frame = frame.filter(~pl.col(name).fill_null(value=False))
    return frame


def merged(moments: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Merge rows that share `keys`.

    The spread of the merged cells is that within the rows and that of the rows' means (Chan, Golub
    & LeVeque 1983, Am. Stat. 37:242).

    Returns:
        keys, ``n``, ``mean``, ``squares``, ``n_images``; sorted by keys.
    """
    n, mean = pl.col(COUNTED), pl.col(MEAN)
    total = (n * mean).sum() / n.sum()
    return (
        moments.group_by(list(keys))
        .agg(
            n.sum(),
            total.alias("merged"),
            (pl.col(SQUARES).sum() + (n * (mean - total) ** 2).sum()).alias(SQUARES),
            pl.col(IMAGE).n_unique().alias("n_images"),
        )
        .rename({"merged": MEAN})
        .select(*keys, COUNTED, MEAN, SQUARES, "n_images")
        .sort(list(keys))
    )
