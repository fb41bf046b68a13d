"""A slide of any size from real nuclei with exact truth, written tile by tile.

Nuclei of the annotated fields that come with senescope (Data Science Bowl 2018, CC0) are cut out
with their surroundings, enlarged to the wanted diameter, turned, and pasted one to each square of
a grid, anywhere in it, so that they lie at every position of any block. Where two meet, the one of
the earlier square keeps the pixels: neighbours touch, and the truth is exact. Nothing of this is
an experiment; it is there to time and to score what must not depend on where a seam lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt, find_objects, zoom

from pipelines.errors import StudyError
from pipelines.simulate.randomness import part_rng
from segmentation.slides.grid import Box

TILE = 512
_NUCLEI = Path(__file__).parent.parent / "demo" / "data" / "nuclei"
_STUDY = """# Simulated data: real nuclei pasted at random, true labels in truth.tif.
study: slide
images: "{slide}.ome.tif"
channels: {dapi: 0}
segmentation:
  nuclei: {channel: dapi, diameter_px: 30}
  cells: {method: expand, distance_px: 8}
measurements:
  - {type: morphology}
  - {type: intensity, channel: dapi, compartments: [nucleus]}
compute: {workers: 2, memory: 8GiB, slide_above_px: 4000000}
"""
# Around a cut-out, px of its own image: the blur of its edge.
_BLUR = 3
# Grey values: camera offset, its noise, and how bright the median nucleus is above it.
_OFFSET, _NOISE, _BRIGHT = 200.0, 15.0, 1500.0


@dataclass(frozen=True, slots=True)
class MosaicSettings:
    """A slide of nuclei.

    Attributes:
        shape: rows and columns, px.
        diameter_px: median diameter of the nuclei.
        spacing: side of the squares that hold a nucleus each, in diameters; below 1.3 many touch.
        filled: share of the squares that hold one.
    """

    shape: tuple[int, int]
    diameter_px: float = 30.0
    spacing: float = 1.6
    filled: float = 0.9

    @property
    def pitch(self) -> int:
        """Side of a square, px."""
        return round(self.spacing * self.diameter_px)


@dataclass(frozen=True, slots=True)
class _Nucleus:
    """A cut-out: grey values above background, 1 for the median nucleus, and its mask."""

    pixels: NDArray[np.float32]
    mask: NDArray[np.bool_]


def region(
    settings: MosaicSettings, seed: int, top: int, left: int, shape: tuple[int, int]
) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """Any part of a slide: the same pixels, whatever part they are asked in.

    Args:
        settings: the slide.
        seed: of everything.
        top: first row.
        left: first column.
        shape: rows and columns; a multiple of `TILE` from a multiple of `TILE`, or the noise of
            the part is another one.

    Returns:
        Image (uint16) and truth (uint32: the number of the nucleus's square from 1, 0 outside).
    """
    grey = np.zeros(shape, np.float32)
    truth = np.zeros(shape, np.uint32)
    library = _library(settings.diameter_px)
    for number, row, column in _squares(settings, Box(top, left, top + shape[0], left + shape[1])):
        rng = part_rng(seed, "nucleus", number)
        if rng.random() < settings.filled:
            y, x = (np.array([row, column]) + rng.random(2)) * settings.pitch
            chosen = _turned(library[rng.integers(len(library))], rng)
            _paste(grey, truth, chosen, (int(y) - top, int(x) - left), number + 1)
    rng = part_rng(seed, "noise", top * settings.shape[1] + left)
    noisy = _OFFSET + _BRIGHT * grey + _NOISE * rng.standard_normal(shape, np.float32)
    return np.clip(np.round(noisy), 0, 65535).astype(np.uint16), truth


def write_slide(
    image: Path, truth: Path | None, settings: MosaicSettings, seed: int, pixel_size_um: float
) -> None:
    """Write a slide, and its truth, as tiled TIFF, a tile in memory at a time.

    Args:
        image: OME-TIFF to write.
        truth: TIFF of the true labels; None for none.
        settings: the slide.
        seed: of everything.
        pixel_size_um: edge of a pixel.
    """
    metadata: dict[str, Any] = {
        "axes": "YX",
        "PhysicalSizeX": pixel_size_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": pixel_size_um,
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": ["dapi"]},
    }
    _write(image, (grey for grey, _ in _tiles(settings, seed)), "uint16", settings.shape, metadata)
    if truth is not None:
        labels = (labels for _, labels in _tiles(settings, seed))
        _write(truth, labels, "uint32", settings.shape, None)


def write_slide_study(directory: Path, seed: int, side: int) -> Path:
    """Write a square slide, its truth and a study of it.

    Args:
        directory: folder to write to; refused if it holds a study.
        seed: of everything; 0 or more.
        side: rows and columns, px.

    Returns:
        Path of the study file.

    Raises:
        StudyError: the folder holds a study, or the slide would hold no nucleus.
    """
    path, settings = directory / "study.yaml", MosaicSettings((side, side))
    if path.exists():
        raise StudyError(f"{directory} already holds a study; choose another folder.")
    if side < 4 * settings.pitch:
        raise StudyError(f"A slide of {side} px holds too few nuclei; give {4 * settings.pitch}.")
    directory.mkdir(parents=True, exist_ok=True)
    write_slide(directory / "slide.ome.tif", directory / "truth.tif", settings, seed, 0.5)
    path.write_text(_STUDY, encoding="utf-8")
    return path


def _write(
    path: Path,
    tiles: Iterator[NDArray[np.generic]],
    dtype: str,
    shape: tuple[int, int],
    metadata: dict[str, Any] | None,
) -> None:
    tifffile.imwrite(
        path,
        tiles,
        shape=shape,
        dtype=dtype,
        tile=(TILE, TILE),
        compression="zstd",
        bigtiff=True,
        ome=metadata is not None,
        metadata=metadata,
    )


def _tiles(
    settings: MosaicSettings, seed: int
) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.uint32]]]:
    for top in range(0, settings.shape[0], TILE):
        for left in range(0, settings.shape[1], TILE):
            yield region(settings, seed, top, left, (TILE, TILE))


def _squares(settings: MosaicSettings, part: Box) -> Iterator[tuple[int, int, int]]:
    """Number, row and column of the squares whose nuclei may reach into a part of the slide."""
    pitch = settings.pitch
    reach = max(max(nucleus.mask.shape) for nucleus in _library(settings.diameter_px))
    rows, columns = (-(-length // pitch) for length in settings.shape)
    near = part.grown(reach + pitch, settings.shape)
    for row in range(near.top // pitch, min(rows, near.bottom // pitch + 1)):
        for column in range(near.left // pitch, min(columns, near.right // pitch + 1)):
            yield row * columns + column, row, column


def _turned(nucleus: _Nucleus, rng: np.random.Generator) -> _Nucleus:
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    brightness = np.float32(rng.uniform(0.6, 1.4))
    pixels, mask = np.rot90(nucleus.pixels, turns), np.rot90(nucleus.mask, turns)
    if mirrored:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    return _Nucleus(brightness * pixels, mask)


def _paste(
    grey: NDArray[np.float32],
    truth: NDArray[np.uint32],
    nucleus: _Nucleus,
    corner: tuple[int, int],
    number: int,
) -> None:
    """Add a nucleus whose upper left corner is at `corner`; what lies beyond the part is left."""
    inside, own = [], []
    for start, length, limit in zip(corner, nucleus.mask.shape, grey.shape, strict=True):
        low, high = max(0, start), min(limit, start + length)
        if low >= high:
            return
        inside.append(slice(low, high))
        own.append(slice(low - start, high - start))
    here, there = tuple(inside), tuple(own)
    free = truth[here] == 0
    np.maximum(grey[here], nucleus.pixels[there], out=grey[here], where=free)
    truth[here][nucleus.mask[there] & free] = number


@lru_cache(maxsize=4)
def _library(diameter_px: float) -> tuple[_Nucleus, ...]:
    """Whole nuclei of the annotated fields, of the wanted median diameter."""
    found: list[_Nucleus] = []
    for path in sorted(_NUCLEI.glob("*_mask.png")):
        mask = np.asarray(Image.open(path)).astype(np.int64)
        pixels = np.asarray(Image.open(path.with_name(path.name.replace("_mask", ""))).convert("L"))
        found += _cut_out(pixels.astype(np.float32), mask)
    sides = [2 * np.sqrt(nucleus.mask.sum() / np.pi) for nucleus in found]
    middle = float(np.median(sides))
    usual = [n for n, side in zip(found, sides, strict=True) if 0.5 < side / middle < 2]
    return tuple(_enlarged(nucleus, diameter_px / middle) for nucleus in usual)


def _cut_out(pixels: NDArray[np.float32], mask: NDArray[np.int64]) -> list[_Nucleus]:
    """Nuclei that touch neither the edge nor another one, faded out around their outline."""
    background = float(np.median(pixels[mask == 0]))
    bright = float(np.median(pixels[mask > 0])) - background
    found = []
    for number, box in enumerate(find_objects(mask), 1):
        if box is None:
            continue
        wide = tuple(slice(part.start - _BLUR, part.stop + _BLUR) for part in box)
        fits = all(
            part.start >= 0 and part.stop <= n for part, n in zip(wide, mask.shape, strict=True)
        )
        own = mask[wide] == number
        if not fits or ((mask[wide] > 0) & ~own).any():
            continue
        fade = np.clip(1 - distance_transform_edt(~own) / (_BLUR + 1), 0, 1)
        grey = np.clip((pixels[wide] - background) / bright, 0, None) * fade
        found.append(_Nucleus(grey.astype(np.float32), own))
    return found


def _enlarged(nucleus: _Nucleus, factor: float) -> _Nucleus:
    pixels = np.clip(zoom(nucleus.pixels, factor, order=1), 0, None)
    mask = zoom(nucleus.mask.astype(np.float32), factor, order=1) > 0.5
    return _Nucleus(pixels.astype(np.float32), mask)
