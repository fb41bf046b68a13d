"""What a check finds: problems with their place, errors or warnings."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or looks wrong, with a study.

    Attributes:
        level: an error stops the run before it computes; a warning goes into the report.
        where: place in the study file, sample table or image list.
        message: what was found, what was expected, what to do.
    """

    level: Literal["error", "warning"]
    where: str
    message: str


def error(where: str, message: str) -> Problem:
    """A problem that stops the run."""
    return Problem("error", where, message)


def warning(where: str, message: str) -> Problem:
    """A problem that is reported while the run goes on."""
    return Problem("warning", where, message)
