"""Channels as dask arrays: which blocks they have, and how a stack becomes a plane."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import MismatchError
from pipelines.images import projection
from pipelines.images.info import ImageInfo
from pipelines.images.reader import WHOLE_PLANE_PIXELS, read_planes
from pipelines.images.source import Box, Source

if TYPE_CHECKING:
    from dask.array import Array

Projection = Literal["max", "mean", "best_focus", "none"]
"""How a z stack becomes one plane."""

_BLOCK_EDGE = 4096
_FOCUS_EDGE = 4096


def compute(array: Array) -> NDArray[Any]:
    """Read a lazy array on this machine, never on a cluster that calls from one of its tasks."""
    return np.asarray(array.compute(scheduler="threads"))  # type: ignore[no-untyped-call]


def check_projection(image_id: str, sources: Mapping[str, Source], z: Projection) -> None:
    """Check that the stacks of a field suit the projection.

    Args:
        image_id: The image's name, for messages.
        sources: The channels of the field.
        z: How stacks become planes.

    Raises:
        MismatchError: A stack where none is expected, a maximum of transmitted light, or stacks of
            different depth that have no plane in common.
    """
    stacks = _stacks(sources)
    given = ", ".join(f"{name} {source.info.n_z}" for name, source in stacks.items())
    if stacks and z == "none":
        raise MismatchError(
            f"{image_id}: one plane a channel is expected with z: none; planes given: {given}; "
            "choose z: max, mean or best_focus"
        )
    if z == "max" and any(source.channel is None for source in stacks.values()):
        raise MismatchError(
            f"{image_id}: a maximum over transmitted light keeps the background and loses the "
            "stain; choose z: best_focus or mean for a brightfield stack"
        )
    if z == "best_focus" and len({source.info.n_z for source in stacks.values()}) > 1:
        raise MismatchError(
            f"{image_id}: best_focus takes one plane of all stacks; planes: {given}"
        )


def is_large(info: ImageInfo) -> bool:
    """Whether a plane is read in blocks rather than at once."""
    return prod(info.plane_shape) > WHOLE_PLANE_PIXELS


def read_whole(source: Source, z: Projection, field: Mapping[str, Source]) -> NDArray[Any]:
    """Read one channel at once.

    Args:
        source: The channel.
        z: How a stack becomes a plane.
        field: All channels of the field: with best_focus the first stack among them chooses.
    """
    rows, columns = source.info.plane_shape
    return read_box(source, z, field, (slice(0, rows), slice(0, columns)))


def read_box(source: Source, z: Projection, field: Mapping[str, Source], box: Box) -> NDArray[Any]:
    """Read a part of one channel; see `read_whole`.

    Args:
        source: The channel.
        z: How a stack becomes a plane.
        field: All channels of the field.
        box: Rows and columns.
    """
    depth = _shared_depth(field) if z == "best_focus" and source.info.n_z > 1 else None
    return _read_block(source, z, depth, box)


def _stacks(sources: Mapping[str, Source]) -> dict[str, Source]:
    return {name: source for name, source in sources.items() if source.info.n_z > 1}


def _shared_depth(sources: Mapping[str, Source]) -> int:
    """Index of the plane that all stacks of a field give with best_focus."""
    return _sharpest_plane(next(iter(_stacks(sources).values())))


def _sharpest_plane(source: Source) -> int:
    rows, columns = (
        slice(max(0, (n - _FOCUS_EDGE) // 2), min(n, (n + _FOCUS_EDGE) // 2))
        for n in source.info.plane_shape
    )
    return projection.sharpest(read_planes(source, range(source.info.n_z), (rows, columns)))


def lazy_plane(source: Source, z: Projection, field: Mapping[str, Source]) -> Array:
    """One channel as a dask array whose blocks open, read and close the file by themselves.

    Args:
        source: The channel.
        z: How a stack becomes a plane.
        field: All channels of the field: with best_focus the first stack among them chooses.

    Returns:
        (y, x), or (y, x, 3) for RGB: one block, or several where the plane is large.
    """
    import dask.array as da
    from dask.delayed import delayed

    info = source.info
    dtype = np.dtype(np.float32 if z == "mean" and info.n_z > 1 else info.dtype)
    tail = (3,) if source.channel is None else ()
    read = delayed(_read_block, pure=True)
    focused = z == "best_focus" and info.n_z > 1
    chosen = delayed(_shared_depth, pure=True)(field) if focused else None
    rows, columns = _blocks(info)
    parts = [
        [
            da.from_delayed(  # type: ignore[no-untyped-call]
                read(source, z, chosen, (r, c)),
                (r.stop - r.start, c.stop - c.start, *tail),
                dtype=dtype,
            )
            for c in columns
        ]
        for r in rows
    ]
    plane: Array = da.block([[[part] for part in row] for row in parts] if tail else parts)  # type: ignore[no-untyped-call]
    return plane


def _read_block(source: Source, z: Projection, depth: int | None, box: Box) -> NDArray[Any]:
    if source.info.n_z == 1 or z == "best_focus":
        [plane] = read_planes(source, [depth or 0], box)
        return plane
    planes = read_planes(source, range(source.info.n_z), box)
    return projection.mean(planes) if z == "mean" else projection.maximum(planes)


def _blocks(info: ImageInfo) -> tuple[list[slice], list[slice]]:
    """Rows and columns of the blocks: whole tiles or strips, about 4096 x 4096 pixels."""
    shape = info.plane_shape
    if not is_large(info):
        return [slice(0, shape[0])], [slice(0, shape[1])]
    height, width = info.block
    step_x = min(shape[1], max(1, _BLOCK_EDGE // width) * width)
    step_y = min(shape[0], max(1, _BLOCK_EDGE**2 // step_x // height) * height)
    rows, columns = (
        [slice(start, min(start + step, n)) for start in range(0, n, step)]
        for n, step in zip(shape, (step_y, step_x), strict=True)
    )
    return rows, columns
