"""Which cells a question is about, and where they lie.

Values of a study file match as they are written in the table, upper and lower case too.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from pipelines.study.base import Scalar

Selection = Mapping[str, Scalar | tuple[Scalar, ...]]
"""Column of tables/cells.parquet -> the value, or the values, of the cells that are meant."""


def place_of(columns: Sequence[str]) -> str | None:
    """`cell` or `nucleus`, whichever has its place in µm among the columns."""
    return next((place for place in ("cell", "nucleus") if f"{place}_y_um" in columns), None)


def chosen(selection: Selection) -> pl.Expr:
    """Cells that hold one of the values in every column; a missing value is none of them."""
    kept = pl.lit(value=True)
    for name, given in selection.items():
        kept = kept & pl.col(name).cast(pl.String).is_in(_texts(given)).fill_null(value=False)
    return kept


def written_otherwise(selection: Selection, cells: pl.LazyFrame) -> str:
    """A sentence where no cell has a value but for its upper and lower case; else empty.

    Args:
        selection: its columns are among those of `cells`.
        cells: rows of the cells table.
    """
    for name, given in selection.items():
        there = cells.select(pl.col(name).cast(pl.String).unique()).collect(engine="streaming")
        alike = {text.lower(): text for text in there[name].drop_nulls().sort()}
        for text in _texts(given):
            found = alike.get(text.lower())
            if found is not None and text not in there[name]:
                return f"no cell has {name} '{text}', but some have '{found}'; write it so"
    return ""


def _texts(given: Scalar | tuple[Scalar, ...]) -> list[str]:
    values = given if isinstance(given, tuple) else (given,)
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
