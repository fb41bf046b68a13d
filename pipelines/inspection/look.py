"""Grey values, doubts and a picture of one scene of a file, from a part of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.quality import saturation_level
from pipelines.field.pixels import rgb_to_grey
from pipelines.images import Field, ImageInfo, inspect, open_field, scene_names, scene_number
from pipelines.images.source import Box

SIDE = 2048
"""Rows and columns in the middle of the image that are read."""

_WORTH_SAYING = 0.001  # share of saturated pixels


@dataclass(frozen=True)
class Channel:
    """What one channel looks like in the part that was read.

    Attributes:
        name: as a study names it: the file's own name, or its index.
        pixels: (y, x), or (y, x, 3) of a brightfield picture.
        low: smallest grey value.
        median: of the grey values.
        high: largest one.
        saturated: share of the pixels that are clipped.
        broken: share of the pixels that are NaN or infinite.
    """

    name: str
    pixels: NDArray[Any]
    low: float
    median: float
    high: float
    saturated: float
    broken: float = 0.0

    @property
    def grey(self) -> NDArray[Any]:
        """One plane (y, x), as models see it."""
        return rgb_to_grey(self.pixels) if self.pixels.ndim == 3 else self.pixels


@dataclass(frozen=True)
class Look:
    """One scene of a file.

    Attributes:
        info: its header.
        scenes: names of all scenes of the file.
        channels: what each looks like.
        warnings: sentences.
    """

    info: ImageInfo
    scenes: tuple[str, ...]
    channels: tuple[Channel, ...]
    warnings: tuple[str, ...]


def look_at(path: Path, scene: str | None = None, time: int = 0) -> Look:
    """Read the header of a file and the middle of its channels.

    Args:
        path: the file.
        scene: name of a scene, or its number from 0; the first one where none is given.
        time: time point, from 0.

    Raises:
        ImageError: the file cannot be read, or has no such scene.
    """
    scenes = scene_names(path)
    number = scene_number(path, scene) if scene is not None else 0
    info = inspect(path, number)
    names = ["rgb"] if info.is_rgb else [_name(info, i) for i in range(info.n_channels)]
    places: dict[str, int | str] = {n: "rgb" if info.is_rgb else i for i, n in enumerate(names)}
    field = open_field(
        path.stem,
        dict.fromkeys(names, path),
        places,
        pixel_size_um="unknown",
        z="mean" if info.is_rgb else "max",
        scene=number,
        time=time,
    )
    channels = tuple(_channel(field, name, _middle(info)) for name in names)
    return Look(info, scenes, channels, (*info.warnings, *_doubts(info, channels)))


def _name(info: ImageInfo, index: int) -> str:
    names = info.channel_names
    usable = names and names[index] and names.count(names[index]) == 1
    return names[index] if usable else str(index)


def _middle(info: ImageInfo) -> Box:
    starts = [max(0, (n - SIDE) // 2) for n in info.plane_shape]
    y, x = (
        slice(start, min(n, start + SIDE))
        for start, n in zip(starts, info.plane_shape, strict=True)
    )
    return y, x


def _channel(field: Field, name: str, box: Box) -> Channel:
    pixels = field.plane(name, box)
    values = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    broken = 1 - values.size / pixels.size
    if not values.size:
        return Channel(name, pixels, float("nan"), float("nan"), float("nan"), 0.0, broken)
    saturated = float((values >= saturation_level(pixels)).mean())
    low, high = float(values.min()), float(values.max())
    return Channel(name, pixels, low, float(np.median(values)), high, saturated, broken)


def _doubts(info: ImageInfo, channels: tuple[Channel, ...]) -> list[str]:
    found = []
    if info.pixel_size_um is None:
        found.append("the file has no pixel size: set pixel_size_um in the study, or `unknown`")
    if info.dtype == "uint8" and not info.is_rgb:
        found.append("8 bit: dim differences between cells may be lost; keep the 16-bit original")
    if info.is_rgb:
        found.append(
            "a colour picture: of brightfield, name it `rgb` in the study's channels; of "
            "fluorescence, its red, green and blue are the channels 0, 1 and 2, whose contrast may "
            "have been set by image, so that images cannot be compared: better the original files"
        )
    for channel in channels:
        if channel.broken:
            found.append(
                f"channel {channel.name}: {channel.broken:.1%} of the pixels are NaN or infinite; "
                "a run outlines no cells in such a channel and gives those beside such pixels no "
                "value, so cut that part off in all channels"
            )
        if channel.low == channel.high:
            found.append(f"channel {channel.name} has the value {channel.low:g} in every pixel")
        elif channel.saturated > _WORTH_SAYING:
            found.append(
                f"channel {channel.name}: {channel.saturated:.1%} of the pixels are saturated; "
                "their intensities are too low"
            )
    return found
