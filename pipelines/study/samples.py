"""The sample table joined to images: one `ImageRow` for each image field of a study.

Nothing here reads a pixel; headers are read of files that may hold several images. Problems are
collected, never raised one by one, so that `senescope check` can print them all.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path

from pipelines.images.formats import is_zarr
from pipelines.study.csv_table import Value, parse_csv, repeated, typed_column
from pipelines.study.messages import nearest
from pipelines.study.model import Study
from pipelines.study.row import ImageRow as ImageRow
from pipelines.study.scenes import SCENE, TIME, Chosen, expand

IMAGE = "image"
TRUTH = "truth_nuclei"
RESERVED = frozenset({"cell_id", "focus_id", "n_cells"})
_IMAGE_ID = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,149}")


@dataclass(frozen=True)
class Samples:
    """The images of a study and what is wrong with their table.

    Attributes:
        rows: the images, in the order of the table.
        columns: names of the sample columns, in the order of the table.
        problems: sentences; any makes the study unusable.
        absent: sentences about images that are named and not there: problems too, but in a
            watched folder, where they are awaited.
    """

    rows: tuple[ImageRow, ...]
    columns: tuple[str, ...]
    problems: tuple[str, ...]
    absent: tuple[str, ...] = ()


def join_samples(study: Study, folder: Path) -> Samples:
    """Join the study's images to their sample columns.

    Args:
        study: the study.
        folder: folder of the study file; relative paths start there.
    """
    if study.samples is not None:
        return read_table(study, folder, study.samples, "samples")
    assert study.images is not None  # held by Study
    return _from_pattern(study, folder, study.images)


def read_table(study: Study, folder: Path, name: str, where: str) -> Samples:
    """Read a CSV of images and what is said of them.

    Args:
        study: the study, whose channels name the columns that name files.
        folder: folder of the study file; relative paths start there.
        name: path of the table.
        where: place in the study file, for messages.
    """
    path = folder / name
    if outside_roots([path], study, folder):
        outside = "lies outside the folders the study may read; add its folder to 'roots'"
        return Samples((), (), (f"{where}: {name} {outside}",))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return Samples((), (), (f"{where}: there is no file {path}",))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a path with a NUL
        return Samples((), (), (f"{where}: {name!r} cannot be read as UTF-8 text: {error}",))
    header, records, problems = parse_csv(text, path.name)
    problems += _header_problems(header, study, path.name)
    if problems:
        return Samples((), (), tuple(problems))
    file_columns = {IMAGE, TRUTH, "image_id", SCENE, TIME}
    file_columns |= {f"{IMAGE}_{c}" for c in study.channels}
    columns = tuple(name for name in header if name not in file_columns)
    typed = {name: typed_column([record[name] for record in records]) for name in columns}
    rows: list[ImageRow] = []
    chosen: list[Chosen] = []
    absent: list[str] = []
    for i, record in enumerate(records):
        sample = {name: typed[name][i] for name in columns}
        found, missing, wrong = _rows_of_record(record, study, folder, sample)
        rows += found
        chosen += [Chosen(record.get(SCENE, ""), record.get(TIME, ""))] * len(found)
        absent += [f"{path.name} line {i + 2}: {text}" for text in missing]
        problems += [f"{path.name} line {i + 2}: {text}" for text in wrong]
    if not records:
        problems.append(f"{path.name} has a header and no rows: list at least one image")
    places = expand(rows, chosen, columns)
    problems += [f"{path.name}: {text}" for text in places.problems]
    rows = _with_unique_ids(places.rows, folder)
    problems += _duplicates(rows)
    return Samples(tuple(rows), (*columns, *places.columns), tuple(problems), tuple(absent))


def _header_problems(header: list[str], study: Study, name: str) -> list[str]:
    problems = [f"{name}: the column '{c}' stands there twice" for c in repeated(header)]
    problems += [f"{name}: column {i + 1} has no name" for i, c in enumerate(header) if not c]
    problems += [
        f"{name}: '{c}' is the name of a column that senescope writes; rename it"
        for c in header
        if c in RESERVED
    ]
    per_channel = [f"{IMAGE}_{channel}" for channel in study.channels]
    given = [c for c in per_channel if c in header]
    if IMAGE not in header and not given:
        problems.append(
            f"{name}: no column 'image' (path of the file) nor {', '.join(per_channel)} "
            f"(one file a channel); found: {', '.join(header)}"
        )
    elif IMAGE in header and given:
        problems.append(f"{name}: both 'image' and {', '.join(given)}; use the one or the other")
    elif IMAGE not in header and (missing := set(per_channel) - set(given)):
        problems.append(
            f"{name}: no column {', '.join(sorted(missing))} for a channel of the study"
        )
    unknown = [
        c
        for c in header
        if c.startswith(f"{IMAGE}_") and c not in (*per_channel, "image_id", SCENE, TIME)
    ]
    problems += [
        f"{name}: column '{c}' names no channel of the study; "
        f"{nearest(c.removeprefix('image_'), study.channels)}"
        for c in unknown
    ]
    return problems


def _rows_of_record(
    record: Mapping[str, str], study: Study, folder: Path, sample: Mapping[str, Value]
) -> tuple[list[ImageRow], list[str], list[str]]:
    """The images of one line of the table (several where `image` is a glob), absent, problems."""
    if IMAGE in record:
        text = record[IMAGE]
        if not text:
            return [], [], ["the column 'image' is empty"]
        paths = _expand(folder, text)
        if not paths:
            absent = f"no file matches {text}" if has_magic(text) else f"there is no file {text}"
            return [], [absent], []
        file_sets = [dict.fromkeys(study.channels, path) for path in paths]
    else:
        file_sets = [{c: folder / record[f"{IMAGE}_{c}"] for c in study.channels}]
        missing = [
            f"there is no file {record[f'{IMAGE}_{c}'] or '(empty)'} for channel {c}"
            for c, path in file_sets[0].items()
            if not _is_image_place(path)
        ]
        if missing:
            return [], missing, []
    truth = folder / record[TRUTH] if record.get(TRUTH) else None
    if truth is not None and not truth.is_file():
        return [], [f"there is no file {record[TRUTH]} (column {TRUTH})"], []
    outside = outside_roots([*file_sets[0].values(), *([truth] if truth else [])], study, folder)
    if outside:
        wrong = "lies outside the folders the study may read; add its folder to 'roots'"
        return [], [], [f"{path} {wrong}" for path in outside]
    name = record.get("image_id", "")
    if name and not _IMAGE_ID.fullmatch(name):
        wrong = "becomes the name of files: no '/', no '\\', no '.' in front, at most 150 letters"
        return [], [], [f"the image_id '{name}' {wrong}"]
    rows = [ImageRow(name or _stem(files), files, truth, dict(sample)) for files in file_sets]
    return rows, [], []


def _from_pattern(study: Study, folder: Path, pattern: str) -> Samples:
    names = re.findall(r"\{([^{}]*)\}", pattern)
    wrong = [n for n in names if not n.isidentifier()]
    if wrong or not names:
        return Samples((), (), (
            f"images: '{pattern}' should hold names in braces, letters and digits only, "
            f"such as raw/{{donor}}_{{field}}.tif; found {wrong or 'none'}",
        ))  # fmt: skip
    if twice := repeated(names):
        return Samples((), (), (f"images: {{{twice[0]}}} stands twice in '{pattern}'",))
    parts = re.split(r"\{[^{}]*\}", pattern)
    expression = re.escape(parts[0]) + "".join(
        f"(?P<{name}>[^/]+?){re.escape(part)}" for name, part in zip(names, parts[1:], strict=True)
    )
    matches = [
        (path, match)
        for path in _expand(folder, "*".join(parts))
        if (match := re.fullmatch(expression, path.relative_to(folder).as_posix()))
    ]
    if not matches:
        return Samples(
            (), tuple(names), (), (f"images: no file below {folder} matches '{pattern}'",)
        )
    typed = {name: typed_column([match[name] for _, match in matches]) for name in names}
    rows = [
        ImageRow(_stem(files), files, None, {name: typed[name][i] for name in names})
        for i, (path, _) in enumerate(matches)
        for files in [dict.fromkeys(study.channels, path)]
    ]
    outside = outside_roots([path for path, _ in matches], study, folder)
    problems = [f"{path} lies outside the folders the study may read (roots)" for path in outside]
    places = expand(rows, [Chosen()] * len(rows), names)
    found = tuple(_with_unique_ids(places.rows, folder))
    return Samples(found, (*names, *places.columns), tuple(problems))


def _expand(folder: Path, text: str) -> list[Path]:
    """The files that a path or glob names, relative to `folder` unless absolute."""
    if not text:
        return []
    if not has_magic(text):
        path = folder / text
        return [path] if _is_image_place(path) else []
    base, relative = (
        (Path(Path(text).anchor), text.lstrip("/"))
        if Path(text).is_absolute()
        else (
            folder,
            text,
        )
    )
    return sorted(path for path in base.glob(relative) if _is_image_place(path))


def _is_image_place(path: Path) -> bool:
    """Whether an image may be there: in a file, or in the folder that OME-Zarr is."""
    return path.is_file() or is_zarr(path)


def outside_roots(paths: Iterable[Path], study: Study, folder: Path) -> list[Path]:
    """Those of the paths that lie in none of the study's `roots`."""
    roots = [(folder / root).resolve() for root in study.roots]
    return [p for p in paths if not any(p.resolve().is_relative_to(root) for root in roots)]


def _stem(files: Mapping[str, Path]) -> str:
    """Image id from the first channel's file: its name without endings and the channel's name."""
    channel, path = next(iter(files.items()))
    stem = re.sub(r"(\.ome)?\.[A-Za-z0-9]+$", "", path.name)
    if len(set(files.values())) > 1:
        stem = re.sub(rf"[-_. ]{channel}$", "", stem)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)


def _with_unique_ids(rows: list[ImageRow], folder: Path) -> list[ImageRow]:
    """Rows with the folder put before the ids that several files share."""
    shared = set(repeated([row.image_id for row in rows]))
    return [
        replace(row, image_id=qualified_id(row, folder)) if row.image_id in shared else row
        for row in rows
    ]


def qualified_id(row: ImageRow, folder: Path) -> str:
    """The image's id with the folders before it in which its file lies."""
    parent = next(iter(row.files.values())).parent
    inside = parent.relative_to(folder) if parent.is_relative_to(folder) else parent
    parts = [re.sub(r"[^A-Za-z0-9._-]+", "_", part) for part in inside.parts if part.strip("/.")]
    return "__".join([*parts, row.image_id])


def _duplicates(rows: Iterable[ImageRow]) -> list[str]:
    """Images named twice, by their files or by their id."""
    rows = list(rows)
    keys = [
        "|".join([*sorted({str(p.resolve()) for p in row.files.values()}), row.place])
        for row in rows
    ]
    names = dict(zip(keys, rows, strict=True))
    twice = repeated(keys)
    problems = [
        f"the image {next(iter(names[key].files.values())).name} stands in more than one row"
        for key in twice
    ]
    ids = [row.image_id for row, key in zip(rows, keys, strict=True) if key not in twice]
    problems += [
        f"the image id {name} stands in more than one row; give unique ones in a column image_id"
        for name in repeated(ids)
    ]
    return problems
