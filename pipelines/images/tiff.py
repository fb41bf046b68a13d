"""TIFF in its dialects: plain, ImageJ, OME, BigTIFF and slides, through tifffile."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import tifffile
from tifffile import PHOTOMETRIC

from pipelines.errors import ImageError
from pipelines.images.info import LOSSY, ImageInfo, NoSceneError
from pipelines.images.ome import OmeImage, parse_ome, refuse_entities
from pipelines.images.scale import read_scale

_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_JPEG = (6, 7, 33007, 34892)  # compressions
_GREY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MASK)
# tifffile's kinds that are decided before it looks at OME-XML.
_NOT_FROM_OME = ("shaped", "lsm", "mmstack", "ome")
_MEANINGS = {
    "R": "positions", "P": "phases", "H": "lifetimes", "E": "wavelengths",
    "A": "angles", "I": "unnamed pages", "Q": "unnamed pages", "S": "samples", "C": "channels",
}  # fmt: skip


class Opened(NamedTuple):
    """An open TIFF file, one of its series of planes and its OME metadata, where it has any."""

    tif: tifffile.TiffFile
    series: tifffile.TiffPageSeries
    ome: OmeImage | None


class Layout(NamedTuple):
    """Which dimension of a tifffile series is what.

    Attributes:
        axes: The series' own letters, with unnamed pages as channels.
        shape: Its lengths.
        channel_axis: The letter of the channels: "C", "S", or "" where there is one channel.
        is_rgb: Whether S holds red, green and blue.
    """

    axes: str
    shape: tuple[int, ...]
    channel_axis: str
    is_rgb: bool

    def length(self, axis: str) -> int:
        """Length of an axis, 1 where it does not exist."""
        return self.shape[self.axes.index(axis)] if axis and axis in self.axes else 1


@contextmanager
def open_series(path: Path, scene: int = 0) -> Iterator[Opened]:
    """Open a TIFF file and find a series of planes; the file is closed at the end.

    Args:
        path: The file.
        scene: Which of its images of equal size, counted from 0.

    Raises:
        ImageError: The file holds no image, or its header cannot be trusted.
    """
    with tifffile.TiffFile(path) as tif:
        if not len(tif.pages):
            raise ImageError(
                f"{path}: the TIFF holds no image, it is incomplete or corrupt; export it again"
            )
        refuse_entities(tif.pages.first.description, path)
        # Read before the series are looked at: it refuses sets whose files are elsewhere.
        ome = parse_ome(tif.pages.first.description, path) if tif.is_ome else None
        numbers = scene_numbers(tif)
        if scene >= len(numbers):
            raise NoSceneError(f"{path}: there is no scene {scene}; it has {len(numbers)}")
        number = numbers[scene]
        if number and ome is not None:
            ome = parse_ome(tif.pages.first.description, path, number)
        series = tif.series[number]
        if ome is not None and series.kind not in _NOT_FROM_OME:
            raise ImageError(f"{path}: its OME-XML does not describe the planes that the file has")
        if tif.is_imagej and ome is None and series.kind not in ("imagej", "shaped", "mmstack"):
            raise ImageError(
                f"{path}: its ImageJ header announces more planes than the file has: it is "
                "incomplete; copy or save it again"
            )
        yield Opened(tif, series, ome)


def scene_numbers(tif: tifffile.TiffFile) -> list[int]:
    """Which series of a file are its scenes: in OME-TIFF all that are like the first one."""
    first, *others = tif.series
    if not tif.is_ome:
        return [0]
    same = (s.shape == first.shape and s.axes == first.axes for s in others)
    return [0, *(i for i, like in enumerate(same, start=1) if like)]


def layout_of(series: tifffile.TiffPageSeries, path: Path) -> Layout:
    """Tell channels, depth and colours of a series apart.

    Raises:
        ImageError: It has positions or other dimensions that a field cannot have.
    """
    axes = series.axes
    if "C" not in axes and axes.count("I") + axes.count("Q") == 1:
        axes = axes.replace("I", "C").replace("Q", "C")
    sizes = dict(zip(axes, series.shape, strict=True))
    is_rgb = _is_colour(series.keyframe) and sizes.get("S") in (3, 4)
    channel_axis = next((a for a in "CS" if sizes.get(a, 1) > 1), "")
    layout = Layout(axes, series.shape, channel_axis, is_rgb)
    allowed = {"Y", "X", "Z", "T", channel_axis}
    unfit = [a for a, n in zip(axes, series.shape, strict=True) if n > 1 and a not in allowed]
    if unfit or axes.count("Y") != 1 or axes.count("X") != 1 or len(set(axes)) != len(axes):
        raise ImageError(_unfit_axes(path, layout, unfit))
    return layout


def read_header(path: Path, scene: int = 0) -> ImageInfo:
    """Header of a TIFF file, or of one of the scenes of an OME-TIFF.

    Raises:
        ImageError: The header is broken or describes what a field cannot have.
    """
    with log_messages() as messages, open_series(path, scene) as (tif, series, ome):
        layout = layout_of(series, path)
        _refuse_colours(tif, path)
        scale = read_scale(tif, ome)
        channels = layout.length(layout.channel_axis) - _alpha_samples(series, layout)
        names = _channel_names(tif, ome)
        axes, shape = _public_axes(layout, channels)
        warnings = (*_warnings(tif, series), *scale.warnings, *messages)
        return ImageInfo(
            path=path,
            axes=axes,
            shape=shape,
            dtype=series.dtype.newbyteorder("=").name,
            n_channels=channels,
            n_z=layout.length("Z"),
            channel_names=names if len(names) == channels else (),
            is_rgb=layout.is_rgb,
            pixel_size_um=scale.pixel_um,
            z_step_um=scale.z_um,
            warnings=tuple(dict.fromkeys(warnings)),
            block=_block(series.keyframe),
            scene=scene,
            scene_names=_scene_names(tif),
            n_t=layout.length("T"),
            t_step_s=ome.t_step_s if ome is not None else None,
        )


def _public_axes(layout: Layout, channels: int) -> tuple[str, tuple[int, ...]]:
    """Axes and shape without dimensions of length one and without alpha; S only for RGB."""
    letters, lengths = "", []
    for axis, length in zip(layout.axes, layout.shape, strict=True):
        kept = channels if axis == layout.channel_axis else length
        if kept != 1 or axis in "YX":
            letters += "C" if axis == "S" and not layout.is_rgb else axis
            lengths.append(kept)
    return letters, tuple(lengths)


def _alpha_samples(series: tifffile.TiffPageSeries, layout: Layout) -> int:
    if layout.channel_axis != "S":
        return 0
    if layout.is_rgb:
        return layout.length("S") - 3
    return sum(sample in _ALPHA for sample in series.keyframe.extrasamples)


def _block(page: tifffile.TiffPage) -> tuple[int, int]:
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _channel_names(tif: tifffile.TiffFile, ome: OmeImage | None) -> tuple[str, ...]:
    if ome is not None:
        return ome.channel_names
    metadata = tif.imagej_metadata if tif.is_imagej else None
    labels = (metadata or {}).get("Labels", ())
    return tuple(str(label) for label in ([labels] if isinstance(labels, str) else labels))


def _scene_names(tif: tifffile.TiffFile) -> tuple[str, ...]:
    numbers = scene_numbers(tif)
    if len(numbers) == 1:
        return ()
    names = [tif.series[number].name or f"image {number}" for number in numbers]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} ({i})" for i, name in enumerate(names))


def _is_colour(page: tifffile.TiffPage) -> bool:
    """Whether the samples of a page are read as red, green, blue; tifffile decodes JPEG's YCbCr."""
    if page.photometric == PHOTOMETRIC.YCBCR:
        return page.compression in _JPEG
    return page.photometric == PHOTOMETRIC.RGB


def _refuse_colours(tif: tifffile.TiffFile, path: Path) -> None:
    """Refuse colours that are neither grey nor RGB.

    ImageJ stores plain intensities under a palette that only displays them, and so do others
    whose palette rises with the value; any other palette makes the values mean nothing.
    """
    page = tif.pages.first
    if page.photometric in _GREY or _is_colour(page) or tif.is_svs:
        return
    if page.photometric == PHOTOMETRIC.PALETTE:
        colours = page.colormap
        rises = colours is None or (colours[:, 1:] >= colours[:, :-1]).all()
        if tif.is_imagej or rises:
            return
    raise ImageError(
        f"{path}: its colours are stored as {PHOTOMETRIC(page.photometric).name}; save it as grey "
        "or RGB"
    )


def _warnings(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Iterator[str]:
    page = series.keyframe
    pages = max((n for a, n in zip(series.axes, series.shape, strict=True) if a in "IQ"), default=1)
    if pages > 1:
        yield (
            f"its {pages} pages have no metadata and are taken as channels; if they are "
            "planes in z, save it as ImageJ TIFF or OME-TIFF, which name their axes"
        )
    scenes = scene_numbers(tif)
    rest = [other for i, other in enumerate(tif.series) if i not in scenes]
    if rest:
        sizes = ", ".join("x".join(map(str, other.shape)) for other in rest)
        first = "the first" if len(scenes) == 1 else f"the first {len(scenes)}"
        yield f"only {first} of {len(tif.series)} images in the file is read, not {sizes}"
    if page.compression in _JPEG:
        yield LOSSY
    if page.photometric == PHOTOMETRIC.MINISWHITE and series.dtype.kind != "b":
        yield "the file calls 0 white (inverted display); the values are read as they are stored"
    if page.photometric == PHOTOMETRIC.PALETTE:
        yield "the colours of the display are ignored; the values are read as they are stored"


def _unfit_axes(path: Path, layout: Layout, unfit: list[str]) -> str:
    lengths = ", ".join(f"{a}={n}" for a, n in zip(layout.axes, layout.shape, strict=True))
    named = ", ".join(f"{layout.length(a)} {_MEANINGS.get(a, f'along {a}')}" for a in unfit)
    return (
        f"{path}: its axes are {lengths}"
        + (f" with {named}" if named else "")
        + "; time points (T), channels (C), planes in z (Z), rows (Y) and columns (X), or one RGB "
        "picture (Y, X, S), are expected: export each position as a file of its own"
    )


@contextmanager
def log_messages() -> Iterator[list[str]]:
    """Collect, from this thread, what tifffile only logs: damage that it reads around."""
    found: list[str] = []
    thread = threading.get_ident()

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                found.append(f"tifffile: {record.getMessage()}")

    logger, handler = logging.getLogger("tifffile"), Collect(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
