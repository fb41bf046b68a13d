"""Scenes and time points of one file as rows of the sample table, each an image of its own."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pipelines.errors import ImageError
from pipelines.images import ImageInfo, inspect, scene_names
from pipelines.images.formats import VENDORS, is_zarr
from pipelines.study.csv_table import Value
from pipelines.study.messages import nearest
from pipelines.study.row import ImageRow

SCENE = "image_scene"
TIME = "image_time"
SCENE_COLUMN = "scene"
TIME_COLUMN = "time_point"
_THREADS = 8
_SEVERAL = {".tif", ".tiff", ".zarr", *(ending for f in VENDORS for ending in f.suffixes)}


class Chosen(NamedTuple):
    """What a line of the sample table chooses of its file: text, empty where it chooses nothing."""

    scene: str = ""
    time: str = ""


@dataclass(frozen=True)
class Expanded:
    """Rows with one scene and time point each.

    Attributes:
        rows: in the order of the table, then of the file.
        columns: sample columns that were added to say which is which.
        problems: sentences.
    """

    rows: list[ImageRow]
    columns: tuple[str, ...]
    problems: list[str]


def expand(rows: Sequence[ImageRow], chosen: Sequence[Chosen], columns: Sequence[str]) -> Expanded:
    """Give every scene and time point of the rows' files a row of its own.

    A file whose header cannot be read keeps its row: what is wrong with it is told where images
    are checked.

    Args:
        rows: one a file.
        chosen: what each row's line chooses.
        columns: sample columns of the table, which are never replaced.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(_places, rows, chosen))
    parts = [part for part, _ in found]
    problems = [problem for _, problem in found if problem]
    problems += [
        f"{next(iter(row.files.values())).name} holds {len(part)} images, so one truth_nuclei "
        "cannot be that of all: choose one with image_scene and image_time"
        for row, part in zip(rows, parts, strict=True)
        if row.truth is not None and len(part) > 1
    ]
    added = tuple(
        column
        for column, several in (
            (SCENE_COLUMN, any(place.name for part in parts for place in part)),
            (TIME_COLUMN, any(place.time is not None for part in parts for place in part)),
        )
        if several and column not in columns
    )
    expanded = [
        _row(row, place, added, several=len(part) > 1)
        for row, part in zip(rows, parts, strict=True)
        for place in part
    ]
    return Expanded(expanded, added, problems)


class _Place(NamedTuple):
    """One scene and time point; None where a file has but one, or nothing is known of it."""

    scene: int | None = None
    name: str = ""
    time: int | None = None
    inside: str = ""


def _places(row: ImageRow, chosen: Chosen) -> tuple[list[_Place], str]:
    """The scenes and times of a row's file, and what is wrong with the choice of them."""
    path = next(iter(row.files.values()))
    if path.suffix.lower() not in _SEVERAL and not is_zarr(path) and not any(chosen):
        return [_Place()], ""
    try:
        names = scene_names(path)
        scenes = _chosen_scenes(names, chosen.scene, path)
        places = [p for scene in scenes for p in _times_of(path, scene, names, chosen.time)]
    except _ChoiceError as error:
        return [_Place()], str(error)
    except ImageError:
        return [_Place()], ""
    return places, ""


class _ChoiceError(ValueError):
    """A line of the sample table chooses what its file does not have."""


def _chosen_scenes(names: tuple[str, ...], wanted: str, path: Path) -> list[int]:
    if not wanted:
        return list(range(max(1, len(names))))
    if wanted in names:
        return [names.index(wanted)]
    if wanted.isdigit() and int(wanted) < max(1, len(names)):
        return [int(wanted)]
    hint = nearest(wanted, names) if names else "it has one image"
    raise _ChoiceError(f"{path.name} has no scene '{wanted}'; {hint}")


def _times_of(path: Path, scene: int, names: tuple[str, ...], wanted: str) -> list[_Place]:
    name = names[scene] if names else ""
    inside = name if is_zarr(path) else ""
    number = scene if names and not inside else None
    try:
        info = inspect(path, scene)
    except ImageError:
        return [_Place(number, name, None, inside)]  # becomes a row of failures.csv
    return [_Place(number, name, time, inside) for time in _chosen_times(info, wanted)]


def _chosen_times(info: ImageInfo, wanted: str) -> list[int | None]:
    if wanted:
        if not wanted.isdigit() or int(wanted) >= info.n_t:
            raise _ChoiceError(
                f"{info.path.name} has no time point '{wanted}', counted from 0; it has {info.n_t}"
            )
        return [int(wanted)]
    return list(range(info.n_t)) if info.n_t > 1 else [None]


def _row(row: ImageRow, place: _Place, added: tuple[str, ...], *, several: bool) -> ImageRow:
    values: dict[str, Value] = {SCENE_COLUMN: place.name or None, TIME_COLUMN: place.time}
    sample = {**row.sample, **{column: values[column] for column in added}}
    files: Mapping[str, Path] = row.files
    if place.inside:  # an image of a plate is a folder of its own
        files = {channel: path / place.inside for channel, path in files.items()}
    image_id = row.image_id
    if several and place.name:
        image_id += "_" + re.sub(r"[^A-Za-z0-9._-]+", "_", place.name).strip("_")
    if several and place.time is not None:
        image_id += f"_t{place.time:03}"
    return replace(
        row, image_id=image_id, files=files, sample=sample, scene=place.scene, time=place.time
    )
