"""Label images on disk: OME-Zarr beside a run's tables, TIFF for a single image, and reading both.

A label image is (y, x), 0 where there is no object and the number of the object elsewhere. What is
written depends on the labels alone, so the same labels give the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.files import replacing
from pipelines.images.header import inspect, is_tiff
from pipelines.images.info import image_errors
from pipelines.images.raster import has_stored_integers
from pipelines.images.reader import read_planes
from pipelines.images.source import Box, Source
from pipelines.ome_zarr import (
    OME_VERSION,
    SMALLEST_LEVEL,
    create_labels_group,
    create_pyramid,
    label_metadata,
)

if TYPE_CHECKING:
    import zarr
    from dask.array import Array


def write_labels(
    path: Path,
    labels: Mapping[str, NDArray[Any]],
    pixel_size_um: float | None,
    image: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write label images as one OME-Zarr 0.5 folder, which replaces an older one in one step.

    Each label image is `labels/NAME`; the image, where one is given, is the root. Each is a
    pyramid in which a level keeps every second pixel of the one before.

    Args:
        path: The folder to write, named IMAGE.ome.zarr by convention.
        labels: Label images (y, x) of whole numbers from 0 to 2^32 - 1, all of one shape.
        pixel_size_um: Side of a pixel in µm, None where it is unknown: the scale has no unit then.
        image: Channels (y, x) of the same shape to store beside the labels.

    Raises:
        ImageError: A label image is no label image, or the shapes differ.
    """
    import zarr

    stored = {name: _as_labels(array, name) for name, array in labels.items()}
    channels = {} if image is None else {n: np.asarray(array) for n, array in image.items()}
    shapes = {name: array.shape for name, array in (*stored.items(), *channels.items())}
    if len(set(shapes.values())) > 1:
        raise ImageError(f"{path}: labels and image must be equally large; given: {shapes}")
    with replacing(path) as place:
        root = zarr.open_group(place, mode="w-", zarr_format=3)
        if channels:
            _write_image(root, channels, pixel_size_um)
        else:
            root.update_attributes({"ome": {"version": OME_VERSION}})
        group = create_labels_group(root, list(stored))
        for name, array in stored.items():
            levels, more = _pyramid(array), label_metadata(with_image=bool(channels))
            _write_levels(group.create_group(name), levels, "yx", pixel_size_um, more)


def label_names(path: Path) -> list[str]:
    """Names of the label images in an OME-Zarr folder; none where there is no such folder."""
    folder = path / "labels"
    return (
        sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []
    )


def read_labels(path: Path, name: str, box: Box | None = None) -> NDArray[np.uint32]:
    """Read one label image, (y, x), from an OME-Zarr folder that `write_labels` wrote.

    Args:
        path: the folder.
        name: of the labels.
        box: rows and columns to read, where not all are wanted.

    Raises:
        ImageError: The folder is missing or broken, or has no labels of this name.
    """
    import zarr

    with image_errors(path, f"reading the labels {name}"):
        if not (path / "labels").is_dir():
            raise ImageError(f"{path}: there is no OME-Zarr folder with labels")
        group = zarr.open_group(path / "labels", mode="r")
        names = sorted(group.group_keys())
        if name not in names:
            raise ImageError(f"{path}: there are no labels {name!r}; it has {', '.join(names)}")
        level = group[f"{name}/0"]
        if not isinstance(level, zarr.Array):
            raise ImageError(f"{path}: labels {name!r} have no full resolution, expected at 0")
        return _as_labels(np.asarray(level[... if box is None else box]), name)


def label_levels(path: Path, name: str) -> "list[Array]":
    """One label image at all its resolutions, the finest first, read where it is looked at.

    Args:
        path: the OME-Zarr folder.
        name: of the labels.

    Raises:
        ImageError: The folder has no such labels.
    """
    import dask.array as da
    import zarr

    with image_errors(path, f"reading the labels {name}"):
        group = zarr.open_group(path / "labels" / name, mode="r")
        arrays = [array for _, array in sorted(group.arrays(), key=lambda item: int(item[0]))]
        return [
            da.from_zarr(array, chunks=array.chunks)  # type: ignore[no-untyped-call]
            for array in arrays
        ]


def write_label_tiff(path: Path, labels: NDArray[Any], pixel_size_um: float | None = None) -> None:
    """Write one label image as a uint32 TIFF, zlib-compressed.

    Args:
        path: The file to write; an older one is replaced in one step.
        labels: (y, x) whole numbers from 0 to 2^32 - 1.
        pixel_size_um: Side of a pixel in µm for the resolution tags, None where it is unknown.

    Raises:
        ImageError: The array is no label image.
    """
    import tifffile

    array = _as_labels(labels, path.name)
    per_cm = None if pixel_size_um is None else (1e4 / pixel_size_um,) * 2
    with replacing(path) as place:
        tifffile.imwrite(
            place,
            array,
            photometric="minisblack",
            compression="zlib",
            resolution=per_cm,
            resolutionunit=None if per_cm is None else "CENTIMETER",
            metadata=None,
            software="senescope",
        )


def read_label_image(path: Path) -> NDArray[np.uint32]:
    """Read a label image, as a person or another program drew it, from TIFF or PNG.

    Args:
        path: One plane of whole numbers, one number an object; they may be stored as float, as
            ImageJ stores more than 65,535 labels.

    Returns:
        (y, x).

    Raises:
        ImageError: The file has colours, several planes, fractions, or just yes and no.
    """
    info = inspect(path)
    expected = "a label image is one grey plane of whole numbers, 0 outside and one an object"
    with image_errors(path, "reading the header"):
        plain = is_tiff(path) or has_stored_integers(path)
    if len(info.shape) != 2 or not plain:
        raise ImageError(f"{path}: {expected}; this one is {info.axes} {info.shape} or has colours")
    if info.dtype == "bool":
        raise ImageError(f"{path}: {expected}; this one only says yes or no: number its objects")
    rows, columns = info.plane_shape
    [plane] = read_planes(Source(info, 0), [0], (slice(0, rows), slice(0, columns)))
    return _as_labels(_whole(plane, path), str(path))


def _whole(plane: NDArray[Any], path: Path) -> NDArray[Any]:
    """Whole numbers of a plane that stores them as float."""
    if plane.dtype.kind != "f":
        return plane
    odd = plane[~(np.isfinite(plane) & (plane == np.round(plane)))]
    if odd.size:
        raise ImageError(
            f"{path}: a label image holds whole numbers, one an object; this one has {odd.size} "
            f"pixels with others, such as {odd[0]:g}. Is it a picture or a probability map?"
        )
    return plane.astype(np.int64)


def _as_labels(array: NDArray[Any], name: str) -> NDArray[np.uint32]:
    given = np.asarray(array)
    if given.ndim != 2 or given.dtype.kind not in "ui":
        raise ImageError(
            f"{name}: labels are whole numbers (y, x); given {given.dtype} {given.shape}"
        )
    if given.size and (given.min() < 0 or given.max() > np.iinfo(np.uint32).max):
        raise ImageError(
            f"{name}: labels run from 0 to 4294967295; given {given.min()} to {given.max()}"
        )
    return given.astype(np.uint32, copy=False)


def _write_image(
    root: "zarr.Group", channels: Mapping[str, NDArray[Any]], pixel_size_um: float | None
) -> None:
    stack = np.stack(list(channels.values()))
    names = [
        {"label": name, "color": "FFFFFF", "window": _window(c)} for name, c in channels.items()
    ]
    levels = _pyramid(stack)
    _write_levels(root, levels, "cyx", pixel_size_um, {"omero": {"channels": names}})


def _window(channel: NDArray[Any]) -> dict[str, float]:
    """Display range: the values that occur."""
    low, high = float(channel.min(initial=0)), float(channel.max(initial=1))
    return {"min": low, "max": high, "start": low, "end": high}


def _pyramid(array: NDArray[Any]) -> list[NDArray[Any]]:
    """The array and every second pixel of each level before it: labels must not be mixed."""
    levels = [array]
    while max(levels[-1].shape[-2:]) > SMALLEST_LEVEL:
        levels.append(levels[-1][..., ::2, ::2])
    return levels


def _write_levels(
    group: "zarr.Group",
    levels: list[NDArray[Any]],
    axes: str,
    pixel_size_um: float | None,
    more: Mapping[str, Any],
) -> None:
    shapes = [level.shape for level in levels]
    arrays = create_pyramid(group, shapes, levels[0].dtype, axes, pixel_size_um, more)
    for array, level in zip(arrays, levels, strict=True):
        array[...] = level
