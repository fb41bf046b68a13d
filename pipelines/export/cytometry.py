"""The cells as FCS files, one a sample like one a tube, for gating in cytometry software."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.errors import StudyError
from pipelines.export.source import CELL_ID, Source
from pipelines.fcs import Written, write_fcs_files

SAMPLE = "senescope_sample"
MAX_MISSING = 0.01
"""Share of cells without a value above which a column is left out [judgement]: FCS has no gaps, so
that every cell that lacks a value of any column has to be left out."""
AREAS = ("µm²", "px²")


@dataclass(frozen=True)
class Cytometry:
    """What was written.

    Attributes:
        files: one a sample.
        left_out: columns that too many cells lack.
    """

    files: tuple[Written, ...]
    left_out: tuple[str, ...]


def write_cytometry(
    source: Source, folder: Path, by: str | None = None, patterns: Sequence[str] = ()
) -> Cytometry:
    """Write one FCS file for each sample.

    Channels are ``row`` (of tables/cells.parquet, from 0), ``cell_id``, then sizes, which stand
    for scatter, then all other numbers and flags.

    Args:
        source: the run.
        folder: made where missing.
        by: column of cells whose values part the files, such as image_id; None for the unit of the
            study's statistics.
        patterns: of the columns wanted, such as ``*_unmixed``; all numbers and flags where empty.

    Raises:
        StudyError: an unknown column or pattern; see `pipelines.fcs.write_fcs_files`.
        SenescopeError: flowio is not installed.
    """
    table = source.table()
    wanted = _wanted(source, patterns)
    usable = [name for name in wanted if _missing(table, name) <= MAX_MISSING]
    left_out = tuple(name for name in wanted if name not in usable)
    if by is None:
        parts = [table[name].cast(pa.string()).to_pylist() for name in source.unit_columns]
        joined = ["_".join(str(v) for v in values) for values in zip(*parts, strict=True)]
        table, by = table.append_column(SAMPLE, pa.array(joined, pa.string())), SAMPLE
    files = write_fcs_files(folder, table, [CELL_ID, *usable], by, source.sample_columns)
    return Cytometry(tuple(files), left_out)


def _wanted(source: Source, patterns: Sequence[str]) -> list[str]:
    """Numbers and flags, areas first."""
    columns = [c for c in source.columns if source.is_number(c) or c.dtype == "bool"]
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(column.name, pattern) for column in columns):
            known = ", ".join(column.name for column in columns)
            raise StudyError(f"No number or flag of the cells is called {pattern}; known: {known}")
    chosen = [
        column
        for column in columns
        if not patterns or any(fnmatch.fnmatchcase(column.name, p) for p in patterns)
    ]
    return [column.name for column in sorted(chosen, key=lambda c: c.unit not in AREAS)]


def _missing(table: pa.Table, name: str) -> float:
    """Share of cells without a finite value."""
    column = table[name].cast(pa.float64())
    finite = int(pa.compute.sum(pa.compute.is_finite(column)).as_py() or 0)
    return 1 - finite / table.num_rows if table.num_rows else 0.0
