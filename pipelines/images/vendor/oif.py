"""Olympus OIF and OIB through oiffile: one small TIFF a plane, each read when it is asked for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from oiffile import OifFile

from pipelines.errors import ImageError
from pipelines.images.info import ImageInfo, axes_of
from pipelines.images.scale import square_pixel, to_um
from pipelines.images.source import Box, Source

_PLANE = re.compile(r"s_((?:[A-Z]\d+)+)$")
_AXES = "TCZ"
_MEANINGS = {"L": "wavelengths", "A": "animation frames", "P": "points"}


def read_header(path: Path, scene: int) -> ImageInfo:
    """Header of an OIF or OIB file.

    Raises:
        ImageError: It holds no planes or not all, or has dimensions that a field cannot have.
    """
    with OifFile(path) as file:
        planes = _planes(file, path)
        lengths = {axis: 1 + max(at[i] for at in planes) for i, axis in enumerate(_AXES)}
        if len(planes) != prod(lengths.values()):
            announced = ", ".join(f"{axis}={n}" for axis, n in lengths.items())
            raise ImageError(
                f"{path}: {len(planes)} planes were found where {announced} need "
                f"{prod(lengths.values())}: it is incomplete; copy it from the microscope again"
            )
        with (
            file.open_file(planes[0, 0, 0]) as stream,
            tifffile.TiffFile(stream, name="plane") as tif,
        ):
            (rows, columns), dtype = tif.pages.first.shape, np.dtype(tif.pages.first.dtype)
        about = file.mainfile
    x, y = _sides(about)
    axes, shape = axes_of({**lengths, "Y": rows, "X": columns}, is_rgb=False)
    names = tuple(_channel_name(about, i + 1) for i in range(lengths["C"]))
    return ImageInfo(
        path=path,
        axes=axes,
        shape=shape,
        dtype=dtype.newbyteorder("=").name,
        n_channels=lengths["C"],
        n_z=lengths["Z"],
        channel_names=names if all(names) else (),
        is_rgb=False,
        pixel_size_um=square_pixel(x or y, y or x, path),
        z_step_um=_z_step(about),
        warnings=(),
        block=(rows, columns),
        scene=scene,
        n_t=lengths["T"],
    )


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Regions of planes; see `Reader`."""
    with OifFile(source.info.path) as file:
        planes = _planes(file, source.info.path)
        for depth in depths:
            plane = file.asarray(planes[source.time, source.channel or 0, depth])
            yield plane[box].astype(plane.dtype.newbyteorder("="), copy=False)


def _planes(file: OifFile, path: Path) -> dict[tuple[int, int, int], str]:
    """Name of the TIFF of every plane by its (time, channel, depth), from 0."""
    found: dict[tuple[int, int, int], str] = {}
    for name in file.glob():
        stem = PurePosixPath(name.replace("\\", "/"))
        match = _PLANE.fullmatch(stem.stem) if stem.suffix.lower() == ".tif" else None
        if match is None:
            continue  # thumbnails, reference images and settings
        numbers = {axis: int(n) - 1 for axis, n in re.findall(r"([A-Z])(\d+)", match[1])}
        unfit = [axis for axis, n in numbers.items() if axis not in _AXES and n > 0]
        if unfit:
            named = ", ".join(_MEANINGS.get(axis, f"planes along {axis}") for axis in unfit)
            raise ImageError(f"{path}: it has several {named}; export it as OME-TIFF")
        found[numbers.get("T", 0), numbers.get("C", 0), numbers.get("Z", 0)] = name
    if (0, 0, 0) not in found:
        raise ImageError(
            f"{path}: no planes were found; an .oif file needs its folder {path.name}.files "
            "beside it"
        )
    return found


def _sides(about: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Width and height of a pixel in µm."""
    sizes = about.get("Reference Image Parameter", {})
    x, y = (
        to_um(_number(sizes.get(f"{side}ConvertValue")), str(sizes.get(f"{side}Unit", "um")))
        for side in ("Width", "Height")
    )
    return x, y


def _number(value: object) -> float:
    """A number as FluoView wrote it, in some countries with a decimal comma; 0 where it is none."""
    try:
        return float(re.sub(r"^(-?\d+),(\d+)(\.0)?$", r"\1.\2", str(value)))
    except ValueError:
        return 0.0


def _z_step(about: Mapping[str, Any]) -> float | None:
    for i in range(8):
        axis = about.get(f"Axis {i} Parameters Common", {})
        if axis.get("AxisCode") == "Z":
            unit = str(axis.get("PixUnit") or axis.get("UnitName") or "")
            return to_um(abs(_number(axis.get("Interval"))), unit)
    return None


def _channel_name(about: Mapping[str, Any], number: int) -> str:
    """Dye, or else detector, of a recorded channel.

    Sections that begin with GUI number the detectors of the microscope, used or not, so they are
    asked only where there is no other.
    """
    sections = (about.get(f"{kind}Channel {number} Parameters") for kind in ("", "GUI "))
    recorded: Mapping[str, Any] = next((found for found in sections if found), {})
    for name in (recorded.get("DyeName"), recorded.get("CH Name")):
        if name and str(name) != "None":
            return str(name)
    return ""
