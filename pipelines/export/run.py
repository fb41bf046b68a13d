"""`senescope export`: one run, one format, and what to say of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipelines.export.source import Source, read_source
from pipelines.tables import definition_rows, write_csv

Format = Literal["csv", "samples", "fcs", "anndata"]


def export_run(
    folder: Path,
    to: Format,
    output: Path | None = None,
    *,
    by: str | None = None,
    columns: Sequence[str] = (),
    decimal_comma: bool = False,
) -> list[str]:
    """Write the cells of a run in another format.

    Args:
        folder: of the run.
        to: the format.
        output: folder to write to; ``export`` in the run's own where None.
        by: for FCS, the column that parts the files; the unit where None.
        columns: for FCS, patterns of the columns wanted.
        decimal_comma: for CSV and samples, 1,5 instead of 1.5.

    Returns:
        Sentences: what was written where, and what to bear in mind.

    Raises:
        StudyError: no run in the folder, or a column that it does not have.
        SenescopeError: a library that the format needs is not installed.
    """
    source = read_source(folder)
    place = output or folder / "export"
    if to == "csv":
        return _csv(source, place, decimal_comma=decimal_comma)
    if to == "samples":
        return _samples(source, place, decimal_comma=decimal_comma)
    if to == "fcs":
        return _fcs(source, place / "fcs", by, columns)
    return _anndata(source, place / "cells.h5ad")


def _csv(source: Source, place: Path, *, decimal_comma: bool) -> list[str]:
    from pipelines.export.spreadsheet import EXCEL_ROWS, write_spreadsheets

    done = write_spreadsheets(source, place, decimal_comma=decimal_comma)
    rows = definition_rows("cells", source.columns)
    write_csv(place / "columns.csv", rows, list(rows[0]))
    said = [f"{source.n_cells:,} cells: {', '.join(map(str, done.paths))}"]
    said.append(f"What each column is, with its unit: {place / 'columns.csv'}")
    if len(done.paths) > 1:
        said.append(
            f"Divided, since Excel leaves out all rows beyond {EXCEL_ROWS:,} without a word; R and "
            f"Python read {source.layout.cells} in one piece."
        )
    if done.changed:
        said.append(
            f"Excel turns these into dates or numbers when it opens the file: "
            f"{', '.join(done.changed)}. Use Data > From Text/CSV there, and Text as their type."
        )
    return said


def _samples(source: Source, place: Path, *, decimal_comma: bool) -> list[str]:
    from pipelines.export.samples import write_samples

    done = write_samples(source, place, decimal_comma=decimal_comma)
    said = [f"One row a unit: {', '.join(map(str, done.samples))}"]
    if done.prism:
        said.append(f"One column a group, for Prism: {', '.join(map(str, done.prism))}")
    if done.left_out:
        said.append(f"In no table of samples: {', '.join(done.left_out)}.")
    if done.changed:
        said.append(
            f"Excel turns these into dates or numbers: {', '.join(done.changed)}. Use Data > From "
            "Text/CSV there, and Text as their type."
        )
    return said


def _fcs(source: Source, place: Path, by: str | None, columns: Sequence[str]) -> list[str]:
    from pipelines.export.cytometry import MAX_MISSING, write_cytometry

    done = write_cytometry(source, place, by, columns)
    events = sum(written.n_events for written in done.files)
    gaps = sum(written.n_left_out for written in done.files)
    said = [f"{len(done.files)} files, {events:,} events: {place}"]
    if done.left_out:
        said.append(
            f"Left out, since more than {MAX_MISSING:.0%} of the cells have no value: "
            f"{', '.join(done.left_out)}."
        )
    if gaps:
        said.append(f"{gaps:,} cells left out, which lack a value: FCS has no gaps.")
    return said


def _anndata(source: Source, path: Path) -> list[str]:
    from pipelines.export.annotated import write_annotated

    placed = write_annotated(source, path)
    said = [f"{source.n_cells:,} cells: {path}"]
    if not placed:
        said.append("No obsm['spatial']: add {type: morphology} to the study for centroids.")
    return said
