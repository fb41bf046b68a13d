"""What is exported: the cells of a finished run, and what the study says of their columns."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from measurements.columns import Column
from pipelines.errors import StudyError
from pipelines.run.layout import Layout
from pipelines.tables import columns_of

IMAGE_ID = "image_id"
CELL_ID = "cell_id"


@dataclass(frozen=True)
class Source:
    """The cells of a run.

    Attributes:
        layout: of the run.
        columns: definitions of the columns of its cells table, in their order.
        sample_columns: names of those that come from the sample table.
        unit_columns: names of those that together name one unit; the image where there are none.
        study: what provenance.json says of the study.
    """

    layout: Layout
    columns: tuple[Column, ...]
    sample_columns: tuple[str, ...]
    unit_columns: tuple[str, ...]
    study: dict[str, Any]

    @property
    def n_cells(self) -> int:
        """Rows of the table."""
        return int(pq.read_metadata(self.layout.cells).num_rows)

    def table(self) -> pa.Table:
        """The whole table."""
        return pq.read_table(self.layout.cells)

    def is_number(self, column: Column) -> bool:
        """Whether it is a measured number, no key and no flag."""
        keys = {IMAGE_ID, CELL_ID, *self.sample_columns}
        return column.name not in keys and column.dtype not in ("string", "bool")


def read_source(folder: Path) -> Source:
    """Open the results of a run.

    Raises:
        StudyError: the folder holds no run, or a run without cells.
    """
    layout = Layout(folder)
    if not layout.provenance.is_file():
        raise StudyError(f"{folder} is not the folder of a run: it has no provenance.json.")
    if not layout.cells.is_file():
        raise StudyError(f"The run in {folder} has no table of cells: see {layout.failures}.")
    study = json.loads(layout.provenance.read_text(encoding="utf-8"))["study"]
    return Source(
        layout,
        tuple(columns_of(pq.read_schema(layout.cells))),
        tuple(study["sample_columns"]),
        tuple(study["unit_columns"]) or (IMAGE_ID,),
        study,
    )
