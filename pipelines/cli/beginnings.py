"""Commands that need nothing to begin with: simulate, demo."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import IMAGES_FAILED, Workers, app, errors_for_people


class Assay(StrEnum):
    """What can be simulated."""

    FOCI = "foci"
    BETA_GAL = "beta_gal"
    REPORTERS = "reporters"
    TISSUE = "tissue"
    RNA = "rna"
    RNA_BRIGHTFIELD = "rna_brightfield"
    LOBULE = "lobule"
    HYBISS = "hybiss"
    SLIDE = "slide"


@app.command()
def simulate(
    assay: Annotated[Assay, typer.Argument(help="What is simulated.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the study.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same images.")] = 0,
    side: Annotated[int, typer.Option(help="Rows and columns of a slide, px.")] = 4096,
) -> None:
    """Write a small study of simulated images, ready to run.

    What is in them is known, and lies beside them.
    """
    with errors_for_people():
        from pipelines.simulate import write_study

        if assay is Assay.SLIDE:
            from pipelines.simulate.slide import write_slide_study

            typer.echo(write_slide_study(output, seed, side))
            return
        typer.echo(write_study(assay.value, output, seed))


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "senescope-demo"
    ),
    workers: Workers = None,
) -> None:
    """Run five small studies, real and simulated, and report them."""
    from pipelines.run.workers import warm_up

    warm_up()
    with errors_for_people():
        from pipelines.demo import run_demo

        failed = run_demo(output, workers)
    raise typer.Exit(IMAGES_FAILED if failed else 0)
