"""images.csv, samples.csv and groups.csv: the aggregates of a study, and what their columns are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
import pyarrow.parquet as pq

from measurements.columns import Column
from pipelines.field.summary import summary_columns
from pipelines.run.aggregate import reference_first, summarise_cells, summarise_units
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.positivity import Gates
from pipelines.run.reporters import class_flags
from pipelines.study import Study
from pipelines.study.check import Checked
from pipelines.study.csv_table import Value
from pipelines.study.design import group_columns, selected, unit_columns
from pipelines.study.samples import Samples
from pipelines.tables import aggregated_columns, columns_of, write_csv

LEVELS = ("images", "samples", "groups")
N_CELLS = Column("n_cells", "count", "int64", "Cells, excluded ones left out.", "rows of cells")
N_EXCLUDED = Column(
    "n_excluded", "count", "int64", "Cells that carry a flag that the study excludes.", "exclude"
)
N_IMAGES = Column("n_images", "count", "int64", "Images, also those without a cell.", "images.csv")
N_UNITS = Column("n_units", "count", "int64", "Units: the n of a comparison.", "rows of samples")
COUNTS = (N_CELLS, N_EXCLUDED, N_IMAGES, N_UNITS)
OVER_CELLS = "over the cells that have a value and are not excluded"
ROGAN_GLADEN = (
    "(observed - α) / (1 - α), Rogan & Gladen 1978 (Am. J. Epidemiol. 107:71) with sensitivity 1; "
    "measurements.gating.corrected_fraction"
)


@dataclass(frozen=True)
class Levels:
    """What the aggregates are made of.

    Attributes:
        numbers: number columns of the cells table.
        flags: flag columns of the cells table.
        exclude: flags whose cells are left out.
        alphas: see `Gates.alphas`.
        counted: flags whose cells are counted, too.
    """

    numbers: Sequence[str]
    flags: Sequence[str]
    exclude: Sequence[str]
    alphas: Mapping[str, float]
    counted: Sequence[str]


def write_levels(
    checked: Checked, parts: Sequence[Part], layout: Layout, gates: Gates
) -> dict[str, list[Column]]:
    """Write the three tables.

    Args:
        checked: the study and its images.
        parts: the images that are in the tables.
        layout: of the run, whose cells table is written.
        gates: the thresholds, which say what share of negative cells is above them.

    Returns:
        Table -> its columns.
    """
    study = checked.study
    if not parts:
        for level in LEVELS:
            write_csv(layout.table(level), [], (N_CELLS.name,))
        return {level: [N_CELLS] for level in LEVELS}
    numbers, flags = aggregated_columns(pq.read_schema(layout.cells))
    counted = class_flags(study.reporters)
    levels = Levels(numbers, flags, study.exclude.flags, gates.alphas(), counted)
    base = pl.from_dicts(
        [{"image_id": part.image_id, **part.row.sample} for part in parts],
        infer_schema_length=None,
    )
    units = _units(study, checked.samples, base, layout, levels)
    groups = group_columns(study)
    by_group = summarise_units(units, groups, counted) if groups else pl.DataFrame({"n_units": []})
    frames = {
        "images": _images(parts, base, layout, levels),
        "samples": units,
        "groups": reference_first(by_group, groups, reference_levels(study, checked.samples)),
    }
    for level, frame in frames.items():
        write_csv(layout.table(level), frame.to_dicts(), frame.columns)
    known = _definitions(columns_of(pq.read_schema(layout.cells)), study, levels)
    return {
        level: [_defined(name, level, known) for name in frame.columns]
        for level, frame in frames.items()
    }


def _images(
    parts: Sequence[Part], base: pl.DataFrame, layout: Layout, levels: Levels
) -> pl.DataFrame:
    quality = pl.from_dicts([part.summary for part in parts], infer_schema_length=None)
    return _joined(base.hstack(quality), layout, ["image_id"], levels)


def _units(
    study: Study, samples: Samples, base: pl.DataFrame, layout: Layout, levels: Levels
) -> pl.DataFrame:
    units = unit_columns(study, samples) or ("image_id",)
    counts = base.group_by(units, maintain_order=True).agg(pl.len().alias("n_images"))
    joined = _joined(counts, layout, units, levels)
    return reference_first(joined, units, reference_levels(study, samples))


def _joined(
    base: pl.DataFrame, layout: Layout, keys: Sequence[str], levels: Levels
) -> pl.DataFrame:
    """`base` with the summaries of its cells behind it; a row without a cell has n_cells 0."""
    summary = summarise_cells(
        layout.cells,
        keys,
        levels.numbers,
        levels.flags,
        levels.exclude,
        levels.alphas,
        levels.counted,
    )
    joined = base.join(summary, on=list(keys), how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(pl.col("n_cells", "n_excluded").fill_null(0))


def reference_levels(study: Study, samples: Samples) -> dict[str, Value]:
    """Reference level of each factor, as the sample table has it."""
    given = study.statistics.reference if study.statistics else {}
    found = {name: selected(samples.rows, {name: value}) for name, value in given.items()}
    return {name: rows[0].sample[name] for name, rows in found.items() if rows}


def _definitions(cells: Sequence[Column], study: Study, levels: Levels) -> dict[str, Column]:
    """Every column that an aggregate of these cells can have, by name; groups' SDs apart."""
    of_image = [c for c in summary_columns(study.planes) if c.unit != "flag"]
    known = {c.name: c for c in (*cells, *COUNTS, *of_image)}
    for column in cells:
        if column.name in levels.numbers:
            known |= {c.name: c for c in _number_summaries(column)}
        elif column.name in levels.flags:
            known |= {c.name: c for c in _flag_summaries(column, levels)}
    return known


def _number_summaries(column: Column) -> list[Column]:
    statistics = {"mean": "Mean", "median": "Median", "sd": "Standard deviation (n - 1)"}
    return [
        Column(
            f"{column.name}_{suffix}", column.unit, "float64", f"{word} of {column.name}.",
            f"{word.split(' ')[0].lower()} {OVER_CELLS}",
        )
        for suffix, word in statistics.items()
    ]  # fmt: skip


def _flag_summaries(column: Column, levels: Levels) -> list[Column]:
    name, alphas = column.name, levels.alphas
    found = [
        Column(f"{name}_fraction", "1", "float64", f"Share of cells that are {name}.",
               f"mean of the flag {OVER_CELLS}")
    ]  # fmt: skip
    if name in levels.counted:
        found.append(
            Column(f"{name}_n", "count", "int64", f"Cells that are {name}.", f"sum {OVER_CELLS}")
        )
    if name in alphas:
        meaning = (
            f"{name}_fraction less the negative cells above the threshold, of which α = "
            f"{alphas[name]:.3g} are expected: a lower bound, below 0 where there are fewer."
        )
        found.append(Column(f"{name}_corrected_fraction", "1", "float64", meaning, ROGAN_GLADEN))
    return found


def _defined(name: str, level: str, known: Mapping[str, Column]) -> Column:
    """What a column of an aggregate is; in groups.csv an average or SD of units."""
    if level == "groups" and name.endswith(("_mean", "_fraction")):
        meaning = f"Mean over units of {name} in samples.csv. {known[name].meaning}"
        return replace(known[name], meaning=meaning, source=f"mean of units; {known[name].source}")
    between = name.removesuffix("_sd")
    if level == "groups" and between.endswith(("_mean", "_fraction")):
        unit = known[between].unit
        meaning = f"Standard deviation (n - 1) between units of {between} in samples.csv."
        return Column(name, unit, "float64", meaning, "standard deviation of units")
    # A column without a definition must not stop a run; a test over all tables finds it.
    return known.get(name, Column(name, "", "", "", ""))
