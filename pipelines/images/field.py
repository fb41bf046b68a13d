"""One image as a lazy field: named channels, one pixel size, no pixel read before its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError, MismatchError
from pipelines.images.header import inspect
from pipelines.images.info import ImageInfo
from pipelines.images.lazy import (
    Projection,
    check_projection,
    compute,
    is_large,
    lazy_plane,
    read_box,
    read_whole,
)
from pipelines.images.pyramid import lazy_levels
from pipelines.images.reader import read_planes
from pipelines.images.scale import differ
from pipelines.images.source import Box, Source

if TYPE_CHECKING:
    from dask.array import Array

_RGB = "rgb"


@dataclass(frozen=True)
class Field:
    """One image, whose pixels are read when they are asked for.

    A field can be pickled: it holds the paths of its files, not the files.

    Attributes:
        image_id: The image's name in the study.
        pixel_size_um: Side of a pixel in µm, None where lengths stay in pixels.
        warnings: Sentences for the report.
        shape: Rows and columns.
        sources: Where each channel is; the brightfield picture, if any, among them.
        z: How a stack becomes a plane.
        stains: What tells each stain of the picture; see `measurements.stains.stain_plane`.
    """

    image_id: str
    pixel_size_um: float | None
    warnings: tuple[str, ...]
    shape: tuple[int, int]
    sources: Mapping[str, Source]
    z: Projection
    stains: Mapping[str, tuple[float, float, float]] = attribute(default_factory=dict)

    @property
    def picture(self) -> str | None:
        """Name of the brightfield picture, where the study names one."""
        return next((name for name, s in self.sources.items() if s.channel is None), None)

    @property
    def channels(self) -> Mapping[str, Array]:
        """Lazy (y, x) planes in the type of their file; float32 after a mean projection."""
        names = [name for name in self.sources if name != self.picture]
        return {name: self._lazy(name) for name in names}

    @property
    def rgb(self) -> Array | None:
        """The lazy (y, x, 3) brightfield picture, where the study names one."""
        return self._lazy(self.picture) if self.picture is not None else None

    def plane(self, channel: str, box: Box | None = None) -> NDArray[Any]:
        """Read a channel or stain as an array (y, x), the picture as (y, x, 3), the caller's own.

        Args:
            channel: Its name.
            box: Rows and columns to read, where not all are wanted; of a tiled file only the tiles
                that the box touches are read.

        Raises:
            ImageError: There is no such channel, or its pixels cannot be read.
        """
        if channel in self.stains and self.picture is not None:
            return self.stain(channel, self.plane(self.picture, box))
        if channel not in self.sources:
            raise ImageError(
                f"{self.image_id}: there is no channel {channel!r}; "
                f"the field has {', '.join(self.sources)}"
            )
        source = self.sources[channel]
        if box is not None:
            return read_box(source, self.z, self.sources, box)
        if is_large(source.info):
            return compute(self._lazy(channel))
        # The usual field is read at once: dask takes a second to import and would gain nothing.
        return read_whole(source, self.z, self.sources)

    def stain(self, name: str, rgb: NDArray[Any]) -> NDArray[np.float32]:
        """Density (y, x) of a stain in pixels (y, x, 3) of the picture."""
        # Only pictures with stains need it, and what it imports takes half a second.
        from measurements.stains import stain_plane

        return stain_plane(rgb, np.array(self.stains[name]))

    def levels(self, channel: str) -> list[Array]:
        """One channel at full and at lower resolutions; see `pipelines.images.pyramid`."""
        return lazy_levels(self.sources[channel], self.z, self.sources)

    def stack(self, channel: str) -> NDArray[Any]:
        """Read all planes of one grey channel, (z, y, x); one plane where there is no stack.

        Raises:
            ImageError: Its pixels cannot be read.
        """
        source = self.sources[channel]
        rows, columns = source.info.plane_shape
        box = slice(0, rows), slice(0, columns)
        return np.stack(list(read_planes(source, range(source.info.n_z), box)))

    def _lazy(self, name: str) -> Array:
        return lazy_plane(self.sources[name], self.z, self.sources)


def open_field(
    image_id: str,
    files: Mapping[str, Path],
    channels: Mapping[str, int | str],
    *,
    pixel_size_um: float | Literal["unknown"] | None,
    z: Projection,
    scene: int | None = None,
    time: int | None = None,
) -> Field:
    """Open one image from the headers of its files.

    With `z="best_focus"` every stack of the field gives the plane that is sharpest in the first
    channel of `channels` that is a stack (on at most its central 4096 x 4096 pixels), so that all
    channels show the same optical section.

    Args:
        image_id: The image's name in the study.
        files: The file that holds each channel; the same path again where one file holds several.
        channels: For each channel its index in the file, the file's own name for it, or "rgb"
            for a brightfield picture.
        pixel_size_um: Side of a pixel in µm; None takes it from the file, "unknown" keeps lengths
            in pixels even where the file has one.
        z: How stacks become planes; "none" refuses stacks.
        scene: Which scene of the files, counted from 0; needed where a file has several.
        time: Which time point, counted from 0; needed where there are several.

    Returns:
        The field, lazy.

    Raises:
        ImageError: A file cannot be used, its channel is not there, or the files of the field
            disagree.
    """
    missing = [name for name in channels if name not in files]
    if missing or not channels:
        raise ImageError(
            f"{image_id}: no file is given for channel {', '.join(missing) or '(any)'}"
        )
    paths = dict.fromkeys(Path(files[n]) for n in channels)
    infos = {path: inspect(path, scene or 0) for path in paths}
    for info in infos.values():
        _check_place(info, scene, time)
    sources = {
        name: replace(_source(infos[Path(files[name])], wanted), time=time or 0)
        for name, wanted in channels.items()
    }
    shape = _common_shape(image_id, infos)
    size, warnings = _pixel_size(image_id, infos, pixel_size_um)
    check_projection(image_id, sources, z)
    pictures = [name for name, source in sources.items() if source.channel is None]
    if len(pictures) > 1:
        raise ImageError(f"{image_id}: {', '.join(pictures)} are all rgb; one picture is expected")
    return Field(
        image_id=image_id,
        pixel_size_um=size,
        warnings=(*_file_warnings(infos), *_colour_warnings(sources), *warnings),
        shape=shape,
        sources=sources,
        z=z,
    )


def _check_place(info: ImageInfo, scene: int | None, time: int | None) -> None:
    """Refuse a file of several scenes or time points where none was chosen, or too few."""
    if scene is None and info.n_scenes > 1:
        raise MismatchError(
            f"{info.path}: it holds {info.n_scenes} scenes ({_few(info.scene_names)}); choose one"
        )
    if time is None and info.n_t > 1:
        raise MismatchError(f"{info.path}: it holds {info.n_t} time points; choose one")
    if time is not None and time >= info.n_t:
        raise MismatchError(
            f"{info.path}: there is no time point {time}, counted from 0; it has {info.n_t}"
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _source(info: ImageInfo, wanted: int | str) -> Source:
    if wanted == _RGB:
        if not info.is_rgb and info.n_channels != 3:
            raise MismatchError(
                f"{info.path}: an rgb picture is asked for, but the file has {_offer(info)}"
            )
        return Source(info, None)
    if isinstance(wanted, str):
        return Source(info, _index_of(info, wanted))
    if not 0 <= wanted < info.n_channels:
        raise MismatchError(
            f"{info.path}: there is no channel {wanted}; the file has {_offer(info)}, counted "
            "from 0"
        )
    return Source(info, int(wanted))


def _index_of(info: ImageInfo, name: str) -> int:
    found = info.channel_names.count(name)
    if found == 1:
        return info.channel_names.index(name)
    if found:
        raise MismatchError(
            f"{info.path}: {found} channels are named {name!r}; give the index instead"
        )
    near = get_close_matches(name, info.channel_names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "; give the index instead"
    raise MismatchError(
        f"{info.path}: there is no channel named {name!r}, the file has {_offer(info)}{hint}"
    )


def _offer(info: ImageInfo) -> str:
    count = "1 channel" if info.n_channels == 1 else f"{info.n_channels} channels"
    if info.channel_names:
        return f"{count} ({', '.join(info.channel_names)})"
    return f"{count} (red, green, blue)" if info.is_rgb else f"{count} without names"


def _common_shape(image_id: str, infos: Mapping[Path, ImageInfo]) -> tuple[int, int]:
    shapes = {info.plane_shape for info in infos.values()}
    if len(shapes) > 1:
        each = ", ".join(f"{p.name} {'x'.join(map(str, i.plane_shape))}" for p, i in infos.items())
        raise ImageError(f"{image_id}: the files of a field must be equally large; given: {each}")
    return shapes.pop()


def _pixel_size(
    image_id: str, infos: Mapping[Path, ImageInfo], wanted: float | str | None
) -> tuple[float | None, tuple[str, ...]]:
    """The field's pixel size in µm, and what the report should say about it."""
    own = {p.name: i.pixel_size_um for p, i in infos.items() if i.pixel_size_um is not None}
    if own and differ(min(own.values()), max(own.values())):
        each = ", ".join(f"{name} {size:g} µm" for name, size in own.items())
        raise MismatchError(f"{image_id}: the files of a field differ in pixel size: {each}")
    found = next(iter(own.values()), None)
    if wanted is None:
        if found is None:
            raise MismatchError(
                f"{image_id}: its file has no pixel size; set pixel_size_um in the study, or write "
                "pixel_size_um: unknown to measure in pixels"
            )
        return found, ()
    if isinstance(wanted, str):
        return None, _unknown_size(wanted, found)
    if not isfinite(wanted) or wanted <= 0:
        raise MismatchError(f"{image_id}: pixel_size_um is {wanted}; a length above 0 is expected")
    if found is not None and differ(found, wanted):
        return wanted, (f"the study sets a pixel of {wanted:g} µm, the file says {found:g} µm",)
    return wanted, ()


def _unknown_size(wanted: str, found: float | None) -> tuple[str, ...]:
    if wanted != "unknown":
        raise ImageError(f"pixel_size_um is {wanted!r}; a number, or the word unknown, is expected")
    if found is None:
        return ()
    return (f"lengths are in pixels, as the study asks, though the file says {found:g} µm a pixel",)


def _file_warnings(infos: Mapping[Path, ImageInfo]) -> list[str]:
    return [f"{path.name}: {text}" for path, info in infos.items() for text in info.warnings]


def _colour_warnings(sources: Mapping[str, Source]) -> list[str]:
    return [
        f"{source.info.path.name}: its 3 channels are taken as red, green and blue, in this order"
        for source in sources.values()
        if source.channel is None and not source.info.is_rgb
    ]
