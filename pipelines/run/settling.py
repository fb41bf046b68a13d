"""What is decided over the images of a batch, once all are measured: the part that kinds share."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa

from measurements.columns import Column
from pipelines.run.parts import Part
from pipelines.study import Study
from pipelines.study.csv_table import Value
from pipelines.study.settings import Measurement

Settings = TypeVar("Settings", bound=Measurement)
Rule = TypeVar("Rule")
Rows = list[Mapping[str, object]]


@dataclass(frozen=True)
class Decision(Generic[Settings, Rule]):
    """What was decided for one measurement.

    Attributes:
        settings: the measurement.
        rules: of each image.
        rows: the thresholds, for tables/thresholds.csv.
    """

    settings: Settings
    rules: Mapping[str, Rule]
    rows: Sequence[Mapping[str, object]]


def settle(
    study: Study,
    parts: Sequence[Part],
    decisions: Sequence[Decision[Settings, Rule]],
    settle_one: Callable[[Part], Part],
) -> tuple[list[Part], Rows]:
    """Apply what was decided to every image.

    Args:
        study: the settings.
        parts: the images.
        decisions: of the measurements of one kind; with none, images stay as they are.
        settle_one: gives an image its columns, and writes its rows.

    Returns:
        The images with their columns added, and the rows of tables/thresholds.csv.
    """
    if not decisions:
        return list(parts), []
    with ThreadPoolExecutor(study.compute.workers) as pool:
        settled = list(pool.map(settle_one, parts))
    return settled, [row for decision in decisions for row in decision.rows]


def batches_of(parts: Sequence[Part], by: str | None) -> dict[Value, list[Part]]:
    """Images by a sample column; all under None where it is None."""
    batches: dict[Value, list[Part]] = {}
    for part in parts:
        batches.setdefault(part.row.sample[by] if by else None, []).append(part)
    return batches


def together(
    settings: Settings, decisions: Sequence[Decision[Settings, Rule]]
) -> Decision[Settings, Rule]:
    """Decisions on one measurement in several batches as one."""
    rules = {image_id: rule for each in decisions for image_id, rule in each.rules.items()}
    return Decision(settings, rules, [row for each in decisions for row in each.rows])


def of_channel(table: pa.Table, column: Column, channel: str) -> pa.Table:
    """The rows whose column of channels says that channel."""
    names = table.column(column.name).to_numpy(zero_copy_only=False)
    return table.filter(pa.array(names == channel))
