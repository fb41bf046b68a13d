"""cells.parquet, foci.parquet and spots.parquet: the images' rows under each other."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from measurements.columns import Column
from pipelines.errors import StudyError
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.positivity import Gates, positive_columns
from pipelines.run.reporters import class_columns
from pipelines.run.spread_pairs import with_distances
from pipelines.study.check import Checked
from pipelines.study.csv_table import Value
from pipelines.study.messages import nearest
from pipelines.study.neighbours import Neighbours
from pipelines.study.reporters import Reporters
from pipelines.study.row import ImageRow
from pipelines.tables import append_arrow, row_groups, with_constants, write_parquet_rows

IMAGE_ID = Column("image_id", "key", "str", "Name of the image.", "sample table", aggregate=False)


def write_rows(parts: Sequence[Part], layout: Layout, checked: Checked, gates: Gates) -> None:
    """Write the three tables, one image at a time.

    Raises:
        StudyError: a sample column hides a measured one, or an excluded flag is in no table.
    """
    sample_columns = checked.samples.columns
    _check_names(parts, sample_columns)
    _check_excluded(parts, checked.study.exclude.flags, gates)
    columns = _sample_definitions(parts, sample_columns)
    asked = [m for m in checked.study.measurements if isinstance(m, Neighbours)]
    write_parquet_rows(
        layout.cells,
        (
            with_distances(
                with_constants(
                    _gated(part, gates, checked.study.reporters), _constants(part.row, columns)
                ),
                asked,
                checked.study.exclude.flags,
            )
            for part in parts
        ),
    )
    for table, part_of in ((layout.foci, layout.foci_part), (layout.spots, layout.spots_part)):
        found = [(part, path) for part in parts if (path := part_of(part.image_id)).is_file()]
        write_parquet_rows(
            table,
            (
                with_constants(group, _constants(part.row, columns))
                for part, path in found
                for group in row_groups(path)
            ),
        )


def _gated(part: Part, gates: Gates, reporters: Reporters | None) -> pa.Table:
    table = part.table()
    for column, called in positive_columns(part, gates):
        table = append_arrow(table, column, called)
    for column, called in class_columns(table, reporters):
        table = append_arrow(table, column, called)
    return table


def _check_names(parts: Sequence[Part], sample_columns: Sequence[str]) -> None:
    """A sample column must not hide a measured one."""
    measured = parts[0].names if parts else []
    if twice := sorted({*sample_columns} & {IMAGE_ID.name, *measured}):
        raise StudyError(
            f"samples: {', '.join(twice)}: senescope measures a column of that name; "
            "rename it in the sample table. What was measured is kept."
        )


def _check_excluded(parts: Sequence[Part], flags: Sequence[str], gates: Gates) -> None:
    """A flag that no cell can carry would exclude nothing, in silence."""
    known = {*parts[0].names, *(f"{name}_positive" for name in gates.rules)} if parts else {*flags}
    for flag in flags:
        if flag not in known:
            raise StudyError(
                f"exclude.flags: the cells table has no column '{flag}'; {nearest(flag, known)} "
                "What was measured is kept."
            )


def _constants(row: ImageRow, columns: Sequence[Column]) -> dict[Column, Value]:
    """The image's id and sample columns, the same in each of its rows."""
    return {IMAGE_ID: row.image_id, **{c: row.sample[c.name] for c in columns}}


def _sample_definitions(parts: Sequence[Part], names: Sequence[str]) -> list[Column]:
    return [
        Column(name, "", _dtype([part.row.sample[name] for part in parts]),
               f"Sample column '{name}'.", "sample table", aggregate=False)
        for name in names
    ]  # fmt: skip


def _dtype(values: Iterable[object]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if not kinds or str in kinds:
        return "str"
    return "float64" if float in kinds else "int64"
