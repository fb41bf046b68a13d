"""The bleed-through matrix of a report: channels by dyes, with the interval of every entry."""

import math

import polars as pl

from pipelines.report.data import MISSING, RunData
from pipelines.report.tables import Head, Table

NEEDED = {"dye", "channel", "bleed_through", "bleed_through_ci_low", "bleed_through_ci_high"}


def bleed_through_table(run: RunData) -> Table | None:
    """Light of each dye in each channel for 1 in its own; None where nothing was unmixed."""
    frame = run.tables["bleed_through"]
    if frame.is_empty() or not set(frame.columns) >= NEEDED:
        return None
    dyes = frame["dye"].unique(maintain_order=True).to_list()
    channels = frame["channel"].unique(maintain_order=True).to_list()
    entries = {(row["channel"], row["dye"]): _entry(row) for row in frame.iter_rows(named=True)}
    heads = [Head("channel"), *(Head(f"light of {dye}", numeric=True) for dye in dyes)]
    rows = [(c, *(entries.get((c, dye), MISSING) for dye in dyes)) for c in channels]
    if "n_cells" in frame.columns:
        cells = dict(frame.select("dye", pl.col("n_cells").fill_null("")).iter_rows())
        rows.append(("control cells", *(cells[dye] for dye in dyes)))
    return Table(tuple(heads), tuple(rows))


def _entry(row: dict[str, str | None]) -> str:
    """Text such as ``0.149 (0.142 to 0.158)``; 1 in a dye's own channel."""
    if row["channel"] == row["dye"]:
        return "1"
    value, low, high = (
        _number(row[name])
        for name in ("bleed_through", "bleed_through_ci_low", "bleed_through_ci_high")
    )
    if not math.isfinite(value):
        return MISSING
    interval = f" ({low:.3f} to {high:.3f})" if low < high else ""
    return f"{value:.3f}{interval}"


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
