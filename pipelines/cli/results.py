"""Commands that take the folder of a run: report, open, export."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import OutputFolder, app, errors_for_people
from pipelines.run.layout import Layout, run_folder


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
) -> None:
    """Write the report of a run again."""
    with errors_for_people():
        layout = Layout(run_folder(folder))
        from pipelines.report import build_report

        typer.echo(build_report([folder], layout.report))


@app.command("open")
def open_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    image: Annotated[str | None, typer.Option(help="Image id; else the first.")] = None,
    study_folder: Annotated[
        Path | None, typer.Option(help="Folder of the study file; else the one above DIR.")
    ] = None,
) -> None:
    """Look at a run in napari, leave out cells, correct labels.

    What is decided is stored in DIR/review and applied by the next run.
    """
    with errors_for_people():
        from pipelines.review.viewer import open_run

        open_run(folder, image, study_folder)


class ExportFormat(StrEnum):
    """What cells can be exported to."""

    CSV = "csv"
    SAMPLES = "samples"
    FCS = "fcs"
    ANNDATA = "anndata"


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    to: Annotated[
        ExportFormat, typer.Option(help="csv, samples: R, Prism, Excel; fcs: cytometry.")
    ],
    output: OutputFolder = None,
    by: Annotated[
        str | None, typer.Option(help="fcs: one file for each value, e.g. image_id; else a unit.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="fcs: patterns of columns, e.g. '*_unmixed'.")
    ] = None,
    decimal_comma: Annotated[
        bool, typer.Option("--decimal-comma", help="csv: 1,5 and semicolons, as Excel in Europe.")
    ] = False,
) -> None:
    """Write the cells of a run for other software.

    They are written into DIR/export unless --output says where.
    """
    with errors_for_people():
        from pipelines.export.run import export_run

        for sentence in export_run(
            folder, to.value, output, by=by, columns=columns or (), decimal_comma=decimal_comma
        ):
            typer.echo(sentence)
