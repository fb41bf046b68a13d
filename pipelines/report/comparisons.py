"""The statistics of a report: each result as a sentence that can be pasted, and the whole table."""

from collections.abc import Mapping

from pipelines.report.data import RunData, known_kind, readable
from pipelines.report.tables import Head, Table, format_number

SMALLEST_P = 0.0001
MAX_RESULTS = 60
ADJUSTED = {"holm": "adjusted by Holm's method", "bh": "adjusted by Benjamini and Hochberg"}
Row = Mapping[str, str | None]


def result_sentences(run: RunData) -> list[str]:
    """One sentence for each primary comparison: both means, difference with interval, test, n."""
    frame = run.tables["statistics"]
    if "role" not in frame.columns:
        return []
    return [_sentence(row, run) for row in frame.iter_rows(named=True) if row["role"] == "primary"]


def statistics_table(run: RunData) -> Table | None:
    """Every row of tables/statistics.csv, estimates with their intervals first."""
    frame = run.tables["statistics"]
    if frame.is_empty() or "role" not in frame.columns:
        return None
    heads = [
        Head("outcome"), Head("comparison"), Head("estimate (95 % interval)"), Head("scale"),
        Head("effect size", numeric=True), Head("ICC", numeric=True), Head("n"), Head("test"),
        Head("p", numeric=True), Head("p adjusted", numeric=True), Head("note"),
    ]  # fmt: skip
    rows = [_cells(row) for row in frame.head(MAX_RESULTS).iter_rows(named=True)]
    note = f"{MAX_RESULTS} of {frame.height:,} rows; all are in tables/statistics.csv."
    return Table(tuple(heads), tuple(rows), note if frame.height > MAX_RESULTS else "")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        _outcome(row),
        row["contrast"] or "",
        _interval(row),
        row["scale"] or "",
        format_number(_float(row, "effect_size")),
        format_number(_float(row, "icc")),
        _n(row),
        row["test"] or "",
        p_text(_float(row, "p")),
        p_text(_float(row, "p_adjusted")),
        row["note"] or "",
    )


def _sentence(row: Row, run: RunData) -> str:
    """Both sides, their difference with its interval, the test and the n."""
    share = known_kind(run.definitions, row["outcome"] or "") == "flag"
    start = ", ".join(filter(None, [_outcome(row), row["contrast"]]))
    if _float(row, "estimate") is None:
        return f"{start}: {row['note']}."
    means = [_value(row, name, share=share) for name in ("mean", "mean_reference")]
    ends = [_value(row, name, share=share) for name in ("estimate", "ci_low", "ci_high")]
    points = " points" if share else ""
    text = (
        f"{start}: {means[0]} against {means[1]}, difference {ends[0].removesuffix(' %')}{points}"
    )
    if _float(row, "ci_low") is not None:
        low, high = (end.removesuffix(" %") for end in ends[1:])
        text += f" (95 % interval {low} to {high})"
    if _float(row, "p") is not None:
        text += f", {row['test']}, t({format_number(_float(row, 'df'))}) = "
        text += f"{format_number(_float(row, 'statistic'))}, p {_equals(_float(row, 'p'))}"
        if row["adjust"] not in (None, "none"):
            adjusted = ADJUSTED.get(row["adjust"] or "", "")
            text += f", {adjusted} {_equals(_float(row, 'p_adjusted'))}"
    text += f"; {_n(row)}."
    return f"{text} {_capital(row['note'])}." if row["note"] else text


def p_text(value: float | None) -> str:
    """A p-value to two digits; < 0.0001 below that; a dash where there is none."""
    if value is None:
        return format_number(None)
    return f"< {SMALLEST_P:.4f}" if value < SMALLEST_P else f"{value:.2g}"


def _equals(value: float | None) -> str:
    text = p_text(value)
    return text if text.startswith("<") else f"= {text}"


def _outcome(row: Row) -> str:
    name = readable(row["outcome"] or "")
    return f"{name} in {row['within']}" if row["within"] else name


def _interval(row: Row) -> str:
    if _float(row, "estimate") is None:
        return format_number(None)
    text = format_number(_float(row, "estimate"))
    if _float(row, "ci_low") is None:
        return text
    low, high = (format_number(_float(row, name)) for name in ("ci_low", "ci_high"))
    return f"{text} ({low} to {high})"


def _n(row: Row) -> str:
    """Units first: they are the n."""
    unit = row["unit"] or "unit"
    sides = [name for name in ("n_units", "n_units_reference") if _float(row, name) is not None]
    if not sides:
        return ""
    units = " and ".join(format_number(_float(row, name)) for name in sides)
    numbers = [_float(row, "n_cells"), _float(row, "n_cells_reference")]
    cells = sum(number for number in numbers if number is not None)
    return f"{units} {unit}s, {format_number(cells)} cells"


def _value(row: Row, name: str, *, share: bool) -> str:
    value = _float(row, name)
    if share and value is not None:
        return f"{100 * value:.1f} %"
    return format_number(value)


def _float(row: Row, name: str) -> float | None:
    text = row.get(name)
    return float(text) if text else None


def _capital(text: str | None) -> str:
    return text[0].upper() + text[1:] if text else ""
