"""The gates of a run for its report: which cells decided each, and where it lies among them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.report.axes import Quantity
from pipelines.report.data import RunData, readable
from pipelines.report.histogram import Panel, gate_histogram
from pipelines.report.outcomes import OutcomeFigure

MOST_BATCHES = 8
HOW = {
    "control_percentile": "Threshold at a percentile of the control cells.",
    "two_component": "Threshold where two populations on the log scale are equally likely.",
    "otsu": "Otsu’s threshold on the log scale.",
    "fixed": "Threshold that the study gives.",
}


def gate_figures(run: RunData, key: str) -> list[OutcomeFigure]:
    """Draw every gated column with its threshold, batch by batch.

    Args:
        run: the run.
        key: prefix that makes the figures' ids unique within the page.
    """
    thresholds = run.tables["thresholds"]
    if not {"name", "of", "rule", "threshold"} <= set(thresholds.columns):
        return []
    figures = []
    for index, name in enumerate(thresholds["name"].unique(maintain_order=True)):
        mine = thresholds.filter(pl.col("name") == name)
        figure = _figure(run, str(name), mine, f"{key}-g{index}")
        if figure is not None:
            figures.append(figure)
    return figures


def _figure(run: RunData, name: str, rows: pl.DataFrame, key: str) -> OutcomeFigure | None:
    column = rows["of"][0]
    if column not in run.definitions:
        return None
    cells = run.cells(column).filter(pl.col(column).is_finite())
    cells = cells.with_columns(control=_controls(run, name, cells))
    by = rows["by"][0] if "by" in rows.columns else None
    batches = rows["batch"].unique(maintain_order=True).to_list() if by else [None]
    panels = [_panel(cells, column, rows, by, batch) for batch in batches[:MOST_BATCHES]]
    quantity = Quantity(readable(column), run.definitions[column].unit)
    logarithmic = rows["rule"][0] in {"two_component", "otsu"}
    drawing = gate_histogram(panels, quantity, key, logarithmic=logarithmic)
    if drawing is None:
        return None
    left_out = len(batches) - MOST_BATCHES
    notes = [drawing.note]
    notes += [f"The first {MOST_BATCHES} batches are drawn, {left_out} are not."] * (left_out > 0)
    notes += [text[:1].upper() + text[1:] + "." for text in _notes(rows)]
    meaning = f"{HOW.get(rows['rule'][0], '')} {run.definitions[column].meaning}"
    return OutcomeFigure(readable(name), meaning.strip(), drawing, " ".join(filter(None, notes)))


def _panel(
    cells: pl.DataFrame, column: str, rows: pl.DataFrame, by: str | None, batch: str | None
) -> Panel:
    if by is not None:
        cells = cells.filter(_same(cells[by], batch))
        rows = rows.filter(pl.col("batch") == batch)
    judging_all = rows["left_out_unit"].is_null() | (rows["left_out_unit"] == "")
    gate = rows.filter(judging_all)
    low, high, threshold = (_floats(gate[c])[0] for c in ("ci_low", "ci_high", "threshold"))
    return Panel(
        name="" if by is None else f"{readable(by)} {batch}",
        controls=cells.filter("control")[column].to_numpy(),
        others=cells.filter(~pl.col("control"))[column].to_numpy(),
        threshold=threshold,
        interval=(low, high),
        left_out=_floats(rows.filter(~judging_all)["threshold"]),
    )


def _controls(run: RunData, name: str, cells: pl.DataFrame) -> pl.Series:
    """Which cells the gate was set by."""
    selector = _selector(run.provenance, name)
    control = pl.repeat(bool(selector), cells.height, eager=True)
    for column, value in selector.items():
        found = _same(cells[column], str(value)) if column in cells.columns else False
        control = control & found
    return control


def _selector(provenance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Sample columns and values of a gate's controls; empty for a rule without."""
    found: Any = provenance.get("gates")
    for key in (name, "controls"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _same(column: pl.Series, value: str | None) -> pl.Series:
    """Where a key column, as text, holds a value: 0 and 0.0 are the same number."""
    numbers = column.cast(pl.Float64, strict=False)
    try:
        equal = numbers == float(str(value))
    except ValueError:
        equal = pl.repeat(False, len(column), eager=True)
    return equal.fill_null(False) | (column == value).fill_null(False)


def _notes(rows: pl.DataFrame) -> list[str]:
    """What the thresholds that judge most units say of themselves."""
    judging_all = rows.filter(pl.col("left_out_unit").fill_null("") == "")
    batches = judging_all["batch"].fill_null("").to_list()
    texts = judging_all["note"].fill_null("").to_list()
    return [f"{b}: {t}" if b else t for b, t in zip(batches, texts, strict=True) if t]


def _floats(column: pl.Series) -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    return values
