"""The tables of a report, ready to print: which columns, which rows, and how numbers look."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipelines.report.data import MISSING, RunData, readable
from pipelines.report.outcomes import outcome_columns

MAX_ROWS = 200
MAX_OUTCOMES = 6
MAX_QUALITY = 10
AGGREGATES = ("_mean", "_median", "_sd", "_fraction", "_corrected_fraction")
LEVELS = ("images", "samples", "groups")
COUNTS = ("n_units", "n_images", "n_cells", "n_excluded")
ODDS_INTERVAL = ("odds_ratio_ci_low", "odds_ratio_ci_high")
LISTS = ("flags", "warnings")
SCORES = {
    "score_n_truth": "true cells",
    "score_f1": "F1",
    "score_ap50": "AP at IoU 0.5",
    "score_ap75": "AP at IoU 0.75",
}


@dataclass(frozen=True, slots=True)
class Head:
    """Heading of a column, and whether it holds numbers (which stand to the right)."""

    text: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What a table prints: headings, rows of as many texts, and a note on what is left out."""

    heads: tuple[Head, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def groups_table(run: RunData) -> Table | None:
    """Counts, and mean and SD between units of the main outcomes, by group."""
    return _aggregate_table(run, run.tables["groups"], run.listed("group_columns"), "groups")


def samples_table(run: RunData) -> Table | None:
    """Counts and means by unit."""
    return _aggregate_table(run, run.tables["samples"], ("image_id", *run.keys), "samples")


def thresholds_table(run: RunData) -> Table | None:
    """Every threshold that decided what is positive, as the run wrote it."""
    frame = run.tables["thresholds"]
    return plain_table(frame, frame.columns, "tables/thresholds.csv")


def pairs_table(run: RunData) -> Table | None:
    """How every two markers go together, by group; by unit where the study compares nothing."""
    frame = run.tables["marker_pairs"]
    if "level" not in frame.columns:
        return None
    level = "group" if run.listed("group_columns") else "unit"
    keys = run.listed("group_columns" if level == "group" else "unit_columns")
    names = (*keys, "first", "second", "n_units", "phi", "odds_ratio", *ODDS_INTERVAL)
    return plain_table(frame.filter(pl.col("level") == level), names, "tables/marker_pairs.csv")


def failures_table(run: RunData) -> Table | None:
    """Everything that failed: image, stage, error."""
    return plain_table(run.tables["failures"], ("image_id", "stage", "error"), "failures.csv")


def glossary_table(run: RunData) -> Table | None:
    """Every column with its unit, meaning and source, but those that repeat a column of cells."""
    wanted = ("table", "column", "unit", "dtype", "meaning", "source")
    frame = run.tables["columns"]
    names = [name for name in wanted if name in frame.columns]
    if {"table", "column"} <= set(names):
        repeated = {*run.definitions, *_summaries(run)}
        ours = pl.col("table").is_in(LEVELS) & pl.col("column").is_in(list(repeated))
        frame = frame.filter(~ours)
    rows = tuple(tuple(text or "" for text in row) for row in frame.select(names).iter_rows())
    return Table(tuple(Head(readable(name)) for name in names), rows) if rows else None


def quality_table(run: RunData) -> Table | None:
    """Flags, warnings, scores and quality values by image; images with a flag come first."""
    frame = run.tables["images"]
    if "image_id" not in frame.columns or frame.is_empty():
        return None
    lists = [name for name in LISTS if name in frame.columns]
    if lists:
        marked = pl.any_horizontal(pl.col(lists).fill_null("").str.len_chars() > 0)
        frame = frame.sort(marked, descending=True, maintain_order=True)
    names = ["image_id", *(n for n in ("n_cells",) if n in frame.columns), *lists]
    names += [name for name in SCORES if name in frame.columns]
    names += _quality_columns(run, frame)
    return plain_table(frame, names, "tables/images.csv")


def marks(run: RunData, column: str) -> list[tuple[str, int]]:
    """How many images carry each flag (or warning), the most frequent first."""
    frame = run.tables["images"]
    if column not in frame.columns:
        return []
    texts = frame[column].drop_nulls()
    found = Counter(part.strip() for text in texts for part in text.split(";") if part.strip())
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def scores(run: RunData) -> list[tuple[str, str]]:
    """Mean segmentation scores over the images with truth, and how many those are."""
    frame = run.tables["images"]
    means = []
    for name, label in SCORES.items():
        if name in frame.columns:
            values = _numbers(frame[name])
            if values:
                total = name == "score_n_truth"
                value = sum(values) if total else sum(values) / len(values)
                means.append((f"{label}, {len(values)} images", format_number(value)))
    return means


def number_of(run: RunData, column: str) -> int:
    """Sum of a count over the images; 0 where there is none."""
    frame = run.tables["images"]
    return int(sum(_numbers(frame[column]))) if column in frame.columns else 0


def format_number(value: float | None) -> str:
    """Three digits, thousands separated; whole numbers whole; a dash for what is missing."""
    if value is None or not math.isfinite(value):
        return MISSING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _aggregate_table(
    run: RunData, frame: pl.DataFrame, keys: Sequence[str], name: str
) -> Table | None:
    keys = [key for key in keys if key in frame.columns]
    if frame.is_empty():
        return None
    heads = [Head(readable(key)) for key in keys]
    columns = [frame[key].fill_null(MISSING).to_list() for key in keys]
    for count in COUNTS:
        if count in frame.columns:
            heads.append(Head(readable(count.removeprefix("n_")), numeric=True))
            columns.append([format_number(value) for value in _floats(frame[count])])
    for outcome in outcome_columns(run)[:MAX_OUTCOMES]:
        unit = run.definitions[outcome].unit
        suffix = "" if unit in {"1", "count", "flag"} else f" ({unit})"
        for name, words in ((outcome, suffix), (f"{outcome}_corrected", "")):
            texts = _mean_and_sd(frame, name)
            if texts is not None:
                heads.append(Head(readable(name) + words, numeric=True))
                columns.append(texts)
    if not columns:
        return None
    return _limited(heads, list(zip(*columns, strict=True)), f"tables/{name}.csv")


def _mean_and_sd(frame: pl.DataFrame, outcome: str) -> list[str] | None:
    """Texts like ``3.1 ± 0.4``, in per cent for fractions; None where there is no such column."""
    for suffix, scale, sign in (("_mean", 1.0, ""), ("_fraction", 100.0, " %")):
        name = outcome + suffix
        if name in frame.columns:
            means = _floats(frame[name])
            between = f"{name}_sd"
            spreads = _floats(frame[between]) if between in frame.columns else [None] * len(means)
            return [_pair(m, s, scale, sign) for m, s in zip(means, spreads, strict=True)]
    return None


def _pair(mean: float | None, spread: float | None, scale: float, sign: str) -> str:
    """Mean ± SD, both to the second digit of the SD; the mean alone where there is no SD."""
    if mean is None or not math.isfinite(mean):
        return MISSING
    if not spread or not math.isfinite(spread):
        return format_number(mean * scale) + sign
    decimals = min(8, max(0, 1 - math.floor(math.log10(spread * scale))))
    return f"{mean * scale:,.{decimals}f} ± {spread * scale:,.{decimals}f}{sign}"


def _quality_columns(run: RunData, frame: pl.DataFrame) -> list[str]:
    """Columns of an image that are neither keys nor summaries of its cells."""
    known = {"image_id", *COUNTS, *LISTS, *SCORES, *run.keys, *_summaries(run)}
    rest = [name for name in frame.columns if name not in known]
    return [name for name in rest if _numbers(frame[name])][:MAX_QUALITY]


def _summaries(run: RunData) -> list[str]:
    """Names that aggregates of the cells' columns may have, SDs between units among them."""
    names = [name + suffix for name in run.definitions for suffix in AGGREGATES]
    return names + [f"{name}_sd" for name in names]


def plain_table(frame: pl.DataFrame, names: Sequence[str], source: str) -> Table | None:
    """Columns of a table as they are; None where there is no row."""
    names = [name for name in names if name in frame.columns]
    if frame.is_empty() or not names:
        return None
    heads, columns = [], []
    for name in names:
        # A name stays as it is written, also where every image is called by a number.
        numeric = name != "image_id" and _is_numeric(frame[name])
        heads.append(Head(SCORES.get(name, readable(name.removeprefix("n_"))), numeric))
        texts = frame[name].fill_null("").str.replace_all(";", "; ").to_list()
        columns.append([format_number(v) for v in _floats(frame[name])] if numeric else texts)
    return _limited(heads, list(zip(*columns, strict=True)), source)


def _limited(heads: Sequence[Head], rows: Sequence[tuple[str, ...]], source: str) -> Table:
    note = f"{MAX_ROWS} of {len(rows):,} rows; all are in {source}."
    return Table(tuple(heads), tuple(rows[:MAX_ROWS]), note if len(rows) > MAX_ROWS else "")


def _is_numeric(column: pl.Series) -> bool:
    filled = column.drop_nulls()
    return len(filled) > 0 and filled.cast(pl.Float64, strict=False).null_count() == 0


def _floats(column: pl.Series) -> list[float | None]:
    return column.cast(pl.Float64, strict=False).fill_nan(None).to_list()


def _numbers(column: pl.Series) -> list[float]:
    return [value for value in _floats(column) if value is not None]
