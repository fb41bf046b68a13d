"""Read a small CSV file as people write it: any usual delimiter, stray spaces, empty lines."""

import csv
import io
import re
from collections.abc import Iterable

Value = str | int | float | None


def parse_csv(text: str, name: str) -> tuple[list[str], list[dict[str, str]], list[str]]:
    """Header, records and problems of a CSV file with comma, semicolon or tab between fields."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        return [], [], [f"{name} is no table of fields with commas between them: {error}"]
    if not lines or not any(lines[0]):
        return [], [], [f"{name} is empty: it needs a header with the column 'image'"]
    header = [cell.strip() for cell in lines[0]]
    problems = [
        f"{name} line {i}: {len(line)} fields where the header has {len(header)}"
        for i, line in enumerate(lines[1:], start=2)
        if line and len(line) != len(header)
    ]
    records = [
        dict(zip(header, (cell.strip() for cell in line), strict=False))
        for line in lines[1:]
        if any(cell.strip() for cell in line)
    ]
    return header, records, problems


def typed_column(texts: list[str]) -> list[Value]:
    """A column as int or float where every value reads back as it was written, else as text.

    '007' stays text: a well or animal must not lose its leading zeros.
    """
    filled = [text for text in texts if text]
    if filled and all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", text) for text in filled):
        return [int(text) if text else None for text in texts]
    number = r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?"
    if filled and all(re.fullmatch(number, text) for text in filled):
        return [float(text) if text else None for text in texts]
    return [text or None for text in texts]


def repeated(names: Iterable[str]) -> list[str]:
    """The names that stand more than once, in order of their second appearance."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    return list(twice)
