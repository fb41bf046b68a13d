"""spread.csv and spread_rings.csv: how a response depends on the distance from source cells.

Every image is a section; the sections of one unit give one estimate, and groups are means of
units, as everywhere. Lengths are µm, as in the cells table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from measurements.columns import Column
from measurements.errors import MeasurementError
from measurements.spread import (
    Distances,
    Section,
    ShiftedCounts,
    SpreadSettings,
    Window,
    find_window,
    fit_decay,
    measure_rings,
    measure_spread,
    shifted_counts,
    source_distances,
)
from pipelines.errors import StudyError
from pipelines.run.cohort import Cohort, cohort_of
from pipelines.run.layout import Layout
from pipelines.run.spread_columns import RING_COLUMNS, SPREAD_COLUMNS
from pipelines.run.spread_groups import Row, group_rows
from pipelines.run.spread_pairs import pair_rows
from pipelines.selection import chosen, place_of, written_otherwise
from pipelines.study.check import Checked
from pipelines.study.messages import nearest
from pipelines.study.neighbours import Neighbours
from pipelines.tables import write_csv


@dataclass(frozen=True)
class Placed:
    """One section, laid out.

    Attributes:
        section: its cells.
        window: where they were looked for.
        distances: of the cells from sources and edges.
    """

    section: Section
    window: Window
    distances: Distances


def write_spread(checked: Checked, layout: Layout) -> dict[str, list[Column]]:
    """Write both tables, or remove them where the study does not ask.

    Args:
        checked: the study and its images.
        layout: of the run, whose cells table is written.

    Returns:
        Table -> its columns.

    Raises:
        StudyError: the cells table lacks a column that is asked for.
    """
    asked = [m for m in checked.study.measurements if isinstance(m, Neighbours)]
    if not asked or not layout.cells.is_file():
        for name in ("spread", "spread_rings"):
            layout.table(name).unlink(missing_ok=True)
        return {}
    cohort = cohort_of(checked, layout)
    found = [spread_rows(layout, settings, cohort) for settings in asked]
    columns = {}
    for name, own, rows in zip(
        ("spread", "spread_rings"),
        (SPREAD_COLUMNS, RING_COLUMNS),
        zip(*found, strict=True),
        strict=True,
    ):
        columns[name] = [*own[:2], *cohort.units, *own[2:]]
        written = [row for part in rows for row in part]
        write_csv(layout.table(name), written, [column.name for column in columns[name]])
    return columns


def spread_rows(
    layout: Layout, settings: Neighbours, cohort: Cohort
) -> tuple[list[Row], list[Row]]:
    """Rows of both tables for one question: units, then groups.

    Args:
        layout: of the run, whose cells table is written.
        settings: the question.
        cohort: whose cells belong together.

    Raises:
        StudyError: as `write_spread`.
    """
    units = _units(layout, settings, cohort)
    spacings = [p.section.spacing for _, placed in units for p in placed]
    contact = settings.contact_um or 2 * float(np.median(spacings or [0.0]))
    rows: list[Row] = []
    rings: list[Row] = []
    for key, placed in units:
        start: Row = {"level": "unit", "name": settings.name, **key}
        more, more_rings = _unit_rows(placed, settings, contact)
        rows += [start | row for row in more]
        rings += [start | row for row in more_rings]
    return rows + group_rows(rows, cohort.groups), rings


def _units(layout: Layout, settings: Neighbours, cohort: Cohort) -> list[tuple[Row, list[Placed]]]:
    """Every unit with its sections that hold two cells or more."""
    cells = _read(layout, settings, cohort)
    found = []
    for unit in cohort.by_unit(cells):
        sections = [_section(image) for image in unit.partition_by("image_id", maintain_order=True)]
        placed = [_lay_out(section) for section in sections if section.spacing > 0]
        found.append(({name: unit[name][0] for name in cohort.unit_names}, placed))
    return found


def _read(layout: Layout, settings: Neighbours, cohort: Cohort) -> pl.DataFrame:
    """Cells that are not excluded: their unit, image, place, and what they are in the question."""
    known = pq.read_schema(layout.cells).names
    where = f"measurements.neighbours ({settings.name})"
    place = place_of(known)
    if place is None:
        raise StudyError(
            f"{where}: cells have no place in µm; add {{type: morphology}}, and pixel_size_um "
            "where the images have none. What was measured is kept."
        )
    asked = [*settings.source, *settings.among, settings.response]
    asked += [settings.strata] if settings.strata else []
    for name in asked:
        if name not in known:
            raise StudyError(
                f"{where}: the cells table has no column '{name}'; {nearest(name, known)} "
                "What was measured is kept."
            )
    every = pl.scan_parquet(layout.cells)
    for selection in (settings.source, settings.among):
        if otherwise := written_otherwise(selection, every):
            raise StudyError(f"{where}: {otherwise}. What was measured is kept.")
    cells = cohort.kept(every.collect())
    strata = pl.col(settings.strata).cast(pl.String) if settings.strata else pl.lit("")
    return cells.select(
        *dict.fromkeys(["image_id", *cohort.unit_names]),
        pl.col(f"{place}_y_um").alias("_y"),
        pl.col(f"{place}_x_um").alias("_x"),
        chosen(settings.source).alias("_source"),
        pl.col(settings.response).cast(pl.Float64).alias("_response"),
        chosen(settings.among).alias("_among"),
        strata.fill_null("").rank("dense").cast(pl.Int64).alias("_stratum"),
    )


def _section(image: pl.DataFrame) -> Section:
    return Section.of(
        image.select("_y", "_x").to_numpy(),
        image["_source"].to_numpy(),
        image["_response"].fill_null(np.nan).to_numpy(),
        image["_among"].to_numpy(),
        image["_stratum"].to_numpy(),
    )


def _lay_out(section: Section) -> Placed:
    window = find_window(section.positions, section.spacing)
    return Placed(section, window, source_distances(section, window))


def _unit_rows(
    placed: Sequence[Placed], settings: Neighbours, contact: float
) -> tuple[list[Row], list[Row]]:
    """What one unit says, a row a bound and a row a ring; one row that says why not."""
    about = SpreadSettings(settings.rings_um, contact, settings.shifts, settings.seed)
    head = _head(placed, about)
    if contact >= settings.rings_um[-1]:
        note = "the last of rings_um does not reach beyond contact_um"
        return [head | {"note": note}], []
    counted, notes = _counted(placed, about)
    if not counted:
        return [head | {"note": "; ".join(dict.fromkeys(notes))}], []
    spread, touching = (measure_spread(counted, with_contact=c) for c in (False, True))
    decay = fit_decay(
        [(p.section, p.window, p.distances) for p in placed], contact, settings.rings_um[-1]
    )
    head |= {
        "n_sections_used": len(counted), "p_any": spread.p_any, "range_um": decay.range,
        "range_ci_low_um": decay.ci_low, "range_ci_high_um": decay.ci_high,
        "note": "; ".join(dict.fromkeys(notes)),
    }  # fmt: skip
    beside = dict(zip(touching.bounds, touching.difference, strict=True))
    rows = [
        head | {
            "within_um": bound, "n_near": spread.n_near[i], "n_far": spread.n_far[i],
            "near_fraction": spread.near[i], "far_fraction": spread.far[i],
            "difference": spread.difference[i], "ci_low": spread.ci_low[i],
            "ci_high": spread.ci_high[i], "p": spread.p[i],
            "difference_with_contact": beside[bound],
        }
        for i, bound in enumerate(spread.bounds)
    ]  # fmt: skip
    laid = [(p.section, p.window, p.distances) for p in placed]
    return rows, _ring_rows(counted, pair_rows(laid, counted[0].bounds))


def _head(placed: Sequence[Placed], about: SpreadSettings) -> Row:
    return {
        "n_units": 1,
        "n_sections": len(placed),
        "n_sections_used": 0,
        "n_sources": sum(int(p.section.source.sum()) for p in placed),
        "n_responders": sum(int(p.section.responder.sum()) for p in placed),
        "contact_um": about.contact,
        "n_shifts": about.n_shifts,
        "seed": about.seed,
    }


def _counted(
    placed: Sequence[Placed], about: SpreadSettings
) -> tuple[list[ShiftedCounts], list[str]]:
    """Sections that can be shifted, and why others cannot."""
    counted, notes = [], []
    for number, p in enumerate(placed):
        try:
            counted.append(shifted_counts(p.section, p.window, p.distances, about, number))
        except MeasurementError as error:
            notes.append(f"section {number + 1}: {error}")
    return counted, notes


def _ring_rows(counted: Sequence[ShiftedCounts], pairs: Sequence[dict[str, float]]) -> list[Row]:
    first, rings = counted[0], measure_rings(counted)
    edges = [0.0, *first.bounds, np.nan]
    return [
        {
            "from_um": edges[i], "to_um": edges[i + 1],
            "contact": bool(edges[i + 1] <= first.contact), "n": rings.n[i],
            "n_positive": rings.n_positive[i], "fraction": rings.fraction[i],
            "expected_fraction": rings.expected[i], "expected_low": rings.expected_low[i],
            "expected_high": rings.expected_high[i], **(pairs[i] if i < len(pairs) else {}),
        }
        for i in range(rings.n.size)
    ]  # fmt: skip
