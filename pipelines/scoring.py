"""Scores of label images against annotated ones: a table, a summary line and pictures."""

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError, StudyError
from pipelines.files import replacing
from pipelines.labels_store import read_label_image
from pipelines.training.pairs import SUFFIXES, stem
from pipelines.words import counted
from segmentation.quality import Quality, assess, wholes_with_parts
from segmentation.scores import match

Labels = NDArray[np.uint32]

# Colours of Okabe & Ito (2008), told apart by all; what is right stays grey.
_RIGHT, _MISSED, _EXTRA = (150, 150, 150), (230, 159, 0), (86, 180, 233)
_SPLIT, _MERGED = (240, 228, 66), (204, 121, 167)


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of one label image.

    Attributes:
        name: of the image.
        quality: None where it could not be scored.
        error: why not.
    """

    name: str
    quality: Quality | None
    error: str | None = None


def score_files(
    labels: Path, truth: Path, output: Path | None, report: Callable[[Scored], None]
) -> list[Scored]:
    """Score one label image, or a folder of them against a folder of the same names.

    Args:
        labels: file or folder. Endings such as _labels and _masks do not count in names.
        truth: file or folder, the same kind.
        output: folder of `scores.csv` and of NAME_errors.png; None writes nothing.
        report: called after every image.

    Raises:
        StudyError: one is a file and the other a folder, one does not exist, or there is nothing
            to score.
    """
    missing = [str(path) for path in (labels, truth) if not path.exists()]
    if missing:
        raise StudyError(f"There is no {' and no '.join(missing)}.")
    if labels.is_dir() != truth.is_dir():
        raise StudyError("Give two label images, or two folders of label images.")
    results = []
    for name, first, second in _matched(labels, truth):
        results.append(_score(name, first, second, output))
        report(results[-1])
    if not results:
        raise StudyError(f"There are no label images ({', '.join(sorted(SUFFIXES))}) in {labels}.")
    if output is not None:
        _write_table(output / "scores.csv", results)
    return results


def summary(results: list[Scored]) -> str:
    """Say in one line how good labels are: means over images, sums of errors."""
    found = [one.quality for one in results if one.quality is not None]
    failed = len(results) - len(found)
    if not found:
        return f"None of {counted(len(results), 'image')} could be scored."
    mean = {k: np.mean([getattr(q, k) for q in found]) for k in ("ap50", "ap75", "ap", "panoptic")}
    total = {f.name: sum(getattr(q, f.name) for q in found) for f in fields(Quality)}
    text = (
        f"{counted(len(found), 'image')}, {total['n_truth']} true objects, "
        f"{total['n_labels']} found: "
        f"AP 0.5 {mean['ap50']:.3f}, AP 0.75 {mean['ap75']:.3f}, AP 0.5-0.95 {mean['ap']:.3f}, "
        f"panoptic quality {mean['panoptic']:.3f} (means over images); {total['missed']} missed, "
        f"{total['extra']} extra, {total['split']} split, {total['merged']} merged."
    )
    return text + (f" {counted(failed, 'image')} could not be scored." if failed else "")


def _matched(labels: Path, truth: Path) -> list[tuple[str, Path | None, Path | None]]:
    if labels.is_file():
        return [(stem(labels), labels, truth)]
    first, second = _by_name(labels), _by_name(truth)
    return [(name, first.get(name), second.get(name)) for name in sorted(first | second)]


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        other = found.setdefault(stem(path), path)
        if other != path:
            raise StudyError(f"{other} and {path.name} are two label images of one name.")
    return found


def _score(name: str, labels: Path | None, truth: Path | None, output: Path | None) -> Scored:
    if labels is None or truth is None:
        there, lacking = (labels, "truth") if truth is None else (truth, "labels")
        return Scored(name, None, f"{there} has no {lacking} of the same name")
    try:
        known, found = read_label_image(truth), read_label_image(labels)
        quality = assess(known, found)
        if output is not None:
            _write_picture(output / f"{name}_errors.png", known, found)
    except (ImageError, ValueError) as error:
        return Scored(name, None, str(error))
    return Scored(name, quality)


def error_picture(truth: Labels, labels: Labels) -> NDArray[np.uint8]:
    """Colour every object by what became of it.

    Grey: found at an intersection over union of 0.5; orange: true, missed; blue: labelled where
    nothing is; yellow: true, split in parts; purple: labelled, several objects in one. Rims of
    the truth are white.

    Returns:
        (y, x, 3) uint8.
    """
    pairs = match(truth, labels)
    picture = np.zeros((*truth.shape, 3), np.uint8)
    picture[(labels > 0) & ~np.isin(labels, pairs[:, 1])] = _EXTRA
    picture[(truth > 0) & ~np.isin(truth, pairs[:, 0])] = _MISSED
    picture[np.isin(truth, pairs[:, 0]) & (truth > 0)] = _RIGHT
    picture[np.isin(labels, wholes_with_parts(labels, truth)) & (labels > 0)] = _MERGED
    picture[np.isin(truth, wholes_with_parts(truth, labels)) & (truth > 0)] = _SPLIT
    rim = np.zeros(truth.shape, bool)
    rim[:-1] |= truth[:-1] != truth[1:]
    rim[:, :-1] |= truth[:, :-1] != truth[:, 1:]
    picture[rim] = 255
    return picture


def _write_picture(path: Path, truth: Labels, labels: Labels) -> None:
    from PIL import Image

    with replacing(path) as place:
        Image.fromarray(error_picture(truth, labels)).save(place, format="PNG")


def _write_table(path: Path, results: list[Scored]) -> None:
    columns = [one.name for one in fields(Quality)]
    with replacing(path) as place, place.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ["image", *columns, "error"], lineterminator="\n")
        rows.writeheader()
        for one in results:
            figures = {} if one.quality is None else asdict(one.quality)
            rows.writerow({"image": one.name, **figures, "error": one.error or ""})
