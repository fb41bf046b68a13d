"""Cells as events of a flow cytometer: FCS 3.1 files for gating in cytometry software.

FCS (Spidlen et al. 2010, Cytometry A 77:97) holds numbers only, 32-bit floats here. What tells
which cell an event is, is therefore the channel ``row``: its place in the table of cells, by which
gates that were drawn elsewhere can be joined back.
"""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import SenescopeError, StudyError
from pipelines.files import replacing

ROW = "row"
MAX_WHOLE = 2**24
"""Whole numbers up to here are exact in 32 bits."""
MAX_VALUE = float(np.finfo(np.float32).max)
CYTOMETER = "senescope"
LEFT_OUT_KEYWORD = "SENESCOPE_CELLS_LEFT_OUT"
DESCRIBING = "SAMPLE_"
"""Put before the names of columns that become keywords: no keyword of the standard starts so."""


@dataclass(frozen=True, slots=True)
class Written:
    """One FCS file.

    Attributes:
        path: where it is.
        n_events: cells in it.
        n_left_out: cells that lack a value in some channel: cytometry software reads no gaps.
    """

    path: Path
    n_events: int
    n_left_out: int


def write_fcs_files(
    folder: Path,
    cells: pa.Table,
    channels: Sequence[str],
    by: str | None = None,
    describing: Sequence[str] = (),
) -> list[Written]:
    """Write one FCS file for each value of a column, like one for each tube of a cytometer.

    Args:
        folder: where ``VALUE.fcs`` go; made where it is missing.
        cells: the table of cells; units in its fields' metadata become the channels' second names.
        channels: columns of numbers or flags that become channels, behind ``row``.
        by: column whose values part the cells, such as the sample; None for one ``cells.fcs``.
        describing: columns of the sample, by which cytometry software can group files: each becomes
            a keyword of the files in which it has one value.

    Raises:
        StudyError: a column is missing or holds no numbers, a number does not fit in 32 bits, or
            two values would have the same file name.
    """
    _check_columns(cells, channels, by)
    rows = np.arange(cells.num_rows)
    if by is None:
        return [write_fcs(folder / "cells.fcs", cells, channels, rows, describing)]
    values = np.array([str(value) for value in cells[by].to_pylist()], dtype=np.str_)
    names = _file_names(by, list(dict.fromkeys(values.tolist())))
    return [
        write_fcs(folder / name, cells, channels, rows[values == value], describing)
        for value, name in names.items()
    ]


def write_fcs(
    path: Path,
    cells: pa.Table,
    channels: Sequence[str],
    rows: NDArray[np.int64],
    describing: Sequence[str] = (),
) -> Written:
    """Write some rows of a table as one FCS file, whole or not at all.

    Args:
        path: the file.
        cells: the table.
        channels: columns of numbers or flags.
        rows: rows of the table that become events, in this order.
        describing: see `write_fcs_files`.

    Raises:
        StudyError: a number does not fit in 32 bits.
        SenescopeError: flowio is not installed.
    """
    try:
        import flowio
    except ModuleNotFoundError as error:
        raise SenescopeError(
            "Writing FCS files needs the library flowio; install it with "
            "`pip install 'senescope[fcs]'`, or `uv sync --extra fcs` in a copy of the repository."
        ) from error
    columns = {name: _numbers(cells[name], name)[rows] for name in channels}
    events = np.column_stack([_exact(rows.astype(np.float64), ROW), *columns.values()])
    kept = events[np.isfinite(events).all(axis=1)]
    flat = array("f")
    flat.frombytes(kept.astype(np.float32).tobytes())
    left_out = len(events) - len(kept)
    keywords = {"FIL": path.name, "CYT": CYTOMETER, LEFT_OUT_KEYWORD: str(left_out)}
    keywords |= _descriptions(cells, describing, rows)
    keywords |= {f"P{n}R": _range(column) for n, column in enumerate(kept.T, start=1)}
    with replacing(path) as temporary, temporary.open("wb") as file:
        flowio.create_fcs(file, flat, [ROW, *columns], ["", *_units(cells, channels)], keywords)
    return Written(path, len(kept), left_out)


def _check_columns(cells: pa.Table, channels: Sequence[str], by: str | None) -> None:
    missing = [
        name for name in (*channels, by) if name is not None and name not in cells.schema.names
    ]
    if missing or not channels:
        raise StudyError(
            f"FCS needs at least one column of the table of cells; {', '.join(missing) or 'none'} "
            f"was asked for. There are: {', '.join(cells.schema.names)}."
        )
    wrong = [name for name in channels if not _is_number(cells.schema.field(name).type)]
    wrong += [name for name in channels if "," in name or name == ROW]
    if wrong or len(set(channels)) < len(channels):
        raise StudyError(
            f"Channels of an FCS file are different columns of numbers, without commas in their "
            f"names and not called {ROW}; leave out {', '.join(wrong) or 'those named twice'}."
        )


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    )


def _file_names(by: str, values: Sequence[str]) -> dict[str, str]:
    """File name of each value; refused where a disk that ignores case would mix two."""
    safe = {value: re.sub(r"[^\w.+-]+", "_", value).strip(".") or "_" for value in values}
    names = {value: f"{name}.fcs" for value, name in safe.items()}
    taken: dict[str, str] = {}
    for value, name in names.items():
        other = taken.setdefault(name.casefold(), value)
        if other != value:
            raise StudyError(
                f"{by} {other!r} and {value!r} would both be written to {name}: rename one."
            )
    return names


def _numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """A column as float64, NaN where it has no value."""
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy().astype(np.float64)
    if _reach(values) > MAX_VALUE:
        raise StudyError(f"{name} reaches {_reach(values):g}, beyond numbers of 32 bits.")
    return _exact(values, name) if pa.types.is_integer(column.type) else values


def _exact(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if _reach(values) > MAX_WHOLE:
        raise StudyError(
            f"{name} reaches {_reach(values):.0f}; FCS files hold whole numbers exactly up to "
            f"{MAX_WHOLE} only. Leave the column out, or write fewer cells to a file."
        )
    return values


def _reach(values: NDArray[np.float64]) -> float:
    """Largest finite magnitude."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _descriptions(
    cells: pa.Table, columns: Sequence[str], rows: NDArray[np.int64]
) -> dict[str, str]:
    """Keyword of every column that has one value in these rows."""
    values = {name: cells[name].take(rows).unique().to_pylist() for name in columns}
    return {
        DESCRIBING + name.upper(): str(found[0])
        for name, found in values.items()
        if len(found) == 1 and str(found[0] or "").strip()
    }


def _units(cells: pa.Table, channels: Sequence[str]) -> list[str]:
    metadata = [cells.schema.field(name).metadata or {} for name in channels]
    return [of_field.get(b"unit", b"").decode() for of_field in metadata]


def _range(column: NDArray[np.float64]) -> str:
    """$PnR, from which software takes the axis: the next power of 2, at least 2."""
    top = float(column.max(initial=0.0))
    return str(2 ** max(1, int(np.ceil(np.log2(max(top, 1.0) + 1e-9)))))
