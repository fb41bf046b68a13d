"""The samples as small tables for R, Prism and Excel: one row a unit, and one column a group."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipelines.errors import StudyError
from pipelines.export.source import Source
from pipelines.export.spreadsheet import CHANGED_BY_EXCEL
from pipelines.files import replacing


@dataclass(frozen=True)
class SampleTables:
    """What was written.

    Attributes:
        samples: one row a unit, as CSV and as Parquet.
        prism: one table an outcome: a column a group, a row a unit.
        left_out: outcomes that no column of the samples holds, such as those within some cells.
        changed: names that Excel would turn into dates or numbers.
    """

    samples: tuple[Path, Path]
    prism: tuple[Path, ...]
    left_out: tuple[str, ...]
    changed: tuple[str, ...]


def write_samples(source: Source, folder: Path, *, decimal_comma: bool = False) -> SampleTables:
    """Write samples.csv, samples.parquet and prism/OUTCOME.csv.

    Args:
        source: the run.
        folder: made where missing.
        decimal_comma: 1,5 instead of 1.5, with semicolons between fields.

    Raises:
        StudyError: the run has no table of samples.
    """
    path = source.layout.table("samples")
    if not path.is_file():
        raise StudyError(f"The run in {source.layout.root} has no tables/samples.csv.")
    texts = pl.read_csv(path, infer_schema=False)
    frame = _typed(texts, source.sample_columns)
    files = (folder / "samples.csv", folder / "samples.parquet")
    _write(frame, files[0], decimal_comma=decimal_comma)
    with replacing(files[1]) as temporary:
        frame.write_parquet(temporary)
    groups = [name for name in source.study.get("group_columns", []) if name in frame.columns]
    prism, left_out = [], []
    for name in _outcomes(source):
        column = next((c for c in (f"{name}_fraction", f"{name}_mean") if c in frame.columns), None)
        if column is None or not groups:
            left_out.append(name)
            continue
        place = folder / "prism" / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', column)}.csv"
        _write(by_group(frame, groups, column), place, decimal_comma=decimal_comma)
        prism.append(place)
    keys = [name for name in source.sample_columns if name in texts.columns]
    changed = tuple(
        f"{name} {text}"
        for name in keys
        for text in texts[name].drop_nulls().unique(maintain_order=True)
        if frame[name].dtype == pl.String and CHANGED_BY_EXCEL.fullmatch(text)
    )
    return SampleTables(files, tuple(prism), tuple(left_out), changed)


def by_group(frame: pl.DataFrame, groups: Sequence[str], column: str) -> pl.DataFrame:
    """One column a group, in the order of the rows, with its units below each other.

    Args:
        frame: one row a unit.
        groups: columns that name the group.
        column: of the values.
    """
    named = frame.select(
        pl.concat_str([pl.col(name).cast(pl.String) for name in groups], separator=" ").alias("_"),
        column,
    )
    parts = {str(p["_"][0]): p[column].to_list() for p in named.partition_by("_")}
    most = max(map(len, parts.values()), default=0)
    return pl.DataFrame(
        {name: [*values, *[None] * (most - len(values))] for name, values in parts.items()}
    )


def _outcomes(source: Source) -> list[str]:
    """Outcomes in all cells; those within some are in no table of samples."""
    named = source.study.get("outcomes") or []
    return [name if isinstance(name, str) else f"{name['of']} within some cells" for name in named]


def _typed(texts: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Numbers as numbers; a key that is no number in every row stays as it is written."""
    columns = []
    for name in texts.columns:
        numbers = texts[name].cast(pl.Float64, strict=False)
        whole = name in keys and not _plain_numbers(texts[name])
        columns.append(texts[name] if whole or _lost(texts[name], numbers) else numbers)
    return pl.DataFrame(columns)


def _plain_numbers(column: pl.Series) -> bool:
    """Whether every text is how a number is written: 007 and 1e5 are names."""
    return bool(column.drop_nulls().str.contains(r"^-?(0|[1-9]\d{0,14})(\.\d+)?$").all())


def _lost(texts: pl.Series, numbers: pl.Series) -> bool:
    return numbers.null_count() > texts.null_count()


def _write(frame: pl.DataFrame, path: Path, *, decimal_comma: bool) -> None:
    """As CSV; with the mark by which Excel knows UTF-8 where a text needs it."""
    text = frame.write_csv(separator=";" if decimal_comma else ",", decimal_comma=decimal_comma)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8" if text.isascii() else "utf-8-sig")
