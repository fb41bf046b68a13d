"""Which mask belongs to which image."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import StudyError
from pipelines.words import counted

SUFFIXES = frozenset({".tif", ".tiff", ".png", ".bmp"})
# What programs add to the name of an image when they write its mask, longest first.
MASK_ENDINGS = ("_cp_masks", "_instances", "_labels", "_masks", "_label", "_mask", "_seg")


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its label image."""

    image: Path
    mask: Path

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.image.name


def find_pairs(images: Path, masks: Path | None = None) -> list[Pair]:
    """Find images and their masks.

    Args:
        images: a folder of images, or a CSV file with columns image and mask, whose paths are
            relative to it.
        masks: folder of masks named as the images, with or without one of `MASK_ENDINGS`; None
            where masks lie beside the images, then always with one.

    Raises:
        StudyError: an image has no mask or several, or there are no images.
    """
    if images.suffix.lower() == ".csv":
        return _from_table(images)
    if not images.is_dir():
        raise StudyError(f"{images} is neither a folder of images nor a CSV file of pairs.")
    inside = _images_in(images)
    if masks is None:
        pictures = [path for path in inside if stem(path) == path.stem]
        return _paired(pictures, [path for path in inside if path not in set(pictures)], images)
    return _paired(inside, _images_in(masks), masks)


def stem(path: Path) -> str:
    """Name of the image that a mask belongs to; of anything else its own, without the suffix."""
    name = path.stem.removesuffix(".ome")
    ending = next((e for e in MASK_ENDINGS if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]


def _from_table(table: Path) -> list[Pair]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"image", "mask"} <= set(rows[0]):
        raise StudyError(f"{table} needs the columns image and mask, and a row for each image.")
    pairs = [Pair(table.parent / row["image"], table.parent / row["mask"]) for row in rows]
    missing = [str(path) for p in pairs for path in (p.image, p.mask) if not path.is_file()]
    if missing:
        raise StudyError(f"{table} names files that do not exist: {_some(missing)}.")
    return pairs


def _paired(pictures: list[Path], masks: list[Path], where: Path) -> list[Pair]:
    by_name: dict[str, list[Path]] = {}
    for mask in masks:
        by_name.setdefault(stem(mask), []).append(mask)
    found = [(path, by_name.get(path.stem.removesuffix(".ome"), [])) for path in pictures]
    without = [path.name for path, candidates in found if not candidates]
    several = [path.name for path, candidates in found if len(candidates) > 1]
    if not pictures:
        raise StudyError(f"There are no images ({', '.join(sorted(SUFFIXES))}) to pair in {where}.")
    if without:
        raise StudyError(
            f"{counted(len(without), 'image')} without a mask in {where}: {_some(without)}. "
            "A mask is named as its image, or ends in one of "
            f"{', '.join(MASK_ENDINGS)} before the suffix."
        )
    if several:
        raise StudyError(
            f"{counted(len(several), 'image')} with several masks in {where}: {_some(several)}."
        )
    return [Pair(path, candidates[0]) for path, candidates in found]


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise StudyError(f"{folder} is no folder.")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (", ..." if len(listed) > 5 else "")
