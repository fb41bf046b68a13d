"""Nikon ND2 through nd2: positions as scenes, frames mapped into memory and not read whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nd2
import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.images.info import ImageInfo, axes_of
from pipelines.images.source import Box, Source

_AXES = {"TimeLoop": "T", "NETimeLoop": "T", "XYPosLoop": "P", "ZStackLoop": "Z"}


def read_header(path: Path, scene: int) -> ImageInfo:
    """Header of one position of an ND2 file.

    Raises:
        ImageError: It has loops, or pixels of several components, that a field cannot have.
    """
    with nd2.ND2File(path) as file:
        lengths, names = _loops(file, path), _position_names(file)
        attributes, components = file.attributes, file.components_per_channel
        n_c = attributes.channelCount or 1
        if components not in (1, 3) or (components == 3 and n_c > 1):
            raise ImageError(
                f"{path}: {n_c} channels of {components} components each; grey channels or one RGB "
                "picture are expected: export it as OME-TIFF"
            )
        is_rgb = components == 3
        pixel, step = _calibration(file)
        rows, columns = attributes.heightPx, attributes.widthPx or 0
        times, depths = lengths.get("T", 1), lengths.get("Z", 1)
        axes, shape = axes_of(
            {"T": times, "C": n_c, "Z": depths, "Y": rows, "X": columns}, is_rgb=is_rgb
        )
        channels = tuple(c.channel.name for c in file.metadata.channels or ())
        return ImageInfo(
            path=path,
            axes=axes,
            shape=shape,
            dtype=file.dtype.name,
            n_channels=3 if is_rgb else n_c,
            n_z=depths,
            channel_names=channels if len(channels) == n_c and any(channels) else (),
            is_rgb=is_rgb,
            pixel_size_um=pixel,
            z_step_um=step,
            warnings=_warnings(file),
            block=(rows, columns),
            scene=scene,
            scene_names=names,
            n_t=times,
            t_step_s=_interval(file),
        )


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Regions of planes; see `Reader`."""
    for depth in depths:
        # Opened for each plane: pages that were mapped stay in memory until the file is closed.
        with nd2.ND2File(source.info.path) as file:
            yield _read_plane(file, source, depth, box)


def _read_plane(file: nd2.ND2File, source: Source, depth: int, box: Box) -> NDArray[Any]:
    info = source.info
    wanted = {"P": info.scene, "T": source.time, "Z": depth}
    loops = _loops(file, info.path)
    number = 0
    for axis, length in loops.items():  # outermost first
        number = number * length + wanted[axis]
    recorded = file.attributes.sequenceCount
    if number >= recorded:  # nd2 would give zeros
        raise ImageError(
            f"{info.path}: plane {number + 1} is not in the file, whose acquisition ended after "
            f"{recorded}"
        )
    frame = file.read_frame(number)  # (C, Y, X, S), squeezed
    return np.array(_region(frame, source, box))


def _region(frame: NDArray[Any], source: Source, box: Box) -> NDArray[Any]:
    rows, columns = source.info.plane_shape
    n = source.info.n_channels
    if source.info.is_rgb:
        picture = frame.reshape(rows, columns, 3)[box]
        return picture if source.channel is None else picture[..., source.channel]
    return frame.reshape(n, rows, columns)[(source.channel or 0, *box)]


def _loops(file: nd2.ND2File, path: Path) -> dict[str, int]:
    """Length of every loop of the acquisition by its letter."""
    unfit = [loop.type for loop in file.experiment if loop.type not in _AXES]
    if unfit:
        raise ImageError(
            f"{path}: it has loops that are not time, position or z ({', '.join(unfit)}); export "
            "it as OME-TIFF"
        )
    return {_AXES[loop.type]: loop.count for loop in file.experiment}


def _position_names(file: nd2.ND2File) -> tuple[str, ...]:
    """Names of the positions, made unique by their number; none where there is one."""
    for loop in file.experiment:
        if loop.type == "XYPosLoop" and loop.count > 1:
            names = [p.name or f"position {i}" for i, p in enumerate(loop.parameters.points)]
            if len(set(names)) < len(names):
                names = [f"{name} ({i})" for i, name in enumerate(names)]
            return tuple(names)
    return ()


def _calibration(file: nd2.ND2File) -> tuple[float | None, float | None]:
    """Side of a pixel and step along z in µm; None where the file is not calibrated."""
    channels = file.metadata.channels or []
    if not channels:
        return None, None
    volume = channels[0].volume
    known, size = volume.axesCalibrated, volume.axesCalibration
    return (size[0] if known[0] else None), (size[2] if known[2] else None)


def _interval(file: nd2.ND2File) -> float | None:
    """Seconds between time points, where they are evenly spaced."""
    for loop in file.experiment:
        if loop.type == "TimeLoop" and loop.count > 1:
            return float(loop.parameters.periodMs) / 1000 or None
    return None


def _warnings(file: nd2.ND2File) -> tuple[str, ...]:
    if file.attributes.compressionType == "lossy":
        return ("lossy compression shifts intensities; keep the original file",)
    return ()
