"""The cells as CSV files that R, Prism and Excel open as they are.

Excel holds 1,048,576 rows and silently leaves out the rest, so that a longer table is divided, at
images where that is possible. It also turns texts that look like dates or numbers into these; no
CSV file can keep it from that, so that such texts are named to whoever exports them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.export.source import Source
from pipelines.files import replacing

EXCEL_ROWS = 1_048_576
MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*"
CHANGED_BY_EXCEL = re.compile(
    rf"\d{{1,4}}[-/.]\d{{1,2}}([-/.]\d{{1,4}})?|{MONTH}[-/. ]?\d{{1,4}}|\d{{1,2}}[-/. ]?{MONTH}"
    r"|\d+e\d+|0\d+|\d{16,}|true|false|[=+@-].*",
    re.IGNORECASE,
)
MAX_NAMED = 3


@dataclass(frozen=True)
class Piece:
    """Rows of one row group that go into one file."""

    group: int
    start: int
    length: int


@dataclass(frozen=True)
class Spreadsheets:
    """What was written.

    Attributes:
        paths: the files of cells, in the order of their rows.
        changed: texts that Excel would turn into something else, such as ``clone MAR1``.
    """

    paths: tuple[Path, ...]
    changed: tuple[str, ...]


def write_spreadsheets(
    source: Source, folder: Path, *, decimal_comma: bool = False, most_rows: int = EXCEL_ROWS - 1
) -> Spreadsheets:
    """Write ``cells.csv``, or ``cells_1_of_N.csv`` and so on, one image in memory at a time.

    Missing values are empty, flags TRUE and FALSE, numbers read back as they are. Texts beyond
    ASCII get the mark by which Excel knows UTF-8.

    Args:
        source: the run.
        folder: made where missing.
        decimal_comma: 1,5 instead of 1.5, with semicolons between fields, as Excel has it in much
            of Europe (R: read.csv2).
        most_rows: cells in one file, below its header.
    """
    with pq.ParquetFile(source.layout.cells) as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        plan = divided(groups, most_rows)
        names = ["cells.csv"] if len(plan) == 1 else [
            f"cells_{i}_of_{len(plan)}.csv" for i in range(1, len(plan) + 1)
        ]  # fmt: skip
        mark = not _all_ascii(file)
        for pieces, name in zip(plan, names, strict=True):
            _write(folder / name, _frames(file, pieces), decimal_comma=decimal_comma, mark=mark)
        changed = _changed(file)
    for old in [*folder.glob("cells.csv"), *folder.glob("cells_*_of_*.csv")]:
        if old.name not in names:
            old.unlink()
    return Spreadsheets(tuple(folder / name for name in names), changed)


def divided(groups: Sequence[int], most_rows: int) -> list[list[Piece]]:
    """Share out row groups over files; one is only divided where it alone is too long.

    Args:
        groups: rows of each group.
        most_rows: of a file.

    Returns:
        Pieces of each file, at least one file.
    """
    files: list[list[Piece]] = [[]]
    free = most_rows
    for group, rows in enumerate(groups):
        for start in range(0, rows, most_rows):
            length = min(most_rows, rows - start)
            if length > free:
                files.append([])
                free = most_rows
            files[-1].append(Piece(group, start, length))
            free -= length
    return files


def _frames(file: pq.ParquetFile, pieces: Iterable[Piece]) -> Iterator[pl.DataFrame]:
    """Rows as they are written; an empty table where there is none, for its header."""
    nothing = True
    for piece in pieces:
        nothing = False
        yield _plain(file.read_row_group(piece.group).slice(piece.start, piece.length))
    if nothing:
        yield _plain(file.schema_arrow.empty_table())


def _plain(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # a table, never one column
    floats = pl.selectors.float()
    return frame.with_columns(
        pl.when(floats.is_finite()).then(floats).otherwise(None),
        pl.selectors.boolean().cast(pl.String).str.to_uppercase(),
    )


def _write(path: Path, frames: Iterable[pl.DataFrame], *, decimal_comma: bool, mark: bool) -> None:
    separator = ";" if decimal_comma else ","
    with replacing(path) as temporary, temporary.open("wb") as file:
        for number, frame in enumerate(frames):
            frame.write_csv(
                file,
                include_bom=mark and number == 0,
                include_header=number == 0,
                separator=separator,
                decimal_comma=decimal_comma,
            )


def _texts(file: pq.ParquetFile) -> dict[str, list[str]]:
    """Different texts of every text column."""
    names = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    found: dict[str, dict[str, None]] = {name: {} for name in names}
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=names)
        for name in names:
            texts = table[name].unique().drop_null().to_pylist()
            found[name] |= dict.fromkeys(texts)
    return {name: list(texts) for name, texts in found.items()}


def _all_ascii(file: pq.ParquetFile) -> bool:
    texts = (text for column in _texts(file).values() for text in column)
    return all(map(str.isascii, (*file.schema_arrow.names, *texts)))


def _changed(file: pq.ParquetFile) -> tuple[str, ...]:
    """The first few texts of every column that Excel would turn into dates or numbers."""
    return tuple(
        f"{name} {text}"
        for name, texts in _texts(file).items()
        for text in [t for t in texts if CHANGED_BY_EXCEL.fullmatch(t)][:MAX_NAMED]
    )
