"""The commands of `senescope`. Nothing heavy is imported before a command needs it."""

import sys

import typer

from pipelines.cli.app import STUDY_WRONG, app, errors_for_people

# isort: off
# In the order of the help.
import pipelines.cli.studies
import pipelines.cli.images
import pipelines.cli.results
import pipelines.cli.beginnings  # noqa: F401
# isort: on

__all__ = ["app", "errors_for_people", "main"]


def main() -> None:
    """Entry point of the `senescope` command."""
    try:
        app()
    except ImportError as error:
        from pipelines.clash import explanation

        clash = explanation()
        if not clash:
            raise
        typer.secho(f"{error}. {clash}", err=True, fg=typer.colors.RED)
        sys.exit(STUDY_WRONG)
