"""Which cells of a run are shown one by one: the ends, the middle, and both sides of the gate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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


Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cell:
    """One cell that is shown.

    Attributes:
        group: of the study's comparison; empty where it compares nothing.
        place: where its value lies among the group's.
        image_id: its image.
        cell_id: its number there.
        value: of the column.
        box: first row, first column, height and width, in the table's own unit; None where shapes
            were not measured.
    """

    group: str
    place: str
    image_id: str
    cell_id: int
    value: float
    box: Box | None


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
        One for each column that is a number, in the order of the report.
    """
    gates = {rule.of: f"{name}_positive" for name, rule in study.positivity.items()}
    gated = {flag: column for column, flag in gates.items()}
    columns = [gated.get(name, name) for name in outcome_columns(run)]
    wanted = [name for name in dict.fromkeys((*columns, *gates)) if name in run.definitions]
    numbers = [name for name in wanted if run.definitions[name].kind == "number"]
    boxes = _boxes(run)
    in_um = bool(boxes) and boxes[0].endswith("_um")
    chosen = []
    for name in numbers:
        table = _table(run, name, gates.get(name), boxes)
        cells = tuple(_picked(table, _groups(run, table)))
        chosen.append(Chosen(name, channel_of(name, study), in_um, cells))
    return chosen


def channel_of(column: str, study: Study) -> str:
    """The channel that a column is measured in, of stains the picture; else that of the nuclei."""
    named = [name for name in study.planes if column.startswith(f"{name}_")]
    segmented = [settings.channel for _, settings in study.cellpose_settings()]
    found = max(named, key=len) if named else next(iter((*segmented, *study.channels)))
    pictures = [name for name, where in study.channels.items() if where == "rgb"]
    of_picture = found in study.stains or (not named and column.startswith("beta_gal"))
    return pictures[0] if pictures and of_picture else found


def _boxes(run: RunData) -> list[str]:
    """Columns of the cells' bounding boxes, else of the nuclei's; empty where there are none."""
    for compartment in COMPARTMENTS:
        for unit in ("um", "px"):
            names = [f"{compartment}_{part}_{unit}" for part in BOX]
            if all(name in run.definitions for name in names):
                return names
    return []


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
    """The groups that have cells, in the order of tables/groups.csv; of many, evenly chosen."""
    columns = [name for name in run.listed("group_columns") if name in run.definitions]
    levels = run.tables["groups"]
    first = joined(levels, columns).to_list() if set(columns) <= set(levels.columns) else []
    found = table["group"].unique().sort().to_list()
    names = [name for name in dict.fromkeys((*first, *found)) if name in found]
    # Both ends among them: of a series of doses none and the highest say most.
    places = np.linspace(0, len(names) - 1, min(MOST_GROUPS, len(names))).round().astype(int)
    return [names[place] for place in places]


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
    where: Box | None = None
    if box:
        top, left, height, width = (float(str(side)) for side in box)
        where = top, left, height, width
    return Cell(group=str(group), place=place, image_id=str(image_id), cell_id=int(str(cell_id)),
                value=float(str(value)), box=where)  # fmt: skip
