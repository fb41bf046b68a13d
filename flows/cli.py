"""The command line: that of the pipelines, and `senescope serve`, which needs Prefect."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli import app, errors_for_people


def main() -> None:
    """Entry point of the `senescope` command."""
    app()


@app.command()
def serve(
    studies: Annotated[list[Path], typer.Argument(metavar="STUDY...", help="Study files.")],
    cron: Annotated[
        str, typer.Option(help="When to sweep: minute, hour, day, month, weekday.")
    ] = "0 2 * * *",
    timezone: Annotated[str, typer.Option(help="Of --cron, e.g. Europe/Lisbon.")] = "UTC",
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="Images at the same time.")
    ] = None,
    port: Annotated[int, typer.Option(help="Of the page on this machine.")] = 4200,
) -> None:
    """Sweep the folders of studies by the clock, until stopped.

    Starts a Prefect server for this machine alone, unless PREFECT_API_URL names one. Results are
    written beside each study file.
    """
    with errors_for_people():
        from flows.serving import serve_studies

        serve_studies(studies, cron, timezone, workers, port)
