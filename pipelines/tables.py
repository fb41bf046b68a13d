"""The one room that writes tables: Parquet with definitions in its field metadata, and CSV.

Every file is written beside its place and renamed into it, so that a reader or a stopped run
never sees half a table; a table that would not change is left untouched.
"""

import csv
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.columns import Column, Measured
from pipelines.files import replacing

ARROW_NAMES = {"float64": "double", "str": "string"}


def arrow_table(measured: Measured) -> pa.Table:
    """A table with one row a region, each field carrying its definition as metadata.

    Args:
        measured: column -> values, all of the same length.
    """
    fields = [_field(column, arrow_values(values)) for column, values in measured.items()]
    return pa.Table.from_arrays(
        [array for _, array in fields], schema=pa.schema([field for field, _ in fields])
    )


def arrow_values(values: NDArray[Any]) -> pa.Array:
    """One column's values; those that a masked array masks are missing."""
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    return pa.array(np.ascontiguousarray(np.ma.getdata(values)), mask=mask)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write `table` to `path` as one row group, whole or not at all."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, table.num_rows or None, compression="zstd")


def write_parquet_rows(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables below each other, one row group each, never more than one in memory.

    The first table fixes the schema; without any table there is no file.
    """
    rows = iter(tables)
    first = next(rows, None)
    if first is None:
        path.unlink(missing_ok=True)
        return
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, first.schema, compression="zstd") as writer,
    ):
        for table in itertools.chain([first], rows):
            writer.write_table(table, table.num_rows or None)


def row_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The tables that `write_parquet_rows` wrote below each other, one in memory at a time.

    Args:
        path: of the Parquet file.
        columns: names of those wanted. Default: all.
    """
    file = pq.ParquetFile(path)
    return (file.read_row_group(number, columns) for number in range(file.num_row_groups))


def write_csv(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write rows as CSV with a header; a row may lack columns, which stay empty.

    Floats are written so that they read back as the same number; a missing value, None or NaN,
    is an empty field.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def columns_of(schema: pa.Schema) -> list[Column]:
    """The columns of a Parquet table, from the metadata of its fields."""
    return [_column_of(field, _metadata(field)) for field in schema]


def definition_rows(table: str, columns: Iterable[Column]) -> list[dict[str, str]]:
    """Rows of the columns table, one for each column of `table`."""
    return [
        {
            "table": table,
            "column": column.name,
            "unit": column.unit,
            "dtype": ARROW_NAMES.get(column.dtype, column.dtype),
            "meaning": column.meaning,
            "source": column.source,
        }
        for column in columns
    ]


def aggregated_columns(schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Names of the number columns and of the flag columns that aggregates make sense for."""
    chosen = [field for field in schema if _metadata(field).get("aggregate") == "true"]
    flags = [field.name for field in chosen if pa.types.is_boolean(field.type)]
    numbers = [
        field.name
        for field in chosen
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
    ]
    return numbers, flags


def with_constants(
    table: pa.Table, constants: Mapping[Column, str | int | float | None]
) -> pa.Table:
    """`table` with leading columns that hold one value each, such as an image's sample columns."""
    arrays, fields = [], []
    for column, value in constants.items():
        kind = {"str": pa.string(), "int64": pa.int64(), "float64": pa.float64()}[column.dtype]
        arrays.append(pa.array([value] * table.num_rows, type=kind))
        fields.append(_field(column, arrays[-1])[0])
    schema = pa.schema([*fields, *table.schema])
    return pa.Table.from_arrays([*arrays, *table.columns], schema=schema)


def append_arrow(table: pa.Table, column: Column, array: pa.Array) -> pa.Table:
    """`table` with one further, defined column behind its own."""
    return table.append_column(*_field(column, array))


def _cell(value: object) -> object:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing else value


def _field(column: Column, array: pa.Array) -> tuple[pa.Field, pa.Array]:
    metadata = {
        "unit": column.unit,
        "meaning": column.meaning,
        "source": column.source,
        "aggregate": "true" if column.aggregate else "false",
    }
    return pa.field(column.name, array.type, metadata=metadata), array


def _column_of(field: pa.Field, said: Mapping[str, str]) -> Column:
    return Column(
        name=field.name,
        unit=said.get("unit", ""),
        dtype=str(field.type),
        meaning=said.get("meaning", ""),
        source=said.get("source", ""),
        aggregate=said.get("aggregate") == "true",
    )


def _metadata(field: pa.Field) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
