"""The pictures of a report: which are shown, made small enough to travel inside the page."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl
from PIL import Image

from pipelines.report.data import RunData, joined, known_kind, readable
from pipelines.run.layout import Layout

MAX_PICTURES = 24
MAX_SIDE = 1600
WEBP_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """One embedded picture.

    Attributes:
        source: data URI.
        width: px.
        height: px.
        name: the image's id.
        caption: its sample, may be empty.
        alt: what it shows, for readers who cannot see it.
        link: relative address of the picture in full size.
    """

    source: str
    width: int
    height: int
    name: str
    caption: str
    alt: str
    link: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Embedded pictures, links (name, address) to the others, and names that have no picture."""

    pictures: tuple[Picture, ...]
    links: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


def gallery(run: RunData, output: Path) -> Gallery | None:
    """Choose and embed pictures, evenly over the samples.

    Args:
        run: the run; its pictures are qc/IMAGE.png.
        output: the report's place, which links are relative to.

    Returns:
        None where the run has no picture.
    """
    samples = _samples_by_image(run)
    files = {name: Layout(run.folder).qc(name) for name in samples}
    present = [name for name, path in files.items() if path.is_file()]
    chosen = set(evenly({name: samples[name] for name in present}, MAX_PICTURES))
    pictures, broken = [], []
    for name in present:
        if name in chosen:
            try:
                pictures.append(_embed(files[name], name, samples[name], output))
            except (OSError, ValueError, Image.DecompressionBombError):
                broken.append(name)
    if not pictures:
        return None
    links = tuple((n, _address(files[n], output)) for n in present if n not in chosen)
    missing = [name for name in samples if name not in present] + broken
    return Gallery(tuple(pictures), links, tuple(missing))


def evenly(samples: Mapping[str, str], most: int) -> list[str]:
    """Choose images so that every sample has its share.

    Args:
        samples: image to sample, in the order of the table.
        most: number of images at most.

    Returns:
        Images in the order of `samples`: one from each sample in turn, until `most` are found;
        where there are more samples than that, samples spread evenly over the table.
    """
    queues: dict[str, list[str]] = {}
    for image, sample in samples.items():
        queues.setdefault(sample, []).append(image)
    rounds = max((len(queue) for queue in queues.values()), default=0)
    turns = [
        [queue[turn] for queue in queues.values() if turn < len(queue)] for turn in range(rounds)
    ]
    chosen: list[str] = []
    for turn in turns:
        room = most - len(chosen)
        chosen += _spread(turn, room)
    kept = set(chosen)
    return [image for image in samples if image in kept]


def _spread(items: Sequence[str], room: int) -> list[str]:
    if len(items) <= room:
        return list(items)
    places = np.linspace(0, len(items) - 1, max(0, room)).round().astype(int)
    return [items[place] for place in places]


def _samples_by_image(run: RunData) -> dict[str, str]:
    """Every image of the run with the name of its sample, in the order of the table."""
    frame = run.tables["images"]
    if "image_id" not in frame.columns:
        stems = sorted(path.stem for path in Layout(run.folder).qc("").parent.glob("*.png"))
        return dict.fromkeys(stems, "")
    frame = frame.filter(pl.col("image_id").is_not_null())
    keys = [key for key in run.keys if key in frame.columns]
    # A bare number says little below a picture: dose 3, not 3.
    words = [
        (pl.lit(f"{readable(key)} ") + pl.col(key)).alias(key)
        if known_kind(run.definitions, key) == "number"
        else pl.col(key)
        for key in keys
    ]
    samples = joined(frame.with_columns(words), keys)
    # An id that leads out of the folder is no file of this run.
    return {
        image: sample
        for image, sample in zip(frame["image_id"], samples, strict=True)
        if Path(image).name == image
    }


def _embed(path: Path, name: str, sample: str, output: Path) -> Picture:
    with Image.open(path) as image:
        shown = image.convert("RGB")
    shown.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shown.save(buffer, format="WEBP", quality=WEBP_QUALITY, method=4)
    source = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    described = f"{name} ({sample})" if sample else name
    alt = f"Image {described} with the outlines of its nuclei and cells"
    return Picture(source, shown.width, shown.height, name, sample, alt, _address(path, output))


def _address(path: Path, output: Path) -> str:
    relative = os.path.relpath(path.resolve(), output.resolve().parent)
    return quote(Path(relative).as_posix())
