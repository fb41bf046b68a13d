"""OME-Zarr (NGFF 0.4 and 0.5): an image, a plate of wells, or a collection as converters write."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.images.info import ImageInfo, axes_of
from pipelines.images.scale import square_pixel, to_um
from pipelines.images.source import Box, Source

_SECONDS = {"millisecond": 1e-3, "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}


class _Image(NamedTuple):
    """One multiscale image: its level of full resolution, and what its metadata say of it."""

    array: Any
    axes: tuple[str, ...]
    scale: tuple[float, ...]
    units: tuple[str, ...]
    channels: tuple[str, ...]


def read_header(path: Path, scene: int) -> ImageInfo:
    """Header of one image of an OME-Zarr folder.

    Raises:
        ImageError: It holds no image, or one with dimensions that a field cannot have.
    """
    places = image_places(path)
    image = _open(path, places[min(scene, len(places) - 1)])
    lengths = dict(zip(image.axes, image.array.shape, strict=True))
    sizes = {
        axis: to_um(scale, unit)
        for axis, scale, unit in zip(image.axes, image.scale, image.units, strict=True)
    }
    n_c, n_z, n_t = (lengths.get(axis, 1) for axis in "CZT")
    axes, shape = axes_of({axis: lengths.get(axis, 1) for axis in "TCZYX"}, is_rgb=False)
    seconds = [_SECONDS.get(unit, 0.0) for unit in image.units]
    times = [s * f for a, s, f in zip(image.axes, image.scale, seconds, strict=True) if a == "T"]
    chunks = dict(zip(image.axes, image.array.chunks, strict=True))
    return ImageInfo(
        path=path,
        axes=axes,
        shape=shape,
        dtype=image.array.dtype.newbyteorder("=").name,
        n_channels=n_c,
        n_z=n_z,
        channel_names=image.channels if len(image.channels) == n_c else (),
        is_rgb=False,
        pixel_size_um=square_pixel(
            sizes.get("X") or sizes.get("Y"), sizes.get("Y") or sizes.get("X"), path
        ),
        z_step_um=sizes.get("Z"),
        warnings=(),
        block=(min(chunks["Y"], lengths["Y"]), min(chunks["X"], lengths["X"])),
        scene=scene,
        scene_names=tuple(places) if len(places) > 1 else (),
        n_t=n_t,
        t_step_s=(times[0] or None) if times else None,
    )


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Regions of planes, from the chunks that they touch; see `Reader`."""
    info = source.info
    image = _open(info.path, image_places(info.path)[info.scene])
    channels = range(3) if source.channel is None else [source.channel]
    for depth in depths:
        chosen = {"T": source.time, "Z": depth, "Y": box[0], "X": box[1]}
        planes = [
            np.asarray(image.array[tuple(chosen.get(a, channel) for a in image.axes)])
            for channel in channels
        ]
        region = np.stack(planes, axis=-1) if source.channel is None else planes[0]
        yield region.astype(region.dtype.newbyteorder("="), copy=False)


def levels_of(info: ImageInfo) -> tuple[str, list[Any]]:
    """Axes, such as CYX, and the arrays of every resolution of an image, the finest first."""
    import zarr

    place = image_places(info.path)[info.scene]
    first = _attributes(info.path, place)["multiscales"][0]
    axes = "".join(str(axis["name"]).upper() for axis in first["axes"])
    folder = info.path / place
    levels = [zarr.open_array(folder / level["path"], mode="r") for level in first["datasets"]]
    return axes, levels


def image_places(path: Path) -> list[str]:
    """Paths, within a folder, of the images that it holds: "" for an image itself, "A/1/0" ...

    Raises:
        ImageError: It holds none.
    """
    about = _attributes(path, "")
    if "multiscales" in about:
        return [""]
    if "plate" in about:
        return [
            f"{well['path']}/{field['path']}"
            for well in about["plate"]["wells"]
            for field in _attributes(path, well["path"]).get("well", {}).get("images", [])
        ]
    if "well" in about:
        return [str(field["path"]) for field in about["well"]["images"]]
    found = _attributes(path, "OME").get("series") if (path / "OME").is_dir() else None
    if not found:
        found = [p.name for p in path.iterdir() if p.is_dir() and p.name.isdigit()]
        found.sort(key=int)
    places = [str(name) for name in found if "multiscales" in _attributes(path, str(name))]
    if not places:
        raise ImageError(f"{path}: a Zarr folder without an OME-Zarr image (no multiscales) in it")
    return places


def _attributes(path: Path, place: str) -> dict[str, Any]:
    """NGFF metadata of a group: under `ome` since 0.5, at the top before."""
    import zarr

    group = zarr.open_group(path / place, mode="r")
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes)
    return dict(found) if isinstance(found, Mapping) else {}


def _open(path: Path, place: str) -> _Image:
    import zarr

    about = _attributes(path, place)
    first = about["multiscales"][0]
    level = first["datasets"][0]
    array = zarr.open_array(path / place / level["path"], mode="r")
    axes = tuple(str(axis["name"]).upper() for axis in first["axes"])
    if len(axes) != len(array.shape) or not {"Y", "X"} <= set(axes) <= set("TCZYX"):
        raise ImageError(f"{path / place}: its axes are {', '.join(axes)}; t, c, z, y, x expected")
    units = tuple(str(axis.get("unit", "")) for axis in first["axes"])
    labels = [c.get("label", "") for c in about.get("omero", {}).get("channels", [])]
    names = tuple(map(str, labels)) if any(labels) else ()
    return _Image(array, axes, _scale(first, level, len(axes)), units, names)


def _scale(multiscale: Mapping[str, Any], level: Mapping[str, Any], n: int) -> tuple[float, ...]:
    """Size of a pixel along every axis: that of the level times that of the whole."""
    total = np.ones(n)
    for part in (level, multiscale):
        for step in part.get("coordinateTransformations", ()):
            if step.get("type") == "scale":
                total = total * np.asarray(step["scale"], dtype=float)
    return tuple(total.tolist())
