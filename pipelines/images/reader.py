"""Pixels of one channel, plane by plane; every file is closed again when they are read."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.images import raster, tiff
from pipelines.images.header import is_tiff, vendor_reader
from pipelines.images.info import ImageInfo, image_errors
from pipelines.images.source import Box, Source

WHOLE_PLANE_PIXELS = 2**26
"""Up to 8192 x 8192 pixels a plane is read in one piece, a larger one in blocks."""


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Read one region of some planes, one plane in memory at a time.

    Args:
        source: The channel.
        depths: Indices of the planes along z.
        box: The rows and columns to read.

    Yields:
        A region (y, x), or (y, x, 3) for RGB, in native byte order, for each plane.

    Raises:
        ImageError: The pixels cannot be read, or are not those that the header announced.
    """
    info = source.info
    rows, columns = (len(range(*s.indices(n))) for s, n in zip(box, info.plane_shape, strict=True))
    expected = (rows, columns) if source.channel is not None else (rows, columns, 3)
    with image_errors(info.path, "reading the pixels"):
        vendor = vendor_reader(info.path)
        if vendor is not None:
            planes = vendor.read_planes
        else:
            planes = _tiff_planes if is_tiff(info.path) else _raster_planes
        for plane in planes(source, depths, box):
            if plane.shape != expected or plane.dtype.name != info.dtype:
                raise ImageError(f"{info.path}: the file changed since its header was read")
            yield plane


def _raster_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    pixels = raster.read_pixels(source.info.path)
    if source.channel is not None and pixels.ndim == 3:
        pixels = pixels[..., source.channel]
    for _ in depths:
        yield pixels[box]


def _tiff_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    import zarr

    # What is logged here was logged, and became a warning, when the header was read.
    with tiff.log_messages(), tiff.open_series(source.info.path, source.info.scene) as opened:
        series = opened.series
        layout = tiff.layout_of(series, source.info.path)
        mode = 2 if _is_whole(box, source.info) else 0
        store = series.aszarr(level=0, chunkmode=mode)
        array = zarr.open_array(store, mode="r")
        for depth in depths:
            index, letters = _index(layout, source, depth, box)
            for number in _page_numbers(series, index):
                _check_stored(series, number, source.info)
            region = np.asarray(array[index])
            order = [letters.index(axis) for axis in f"YX{layout.channel_axis}" if axis in letters]
            yield region.transpose(order).astype(region.dtype.newbyteorder("="), copy=False)


def _is_whole(box: Box, info: ImageInfo) -> bool:
    """Whether a box is a whole plane that is read in one piece, not tile by tile."""
    rows, columns = (len(range(*s.indices(n))) for s, n in zip(box, info.plane_shape, strict=True))
    return (rows, columns) == info.plane_shape and rows * columns <= WHOLE_PLANE_PIXELS


def _index(
    layout: tiff.Layout, source: Source, depth: int, box: Box
) -> tuple[tuple[int | slice, ...], str]:
    """Index into the series, and the letters of the dimensions that it leaves."""
    chosen: dict[str, int | slice] = {"T": source.time, "Z": depth, "Y": box[0], "X": box[1]}
    if layout.channel_axis:
        chosen[layout.channel_axis] = slice(0, 3) if source.channel is None else source.channel
    index = tuple(chosen.get(axis, 0) for axis in layout.axes)
    kept = zip(layout.axes, index, strict=True)
    return index, "".join(axis for axis, part in kept if isinstance(part, slice))


def _page_numbers(series: tifffile.TiffPageSeries, index: tuple[int | slice, ...]) -> list[int]:
    """Which pages of the series an index touches: a page holds its last two or three dimensions."""
    leading = series.shape[: len(series.shape) - len(series.keyframe.shape)]
    parts = [part if isinstance(part, slice) else slice(part, part + 1) for part in index]
    grid = np.arange(prod(leading)).reshape(leading)
    return [int(number) for number in grid[tuple(parts[: len(leading)])].ravel()]


def _check_stored(series: tifffile.TiffPageSeries, number: int, info: ImageInfo) -> None:
    """See that a page is there, which tifffile would read as zeros if not, and that it is whole."""
    if series.dataoffset is not None:
        last = series.dataoffset + (number + 1) * series.keyframe.nbytes
        size = series.keyframe.parent.filehandle.size
    else:
        page = series[number]
        if page is None:
            raise ImageError(f"{info.path}: plane {number + 1} of the image is not in the file")
        ends = np.add(page.dataoffsets, page.databytecounts)
        last, size = int(ends.max(initial=0)), page.parent.filehandle.size
    if last > size:
        raise ImageError(
            f"{info.path}: the pixels of plane {number + 1} end at byte {last:,}, but the file has "
            f"{size:,}: it is incomplete; copy or export it again"
        )
