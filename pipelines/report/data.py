"""Read what a run left, for its report: what is missing or broken is named, never fatal."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pyarrow.parquet as pq

from pipelines.errors import SenescopeError
from pipelines.run.layout import Layout

CSV_TABLES = (
    "images",
    "samples",
    "groups",
    "thresholds",
    "bleed_through",
    "statistics",
    "power",
    "columns",
    "copositivity",
    "marker_pairs",
    "spread",
    "spread_rings",
    "zonation",
    "densities",
)
MISSING = "–"
SEPARATOR = " · "
LENGTH_SUFFIX = re.compile(r"_(um|um2|px|px2)$")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a column of cells.parquet is.

    Attributes:
        unit: as in the table; ``1`` where it does not say.
        meaning: one sentence, empty where the table does not say.
        kind: ``flag``, ``number`` or ``text``.
    """

    unit: str
    meaning: str
    kind: str


@dataclass(frozen=True, slots=True)
class RunData:
    """One run folder, read.

    Attributes:
        folder: the run folder.
        provenance: provenance.json; empty where missing or broken.
        definitions: columns of tables/cells.parquet in order; empty where there is no such table.
        tables: ``images``, ``samples``, ``groups``, ``thresholds``, ``bleed_through``,
            ``statistics``, ``power``, ``columns`` and ``failures``; a table that is missing has no
            columns. Key columns are text that names the same value alike in every table.
        problems: what could not be read, in sentences.
    """

    folder: Path
    provenance: Mapping[str, Any]
    definitions: Mapping[str, Definition]
    tables: Mapping[str, pl.DataFrame]
    problems: tuple[str, ...]

    @property
    def study(self) -> Mapping[str, Any]:
        """The study's part of the provenance; empty where it has none."""
        study = self.provenance.get("study")
        return study if isinstance(study, dict) else {}

    @property
    def title(self) -> str:
        """Title of the study, else its name, else the folder's."""
        return str(self.study.get("title") or self.study.get("name") or self.folder.name)

    def listed(self, name: str) -> tuple[str, ...]:
        """Names in one of the study's lists, such as ``group_columns`` or ``outcomes``.

        An entry that is a mapping counts by what it is ``of``.
        """
        entries = self.study.get(name)
        if not isinstance(entries, list):
            return ()
        names = [entry.get("of") if isinstance(entry, dict) else entry for entry in entries]
        return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that describe the sample, in the order of the study."""
        lists = ("sample_columns", "group_columns", "unit_columns")
        return tuple(dict.fromkeys(column for name in lists for column in self.listed(name)))

    @property
    def excluding(self) -> tuple[str, ...]:
        """Flags whose cells the study leaves out of its aggregates."""
        settings = self.provenance.get("settings")
        exclude = settings.get("exclude") if isinstance(settings, dict) else None
        flags = exclude.get("flags") if isinstance(exclude, dict) else None
        return tuple(map(str, flags)) if isinstance(flags, list) else ()

    def cells(self, column: str, also: Sequence[str] = ()) -> pl.DataFrame:
        """One measured column of the cells that the study did not exclude, with all keys.

        Args:
            column: its name.
            also: further columns, which are left as they are.

        Returns:
            Key columns as text and `column` as float; flags are 0 or 1, missing values null.
        """
        known = self.definitions
        keys = [key for key in (*self.keys, "image_id") if key in known]
        flags = [name for name in self.excluding if known_kind(known, name) == "flag"]
        wanted = list(dict.fromkeys([*keys, *flags, column, *also]))
        frame = pl.read_parquet(Layout(self.folder).cells, columns=wanted)
        if flags:
            frame = frame.filter(~pl.any_horizontal(pl.col(flags).fill_null(value=False)))
        value = frame[column].cast(pl.Float64, strict=False)
        return _named(frame.select(keys), keys, known).with_columns(value, *frame.select(also))


def read_run(folder: Path) -> RunData:
    """Read a run folder.

    Raises:
        SenescopeError: the folder holds neither provenance.json nor tables.
    """
    layout = Layout(folder)
    if not layout.provenance.is_file() and not layout.cells.parent.is_dir():
        raise SenescopeError(
            f"no run in {folder}: a report needs the folder that a run wrote, with "
            "provenance.json and tables/ in it"
        )
    problems: list[str] = []
    nothing: Mapping[str, Any] = {}
    provenance = _attempt(layout.provenance, _read_json, nothing, problems)
    definitions = _attempt(layout.cells, _read_definitions, nothing, problems)
    files = {name: layout.table(name) for name in CSV_TABLES} | {"failures": layout.failures}
    tables = {
        name: _attempt(path, _read_csv, pl.DataFrame(), problems) for name, path in files.items()
    }
    run = RunData(folder, provenance, definitions, tables, tuple(problems))
    named = {name: _named(table, run.keys, definitions) for name, table in tables.items()}
    return RunData(folder, provenance, definitions, named, tuple(problems))


def known_kind(definitions: Mapping[str, Definition], name: str) -> str | None:
    """Kind of a column, None where the table has no such column."""
    return definitions[name].kind if name in definitions else None


def joined(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Names of combinations of text columns, such as ``WS · p6``; empty without columns."""
    if not columns:
        return pl.Series([""] * frame.height, dtype=pl.String)
    return frame.select(pl.concat_str(list(columns), separator=SEPARATOR)).to_series()


def readable(name: str) -> str:
    """A column's name as words, without the unit, which stands in brackets behind it."""
    return LENGTH_SUFFIX.sub("", name).replace("_", " ")


def _attempt(path: Path, read: Callable[[Path], T], empty: T, problems: list[str]) -> T:
    if not path.is_file():
        return empty
    try:
        return read(path)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        problems.append(f"{path.name} could not be read ({type(error).__name__}: {error})")
        return empty


def _read_json(path: Path) -> Mapping[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__} where an object was expected")
    return content


def _read_definitions(path: Path) -> Mapping[str, Definition]:
    frame = pl.read_parquet_schema(path)
    found = {}
    for field in pq.read_schema(path):
        text = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        dtype = frame[field.name]
        kind = "flag" if dtype == pl.Boolean else "number" if dtype.is_numeric() else "text"
        found[field.name] = Definition(text.get("unit") or "1", text.get("meaning", ""), kind)
    return found


def _read_csv(path: Path) -> pl.DataFrame:
    """Everything as text: what a number is gets decided where it is needed."""
    if not path.read_bytes().strip():
        return pl.DataFrame()
    return pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True, encoding="utf8-lossy")


def _named(
    frame: pl.DataFrame, keys: Sequence[str], definitions: Mapping[str, Definition]
) -> pl.DataFrame:
    """Turn key columns into text; 0.50 and 0.5 are one name where the cells hold numbers."""
    changes = []
    for key in keys:
        if key not in frame.columns:
            continue
        column = frame[key]
        if known_kind(definitions, key) == "number":
            numbers = column.cast(pl.Float64, strict=False)
            old = numbers.drop_nulls().unique()
            new = [number_name(value) for value in old]
            column = numbers.replace_strict(old, new, default=MISSING, return_dtype=pl.String)
        changes.append(column.cast(pl.String).fill_null(MISSING).alias(key))
    return frame.with_columns(changes)


def number_name(value: float) -> str:
    """The shortest text of a number: 3 for 3.0, never with an exponent for whole numbers."""
    whole = float(value).is_integer() and abs(value) < 1e15
    return str(int(value)) if whole else repr(float(value))
