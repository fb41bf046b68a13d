"""Which cells of a run are shown one by one: the ends, the middle, and both sides of the gate."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from pipelines.report.data import RunData, joined
from pipelines.report.outcomes import outcome_columns
from pipelines.study import Study

EACH = 3
MOST_GROUPS = 4
LOWEST, MEDIAN, HIGHEST = "lowest", "median", "highest"
BELOW, ABOVE = "just below the gate", "just above the gate"
COMPARTMENTS = ("cell", "nucleus")
BOX = ("box_y", "box_x", "box_height", "box_width")


@dataclass(frozen=True)
class Cell:
    """One cell that is shown.

    Attributes:
        group: of the study's comparison; empty where it compares nothing.
        place: where its value lies among the group's.
        image_id: its image.
        cell_id: its number there.
        value: of the column.
        box: first row, first column, height and width, in the table's own unit.
    """

    group: str
    place: str
    image_id: str
    cell_id: int
    value: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Chosen:
    """The cells that stand for one column.

    Attributes:
        column: of the cells table.
        channel: where the column is measured, or the nuclei's for shapes.
        in_um: whether boxes are in µm, else in px.
        cells: place by place, in each the groups in the order of the study.
    """

    column: str
    channel: str
    in_um: bool
    cells: tuple[Cell, ...]


def chosen_cells(run: RunData, study: Study) -> list[Chosen]:
    """Choose cells for every outcome that is a number, and every column that a gate is set on.

    Args:
        run: the run, with its tables.
        study: its settings.

    Returns:
        Nothing where shapes were not measured, which say where a cell lies.
    """
    gates = {rule.of: f"{name}_positive" for name, rule in study.positivity.items()}
    gated = {flag: column for column, flag in gates.items()}
    columns = [gated.get(name, name) for name in outcome_columns(run)]
    wanted = [name for name in dict.fromkeys((*columns, *gates)) if name in run.definitions]
    numbers = [name for name in wanted if run.definitions[name].kind == "number"]
    boxes = _boxes(run)
    if boxes is None:
        return []
    chosen = []
    for name in numbers:
        table = _table(run, name, gates.get(name), boxes)
        cells = tuple(_picked(table, _groups(run, table)))
        chosen.append(Chosen(name, channel_of(name, study), boxes[0].endswith("_um"), cells))
    return chosen


def channel_of(column: str, study: Study) -> str:
    """The channel that a column is measured in; for other columns the stain's, or the nuclei's."""
    named = [name for name in study.channels if column.startswith(f"{name}_")]
    if named:
        return max(named, key=len)
    pictures = [name for name, where in study.channels.items() if where == "rgb"]
    if pictures and column.startswith("beta_gal"):
        return pictures[0]
    segmented = [settings.channel for _, settings in study.cellpose_settings()]
    return segmented[0] if segmented else next(iter(study.channels))


def _boxes(run: RunData) -> list[str] | None:
    """Columns of the cells' bounding boxes, else of the nuclei's; None where there are none."""
    for compartment in COMPARTMENTS:
        for unit in ("um", "px"):
            names = [f"{compartment}_{part}_{unit}" for part in BOX]
            if all(name in run.definitions for name in names):
                return names
    return None


def _table(run: RunData, column: str, flag: str | None, boxes: Sequence[str]) -> pl.DataFrame:
    """The cells that count and have a value, by it: group, names, value, positive and box."""
    groups = [name for name in run.listed("group_columns") if name in run.definitions]
    flags = [flag] if flag is not None and flag in run.definitions else []
    frame = run.cells(column, ("cell_id", *flags, *boxes))
    return (
        frame.select(
            joined(frame, groups).alias("group"),
            "image_id",
            "cell_id",
            pl.col(column).alias("value"),
            (pl.col(flags[0]) if flags else pl.lit(None, pl.Boolean)).alias("positive"),
            *boxes,
        )
        .filter(pl.all_horizontal(pl.col("value", *boxes).is_finite()))
        .sort("value", "image_id", "cell_id")
    )


def _groups(run: RunData, table: pl.DataFrame) -> list[str]:
    """The groups that have cells, in the order of tables/groups.csv."""
    columns = [name for name in run.listed("group_columns") if name in run.definitions]
    levels = run.tables["groups"]
    first = joined(levels, columns).to_list() if set(columns) <= set(levels.columns) else []
    found = table["group"].unique().sort().to_list()
    return [name for name in dict.fromkeys((*first, *found)) if name in found][:MOST_GROUPS]


def _picked(table: pl.DataFrame, groups: Sequence[str]) -> list[Cell]:
    found = []
    for place in (LOWEST, MEDIAN, HIGHEST, BELOW, ABOVE):
        for group in groups:
            mine = table.filter(pl.col("group") == group)
            found += [_cell(row, place) for row in _rows(mine, place).iter_rows()]
    return found


def _rows(table: pl.DataFrame, place: str) -> pl.DataFrame:
    """Rows of one place, by value."""
    if place == LOWEST:
        return table.head(EACH)
    if place == HIGHEST:
        return table.tail(EACH)
    if place == MEDIAN:
        start = max(0, (table.height - EACH) // 2)
        return table.slice(start, EACH)
    if place == BELOW:
        return table.filter(~pl.col("positive")).tail(EACH)
    return table.filter("positive").head(EACH)


def _cell(row: tuple[object, ...], place: str) -> Cell:
    group, image_id, cell_id, value, _, *box = row
    top, left, height, width = (float(str(side)) for side in box)
    return Cell(
        str(group), place, str(image_id), int(str(cell_id)), float(str(value)),
        (top, left, height, width),
    )  # fmt: skip
