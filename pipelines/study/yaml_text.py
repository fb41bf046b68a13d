"""YAML of a file that may have come from anyone: plain data, of a size that people write."""

from typing import Any

import yaml

from pipelines.errors import StudyError

MOST_CHARACTERS = 2**20
MOST_VALUES = 100_000
"""Values of a file with its aliases written out: nested aliases make a thousand lines of one."""


def load_yaml(text: str, name: str) -> Any:  # noqa: ANN401  whatever the file holds
    """Read YAML as plain data.

    Args:
        text: of the file.
        name: stands for the file in messages.

    Raises:
        StudyError: it is no YAML, holds other objects than plain data, or is absurdly large.
    """
    if len(text) > MOST_CHARACTERS:
        raise StudyError(f"{name} has {len(text):,} characters; up to {MOST_CHARACTERS:,} are read")
    try:
        data = yaml.safe_load(text)
        size = _size(data, {})
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        # Dates such as 2001-99-99 and numbers of thousands of digits are ValueErrors.
        what = str(error) or "it is nested too deeply"
        raise StudyError(f"{name} is not valid YAML: {what}") from error
    if size > MOST_VALUES:
        raise StudyError(
            f"{name} holds over {MOST_VALUES:,} values once its aliases (*) are written out, or an "
            "alias within itself; write it without"
        )
    return data


def _size(data: object, known: dict[int, int]) -> int:
    """Values of nested data, aliases written out; each object is looked at once.

    Args:
        data: what safe_load gave.
        known: sizes by the identity of objects; one that is being looked at is beyond the limit,
            so that it may hold itself.
    """
    if not isinstance(data, dict | list | set | tuple):
        return 1
    if id(data) in known:
        return known[id(data)]
    known[id(data)] = MOST_VALUES + 1
    inside = [*data.keys(), *data.values()] if isinstance(data, dict) else data
    known[id(data)] = 1 + sum(_size(value, known) for value in inside)
    return known[id(data)]
