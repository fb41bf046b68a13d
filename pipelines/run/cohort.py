"""Whose cells belong together in a table of units and groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from measurements.columns import Column
from pipelines.run.aggregate import reference_first
from pipelines.run.layout import Layout
from pipelines.run.levels import reference_levels
from pipelines.study.check import Checked
from pipelines.study.design import group_columns, unit_columns
from pipelines.tables import columns_of


@dataclass(frozen=True)
class Cohort:
    """Whose cells belong together.

    Attributes:
        units: definitions of the columns that name a unit, the most important first.
        groups: names of those that are compared.
        exclude: flags whose cells are left out.
        reference: level of a factor that stands first.
    """

    units: Sequence[Column]
    groups: Sequence[str]
    exclude: Sequence[str]
    reference: Mapping[str, object]

    @property
    def unit_names(self) -> list[str]:
        """Names of the columns that name a unit."""
        return [column.name for column in self.units]

    def kept(self, cells: pl.DataFrame) -> pl.DataFrame:
        """The cells without those that are left out."""
        for name in self.exclude:
            cells = cells.filter(~pl.col(name).fill_null(value=False))
        return cells

    def by_unit(self, cells: pl.DataFrame) -> list[pl.DataFrame]:
        """The cells of each unit, reference levels first."""
        ordered = reference_first(cells, self.unit_names, self.reference)
        return ordered.partition_by(self.unit_names, maintain_order=True)


def cohort_of(checked: Checked, layout: Layout) -> Cohort:
    """The units and groups of a study; images are the units where it names none.

    Args:
        checked: the study and its images.
        layout: of the run, whose cells table is written.
    """
    study, samples = checked.study, checked.samples
    names = unit_columns(study, samples) or ("image_id",)
    known = {column.name: column for column in columns_of(pq.read_schema(layout.cells))}
    return Cohort(
        units=[known[name] for name in names],
        groups=group_columns(study),
        exclude=study.exclude.flags,
        reference=reference_levels(study, samples),
    )
