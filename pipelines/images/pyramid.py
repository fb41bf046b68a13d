"""Resolutions of a large image for looking at it: those that its file keeps, else every nth pixel.

Measuring reads full resolution alone; these are for screens, which show a part or a summary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tifffile

from pipelines.images import ngff, tiff
from pipelines.images.formats import is_zarr
from pipelines.images.header import is_tiff, vendor_reader
from pipelines.images.info import image_errors
from pipelines.images.lazy import Projection, compute, lazy_plane
from pipelines.images.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    import zarr
    from dask.array import Array

# The coarsest level has at most this many pixels along its longer side.
_SMALLEST = 2048
# Pixels along a side that are read at once, in whole chunks of the file.
_READ_EDGE = 1024


def lazy_levels(source: Source, z: Projection, field: Mapping[str, Source]) -> list[Array]:
    """One channel at full resolution and at lower ones, lazily but for the smallest.

    Args:
        source: the channel.
        z: how a stack becomes a plane.
        field: all channels of the field; see `pipelines.images.lazy.lazy_plane`.

    Returns:
        (y, x), or (y, x, 3) for RGB, finest first. A file's own levels where it keeps any, however
        they were made; else every 2nd, 4th ... pixel, for which opening reads the file once.

    Raises:
        ImageError: the file cannot be read.
    """
    with image_errors(source.info.path, "reading the pyramid"):
        stored = _stored_levels(source) if source.info.n_z == 1 else []
    if len(stored) > 1:
        return stored
    levels = [lazy_plane(source, z, field)]
    while max(levels[-1].shape[:2]) > _SMALLEST:
        levels.append(levels[-1][::2, ::2])
    return [*levels[:-1], _in_memory(levels[-1])]


def _in_memory(level: Array) -> Array:
    import dask.array as da

    read: Array = da.from_array(compute(level))  # type: ignore[no-untyped-call]
    return read


def _stored_levels(source: Source) -> list[Array]:
    if is_zarr(source.info.path):
        axes, arrays = ngff.levels_of(source.info)
        return [_plane(array, axes, source, "C") for array in arrays]
    if vendor_reader(source.info.path) is None and is_tiff(source.info.path):
        return _of_tiff(source)
    return []


def _of_tiff(source: Source) -> list[Array]:
    import zarr

    path, scene = source.info.path, source.info.scene
    with tiff.log_messages(), tiff.open_series(path, scene) as opened:
        layout = tiff.layout_of(opened.series, path)
        number = tiff.scene_numbers(opened.tif)[scene]
        count = len(opened.series.levels)
    if count == 1:
        return []
    # These stores open the file anew when they are read.
    stores = [tifffile.imread(path, aszarr=True, series=number, level=k) for k in range(count)]
    arrays = [zarr.open_array(store, mode="r") for store in stores]
    return [_plane(array, layout.axes, source, layout.channel_axis) for array in arrays]


def _plane(array: zarr.Array[Any], axes: str, source: Source, channel_axis: str) -> Array:
    """The plane of a channel within an array of any axes; the colours of a picture come last."""
    import dask.array as da

    wanted: dict[str, int | slice] = {"T": source.time, "Y": slice(None), "X": slice(None)}
    if channel_axis:
        wanted[channel_axis] = slice(0, 3) if source.channel is None else source.channel
    index = tuple(wanted.get(axis, 0) for axis in axes)
    letters = [axis for axis, part in zip(axes, index, strict=True) if isinstance(part, slice)]
    chunks = tuple(
        max(length, _READ_EDGE // length * length) if axis in "YX" else length
        for axis, length in zip(axes, array.chunks, strict=True)
    )
    whole = da.from_zarr(array, chunks=chunks)  # type: ignore[no-untyped-call]
    order = [letters.index(axis) for axis in f"YX{channel_axis}" if axis in letters]
    plane: Array = whole[index].transpose(order).astype(array.dtype.newbyteorder("="))
    return plane
