"""Olympus OIR through openreadout: planes put together from their pieces, one at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from openreadout import File

from pipelines.errors import ImageError
from pipelines.images.info import ImageInfo, axes_of
from pipelines.images.scale import square_pixel
from pipelines.images.source import Box, Source


def read_header(path: Path, scene: int) -> ImageInfo:
    """Header of an OIR file and of the files in which FluoView goes on with it.

    Raises:
        ImageError: It holds no planes, or not all that were to be acquired.
    """
    with File(path) as file:
        image = _image(file, path)
        _check_whole(file, path)
        dtype = file.dtype(image["index"])
    rows, columns = image["size_y"], image["size_x"]
    n_t, n_c, n_z = image["size_t"], image["size_c"], image["size_z"]
    axes, shape = axes_of({"T": n_t, "C": n_c, "Z": n_z, "Y": rows, "X": columns}, is_rgb=False)
    size = image.get("physical_size", {})
    return ImageInfo(
        path=path,
        axes=axes,
        shape=shape,
        dtype=dtype.name,
        n_channels=n_c,
        n_z=n_z,
        channel_names=_channel_names(image["channels"]),
        is_rgb=False,
        pixel_size_um=square_pixel(size.get("x"), size.get("y"), path),
        z_step_um=size.get("z"),
        warnings=(),
        block=(rows, columns),
        scene=scene,
        n_t=n_t,
        t_step_s=image.get("time_increment_s"),
    )


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Regions of planes; see `Reader`."""
    with File(source.info.path) as file:
        index = _image(file, source.info.path)["index"]
        for depth in depths:
            plane = file.read_plane(index, source.channel or 0, depth, source.time)
            yield plane[box]


def _image(file: File, path: Path) -> dict[str, Any]:
    """The acquired image, which lies beside a small overview of the field, the reference."""
    for image in file.images:
        if image.get("extra", {}).get("kind") != "reference":
            return dict(image)
    raise ImageError(
        f"{path}: it holds no planes, as the map of a tiled acquisition does; give the files of "
        "its tiles, or the stitched image"
    )


def _check_whole(file: File, path: Path) -> None:
    """Refuse a file with pieces missing: planes at the end of a stack would not be told at all."""
    wrong = [one["message"] for one in file.check()["findings"] if one["severity"] == "error"]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ImageError(
            f"{path}: {wrong[0]}{more}: it is incomplete or corrupt; copy it from the microscope "
            "again with the files of its name that end in _00001, _00002, ..., or export the "
            "planes that are there"
        )


def _channel_names(channels: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Names of the dyes, else of the detectors or wavelengths; none where they do not differ."""
    detectors = tuple(channel.get("name", "") for channel in channels)
    dyes = tuple(
        channel.get("fluorophore") or name
        for channel, name in zip(channels, detectors, strict=True)
    )
    for names in (dyes, detectors):
        if all(names) and len(set(names)) == len(names):
            return names
    return ()
