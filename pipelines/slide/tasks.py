"""The tasks of segmenting a slide: what one worker does with one block, and leaves on disk.

A task reads pixels and the files of earlier tasks, and leaves one file, whole or not at all. So a
task that was lost is done again, and one that is done is not.
"""

import json
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.files import replacing
from pipelines.slide.job import SlideJob
from segmentation.catalogue import ModelError
from segmentation.cells import expand_nuclei
from segmentation.slides.block import BlockLabels, Outlining, scale_of, segment_block
from segmentation.slides.flows import Inference, Network
from segmentation.slides.grid import Block, Box
from segmentation.slides.joining import Numbering, renumbered
from segmentation.slides.lattice import Lattice, Tiling
from segmentation.slides.objects import Objects

# One block at a time in a process, however many threads its worker has: memory and GPU are shared.
_one_at_a_time = threading.Lock()


@lru_cache(maxsize=1)
def load_network(
    model: str, gpu: bool | None, precision: Literal["auto", "float32", "bfloat16"]
) -> tuple[Network, Tiling, int]:
    """A model's network, how its tiles lie and how many it runs at a time; once a process.

    Raises:
        ImageError: the model cannot be had.
    """
    from segmentation.inference import network_of, tiles_at_a_time, tiling_of
    from segmentation.models import load_model

    try:
        loaded = load_model(model, gpu=gpu, precision=precision)
    except ModelError as error:
        raise ImageError(str(error)) from error
    return network_of(loaded), tiling_of(loaded), tiles_at_a_time(loaded)


def segment_one(job: SlideJob, block: Block) -> int:
    """Find the objects of one block and keep them; return how many it owns."""
    with _one_at_a_time:
        found = _found(job, block)
    objects = found.objects
    step = job.picture_step
    # The grid of the small picture starts at the slide's corner; cores start at multiples of it.
    picture = np.asarray(job.read(block.core))[::step, ::step]
    with replacing(job.found(block)) as place, place.open("wb") as file:
        np.savez_compressed(
            file,
            labels=found.labels,
            box=[found.box.top, found.box.left, found.box.bottom, found.box.right],
            key=objects.key,
            boxes=objects.box,
            area=objects.area,
            in_core=objects.in_core,
            cut=objects.cut,
            owned=objects.owned,
            picture=picture,
        )
    return int(objects.owned.sum())


def _found(job: SlideJob, block: Block) -> BlockLabels:
    settings = job.settings
    if job.grey_range is None:
        return _nothing(job, block)
    network, tiling, batch = load_network(settings.model, settings.gpu, settings.precision)
    lattice = Lattice(job.shape, scale_of(settings.diameter_px), tiling)
    how = Outlining(
        Inference(lattice, job.grey_range, batch),
        settings.flow_threshold,
        settings.cellprob_threshold,
    )
    return segment_block(job.read, network, how, block, settings.rim_px)


def _nothing(job: SlideJob, block: Block) -> BlockLabels:
    """A block of a slide that is constant."""
    box = block.core.grown(job.settings.rim_px, job.shape)
    none, no = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    objects = Objects(none, none.reshape(0, 4), none, none, no, no)
    return BlockLabels(box, np.zeros(box.shape, np.uint32), objects)


def read_found(path: Path) -> BlockLabels:
    """Read what `segment_one` kept."""
    with np.load(path) as kept:
        return BlockLabels(Box(*kept["box"].tolist()), kept["labels"], _objects(kept))


def read_objects(path: Path) -> Objects:
    """Read the objects alone of what `segment_one` kept."""
    with np.load(path) as kept:
        return _objects(kept)


def read_picture(path: Path) -> NDArray[np.generic]:
    """Read the small picture of a block's core."""
    with np.load(path) as kept:
        picture: NDArray[np.generic] = kept["picture"]
        return picture


def _objects(kept: "np.lib.npyio.NpzFile") -> Objects:
    return Objects(
        kept["key"], kept["boxes"], kept["area"], kept["in_core"], kept["cut"], kept["owned"]
    )


def write_one(job: SlideJob, block: Block) -> None:
    """Write one block's nuclei, and cells, to the store under their final ids."""
    found = read_found(job.found(block))
    numbering = Numbering(np.load(job.keys, mmap_mode="r"))
    every = json.loads(job.pieces.read_text(encoding="utf-8"))
    pieces = {int(i): key for i, key in every.get(str(block.index), {}).items()}
    nuclei = renumbered(found, found.box, numbering, pieces)
    own = block.core.seen_from(found.box).slices
    _write(job.store, "nuclei", block.core, nuclei[own])
    if job.settings.reach_px:
        cells = expand_nuclei(nuclei, job.settings.reach_px).cell
        _write(job.store, "cells", block.core, cells[own])
    with replacing(job.written(block)) as place:
        place.touch()


def write_level(store: Path, name: str, level: int, box: Box) -> None:
    """Write a box of a level of the pyramid: every second pixel of the level before."""
    finer = label_array(store, name, level - 1)
    part = finer[2 * box.top : 2 * box.bottom : 2, 2 * box.left : 2 * box.right : 2]
    label_array(store, name, level, "r+")[box.slices] = part


def label_array(store: Path, name: str, level: int = 0, mode: Literal["r", "r+"] = "r") -> Any:  # noqa: ANN401  zarr.Array, whose import takes a second
    """The array of one level of one label image."""
    import zarr

    return zarr.open_array(store / "labels" / name / str(level), mode=mode)


def _write(store: Path, name: str, core: Box, labels: NDArray[np.uint32]) -> None:
    # A core is whole shards, so no other block writes to them.
    label_array(store, name, mode="r+")[core.slices] = labels
