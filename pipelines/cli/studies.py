"""Commands that take a study file: run, sweep, check."""

from typing import Annotated

import typer

from pipelines.cli.app import (
    IMAGES_FAILED,
    STUDY_WRONG,
    OutputFolder,
    StudyFile,
    Workers,
    app,
    errors_for_people,
)
from pipelines.run.layout import Layout, results_of


@app.command()
def run(
    study: StudyFile,
    output: OutputFolder = None,
    workers: Workers = None,
    only: Annotated[
        str | None, typer.Option(help="Only image ids that match this pattern, e.g. 'plate1_*'.")
    ] = None,
    restart: Annotated[bool, typer.Option(help="Forget earlier results in the folder.")] = False,
) -> None:
    """Measure a study: images to tables, pictures and a report.

    A run that was stopped goes on where it was: images whose settings and files did not change
    are left untouched, failed ones are tried again. The exit code is 1 where an image failed.
    """
    from pipelines.run.workers import warm_up

    warm_up()
    with errors_for_people():
        from pipelines.console import run_with_progress

        folder = output or results_of(study)
        summary = run_with_progress(study, folder, workers=workers, only=only, restart=restart)
    raise typer.Exit(IMAGES_FAILED if summary.n_failed else 0)


@app.command()
def sweep(study: StudyFile, output: OutputFolder = None, workers: Workers = None) -> None:
    """Measure what is new in a folder that is still being filled.

    Files that are being written are left for the next sweep, renamed ones are known again, copies
    are not counted twice. The exit code is 1 where an image failed or is gone.
    """
    from pipelines.run.workers import warm_up

    warm_up()
    with errors_for_people():
        from pipelines.console import sweep_with_progress

        failed = sweep_with_progress(study, output or results_of(study), workers)
    raise typer.Exit(IMAGES_FAILED if failed else 0)


@app.command()
def check(
    study: StudyFile,
    output: OutputFolder = None,
    diameter: Annotated[
        bool,
        typer.Option("--diameter", help="Also measure the objects' diameter in three images."),
    ] = False,
) -> None:
    """Find all that is wrong with a study before it is run."""
    with errors_for_people():
        from dataclasses import replace

        from pipelines.console import print_check
        from pipelines.study.check import check_study

        checked = check_study(study)
        layout = Layout((output or results_of(study)).resolve())
        found = list(checked.problems)
        if layout.review.is_dir():
            from pipelines.run.given import given_label_problems

            found += given_label_problems(checked, layout)
        if diameter:
            from pipelines.inspection.diameter import diameter_problems

            found += diameter_problems(checked)
        checked = replace(checked, problems=tuple(found))
        print_check(checked)
    wrong = any(problem.level == "error" for problem in checked.problems)
    raise typer.Exit(STUDY_WRONG if wrong else 0)
