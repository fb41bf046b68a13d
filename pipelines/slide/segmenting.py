"""A slide segmented: blocks, names for their objects, the store and its pyramid.

Three rounds over the blocks, each on any number of workers: find objects, then, when all names are
known, write the final labels, then the pyramid. What a round finished is kept, so that a run that
was stopped at any moment goes on from there, to the same bytes.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.files import replacing
from pipelines.images import Field
from pipelines.ome_zarr import (
    OME_VERSION,
    create_labels_group,
    create_pyramid,
    label_metadata,
    level_shapes,
)
from pipelines.slide.cluster import Each
from pipelines.slide.job import (
    Progress,
    SlideJob,
    SlideSettings,
    disk_full,
    open_work,
    read_grey,
    work_key,
)
from pipelines.slide.tasks import (
    label_array,
    read_found,
    read_objects,
    read_picture,
    segment_one,
    write_level,
    write_one,
)
from pipelines.study.compute import SHARD_PX
from segmentation.slides.block import BlockLabels, halo_px
from segmentation.slides.grey import grey_range
from segmentation.slides.grid import Block, Box, Shape
from segmentation.slides.joining import Numbering, Piece, joined, same_object

Say = Callable[[Progress], None]

# Blocks held while the pieces of large objects are joined: one and its neighbours.
_KEPT = 9


def plan_slide(field: Field, settings: SlideSettings, work: Path, stamp: str) -> SlideJob:
    """Open or go on with the working folder of a slide, and find its grey range.

    Args:
        field: the image.
        settings: how it is segmented.
        work: folder for what is not finished; what does not fit field and settings is removed.
        stamp: what stands for the content of the image's files.
    """
    with _full_disk(work):
        open_work(work, work_key(settings, stamp))
    kept = work / "grey.json"
    if not kept.is_file():
        read = partial(read_grey, field, settings.channel)
        found = grey_range(read, field.shape, settings.diameter_px)
        with _full_disk(work), replacing(kept) as place:
            place.write_text(json.dumps(found), encoding="utf-8")
    limits = json.loads(kept.read_text(encoding="utf-8"))
    halo = halo_px(settings.diameter_px) + settings.rim_px
    return SlideJob(field, settings, work, None if limits is None else tuple(limits), halo)


def segment_slide(job: SlideJob, each: Each, say: Say = lambda _: None) -> int:
    """Segment a slide into ``job.store``: labels `nuclei`, and `cells` where they reach further.

    Args:
        job: from `plan_slide`.
        each: where blocks are computed.
        say: is told of every block that is done.

    Returns:
        Number of objects.

    Raises:
        ImageError: pixels cannot be read, the model cannot be had, or the disk is full.
    """
    blocks = job.blocks()
    with _full_disk(job.work):
        _round("segmenting", blocks, job.found, partial(segment_one, job), each, say)
        if not job.pieces.is_file():
            _name_objects(job, blocks)
        names = ["nuclei", "cells"] if job.settings.reach_px else ["nuclei"]
        if not job.store.is_dir():
            # What was written went with a store that is no longer here.
            for markers in ("written", "levels"):
                shutil.rmtree(job.work / markers, ignore_errors=True)
            _create_store(job.store, names, job.shape, job.field.pixel_size_um, _shard(job))
        _round("writing labels", blocks, job.written, partial(write_one, job), each, say)
        for name in names:
            _write_pyramid(job, name, each, say)
    return int(np.load(job.keys, mmap_mode="r").size)


def small_picture(job: SlideJob) -> NDArray[np.generic]:
    """Every `job.picture_step`-th pixel of the segmented channel, (y, x)."""
    step = job.picture_step
    parts = [(block, read_picture(job.found(block))) for block in job.blocks()]
    shape = tuple(-(-length // step) for length in job.shape)
    picture = np.zeros(shape, parts[0][1].dtype)
    for block, part in parts:
        top, left = block.core.top // step, block.core.left // step
        picture[top : top + part.shape[0], left : left + part.shape[1]] = part
    return picture


def small_labels(store: Path, name: str, step: int) -> NDArray[np.uint32]:
    """Every `step`-th pixel of a label image, from the level of the pyramid that has them."""
    level = min(step.bit_length() - 1, len(level_shapes(label_array(store, name).shape)) - 1)
    labels: NDArray[np.uint32] = label_array(store, name, level)[...]
    return labels


def _round(
    stage: str,
    blocks: Sequence[Block],
    kept: Callable[[Block], Path],
    work: Callable[[Block], object],
    each: Each,
    say: Say,
) -> None:
    """Do what is not done yet, telling of every block."""
    left = [block for block in blocks if not kept(block).is_file()]
    done = len(blocks) - len(left)
    say(Progress(stage, done, len(blocks)))
    for _ in each(work, left):
        done += 1
        say(Progress(stage, done, len(blocks)))


class _full_disk:  # noqa: N801  used as a function, in `with`
    """Turn an error of the file system into one for people."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError):
            raise disk_full(error, self._place) from error


def _name_objects(job: SlideJob, blocks: Sequence[Block]) -> None:
    """Number all objects of the slide, and say which pieces are one object."""
    keys, cut = [], {}
    for block in blocks:
        objects = read_objects(job.found(block))
        keys.append(objects.key[objects.owned])
        pieces = np.flatnonzero(objects.cut & (objects.in_core > 0)) + 1
        if pieces.size:
            cut[block.index] = pieces
    final = _joined_pieces(job, blocks, cut) if cut else {}
    pieces_keys = np.array(sorted({k for own in final.values() for k in own.values()}), np.int64)
    whole = np.concatenate([np.zeros(0, np.int64), *keys])
    numbering = Numbering.of([whole, np.setdiff1d(pieces_keys, whole)])
    with replacing(job.keys) as place, place.open("wb") as file:
        np.save(file, numbering.keys)
    with replacing(job.pieces) as place:
        place.write_text(json.dumps(final), encoding="utf-8")


def _joined_pieces(
    job: SlideJob, blocks: Sequence[Block], cut: dict[int, NDArray[np.int64]]
) -> dict[int, dict[int, int]]:
    """Keys of the pieces of objects larger than the halo: block -> id -> key."""
    by_index = {block.index: block for block in blocks}
    found: dict[int, BlockLabels] = {}

    def load(index: int) -> BlockLabels:
        if index not in found:
            if len(found) > _KEPT:
                found.clear()
            found[index] = read_found(job.found(by_index[index]))
        return found[index]

    same: list[tuple[Piece, Piece]] = []
    for index, ids in cut.items():
        for other in _neighbours(by_index[index], blocks):
            pairs = same_object(load(index), load(other.index), ids.tolist(), other.core)
            same += [((index, one), (other.index, two)) for one, two in pairs]
    pieces = [(index, int(i)) for index, ids in cut.items() for i in ids]
    groups: dict[Piece, list[Piece]] = {}
    for piece, first in joined(pieces, same).items():
        groups.setdefault(first, []).append(piece)
    final: dict[int, dict[int, int]] = {}
    for members in groups.values():
        # A block that saw the object whole knows its name; of pieces the first gives it.
        whole = [piece for piece in members if piece not in pieces]
        name_block, name_id = (whole or members)[0]
        key = int(load(name_block).objects.key[name_id - 1])
        for index, i in members:
            if (index, i) in pieces:
                final.setdefault(index, {})[i] = key
    return final


def _neighbours(block: Block, blocks: Sequence[Block]) -> Iterator[Block]:
    for other in blocks:
        if other.index != block.index and min(block.window.shared_with(other.core).shape) > 0:
            yield other


def _shard(job: SlideJob) -> int:
    return min(SHARD_PX, job.settings.block_px)


def _create_store(
    store: Path, names: Sequence[str], shape: Shape, pixel_size_um: float | None, shard: int
) -> None:
    import zarr

    with replacing(store) as place:
        root = zarr.open_group(place, mode="w-", zarr_format=3)
        root.update_attributes({"ome": {"version": OME_VERSION}})
        group = create_labels_group(root, names)
        for name in names:
            create_pyramid(
                group.create_group(name),
                level_shapes(shape),
                np.dtype(np.uint32),
                "yx",
                pixel_size_um,
                label_metadata(with_image=False),
                shard,
            )


def _write_pyramid(job: SlideJob, name: str, each: Each, say: Say) -> None:
    """Write the levels above full resolution, each from the one before it."""
    step = _shard(job)
    for level, shape in list(enumerate(level_shapes(job.shape)))[1:]:
        marker = job.work / "levels" / f"{name}-{level}"
        if marker.is_file():
            continue
        boxes = [
            Box(top, left, min(top + step, shape[0]), min(left + step, shape[1]))
            for top in range(0, shape[0], step)
            for left in range(0, shape[1], step)
        ]
        for done, _ in enumerate(each(partial(write_level, job.store, name, level), boxes), 1):
            say(Progress(f"pyramid of {name}, level {level}", done, len(boxes)))
        with replacing(marker) as place:
            place.touch()
