"""Which cells a question is about, and where they lie."""

from collections.abc import Mapping, Sequence

import polars as pl

from pipelines.study.base import Scalar


def place_of(columns: Sequence[str]) -> str | None:
    """`cell` or `nucleus`, whichever has its place in µm among the columns."""
    return next((place for place in ("cell", "nucleus") if f"{place}_y_um" in columns), None)


def chosen(selection: Mapping[str, Scalar | tuple[Scalar, ...]]) -> pl.Expr:
    """Cells that hold one of the values in every column; a missing value is none of them."""
    kept = pl.lit(value=True)
    for name, given in selection.items():
        values = given if isinstance(given, tuple) else (given,)
        texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
        kept = kept & pl.col(name).cast(pl.String).is_in(texts).fill_null(value=False)
    return kept
