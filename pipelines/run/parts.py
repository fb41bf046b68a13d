"""One image's cells while a study is gathered: what was measured, and what the study adds.

Some columns can only be decided once every image is measured (what is debris, which cells are
positive): they are added to the part in memory, and its file stays as it was measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.columns import Column, Measured
from pipelines.run.layout import Layout, read_part
from pipelines.study.row import ImageRow
from pipelines.tables import append_arrow, arrow_values


@dataclass(frozen=True)
class Part:
    """One image that is in the tables.

    Attributes:
        row: the image and its sample columns.
        marker: what image.json says of it.
        path: Parquet file of its cells.
        added: columns that the study decided, one value a cell; masked where a cell has none.
        of_image: columns and flags of images.csv that the study decided, one value.
    """

    row: ImageRow
    marker: Mapping[str, Any]
    path: Path
    added: Measured = field(default_factory=dict)
    of_image: Mapping[Column, Any] = field(default_factory=dict)

    @property
    def image_id(self) -> str:
        """The image."""
        return self.row.image_id

    @property
    def n_cells(self) -> int:
        """Number of its cells."""
        return int(self.marker["n_cells"])

    @property
    def summary(self) -> dict[str, Any]:
        """The image's own columns of images.csv, its flags joined in one of them."""
        summary = dict(self.marker["summary"])
        raised = [c.name for c, value in self.of_image.items() if c.unit == "flag" and value]
        summary["flags"] = ";".join(filter(None, [summary["flags"], *raised]))
        numbers = {c.name: float(v) for c, v in self.of_image.items() if c.unit != "flag"}
        return summary | {name: None if np.isnan(v) else v for name, v in numbers.items()}

    @cached_property
    def names(self) -> list[str]:
        """Columns of its cells, the added ones last."""
        return [*pq.read_schema(self.path).names, *(column.name for column in self.added)]

    def values(self, name: str) -> NDArray[np.float64]:
        """One column of numbers or flags as float64; NaN where a cell has no value."""
        for column, values in self.added.items():
            if column.name == name:
                return np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
        read = pq.read_table(self.path, columns=[name]).column(0).cast(pa.float64())
        found: NDArray[np.float64] = read.to_numpy()
        return found

    def table(self) -> pa.Table:
        """All columns."""
        table = pq.read_table(self.path)
        for column, values in self.added.items():
            table = append_arrow(table, column, arrow_values(values))
        return table

    def kept(self, exclude: Sequence[str]) -> NDArray[np.bool_]:
        """Cells that carry none of the flags; a flag that the part does not have is on no cell."""
        kept = np.ones(self.n_cells, dtype=bool)
        for name in exclude:
            if name in self.names:
                kept &= self.values(name) != 1
        return kept

    def adding(self, more: Measured) -> "Part":
        """The part with further columns."""
        return replace(self, added={**self.added, **more})

    def with_image_columns(self, more: Mapping[Column, Any]) -> "Part":
        """The part with further columns and flags of images.csv."""
        return replace(self, of_image={**self.of_image, **more})


def read_parts(rows: Sequence[ImageRow], layout: Layout, measurement_key: str) -> list[Part]:
    """The images measured with the present settings, in the order of the sample table."""
    found = [(row, read_part(layout, row.image_id)) for row in rows]
    return [
        Part(row, marker, layout.cells_part(row.image_id))
        for row, marker in found
        if marker is not None and marker["measurement_key"] == measurement_key
    ]
