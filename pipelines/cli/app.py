"""The command line itself: what its commands share, and errors that people can read."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import SenescopeError

IMAGES_FAILED = 1
STUDY_WRONG = 2

_OF_THE_DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_DISK_ADVICE = "see that it may be written to and has room, or choose another folder with --output"

app = typer.Typer(
    name="senescope",
    help="Measure cellular senescence in microscope images, cell by cell.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the help then starts in half the time
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's YAML file.")]
OutputFolder = Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the results.")]
Workers = Annotated[
    int | None, typer.Option("--workers", "-w", min=1, help="Images worked on at the same time.")
]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"senescope {installed('senescope')}")
        raise typer.Exit


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Print an error that the user can mend without a traceback, and leave with code 2."""
    from pipelines.clash import refuse_strangers

    try:
        refuse_strangers()
        yield
    except SenescopeError as error:
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        sys.exit(STUDY_WRONG)
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        where = error.filename or "the disk"
        typer.secho(f"{where}: {error.strerror}; {_DISK_ADVICE}", err=True, fg=typer.colors.RED)
        sys.exit(STUDY_WRONG)
    except KeyboardInterrupt:
        typer.echo("Stopped. What is done is kept: the same command goes on from here.", err=True)
        sys.exit(130)
