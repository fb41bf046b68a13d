"""Leica LIF through liffile: images as scenes, pixels mapped into memory and not read whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from liffile import LifFile, LifImage
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.images.info import ImageInfo, axes_of
from pipelines.images.ome import refuse_entities
from pipelines.images.scale import square_pixel
from pipelines.images.source import Box, Source

_USED = set("TCZYXS")
_SPECTRA = ("λ", "Λ")  # emission, excitation: channels where the image has no others
_MEANINGS = {"λ": "emission wavelengths", "Λ": "excitation wavelengths", "M": "unmerged tiles"}


def read_header(path: Path, scene: int) -> ImageInfo:
    """Header of one image of a LIF file.

    Raises:
        ImageError: It holds no image, or this one has dimensions that a field cannot have.
    """
    with LifFile(path) as file:
        refuse_entities(file.xml_header(), path)
        images = _images(file)
        if not images:
            raise ImageError(f"{path}: the LIF file holds no image")
        image = images[min(scene, len(images) - 1)]
        names = tuple(one.path for one in images)
        sizes = _sizes(image, path)
        is_rgb = sizes.get("S") == 3
        colour = _colour_axis(image)
        n_c, n_z, n_t = sizes.get(colour, 1), sizes.get("Z", 1), sizes.get("T", 1)
        if is_rgb and n_c > 1:
            raise ImageError(f"{path}: {n_c} RGB pictures in {image.path!r}; one is expected")
        x, y, z, t = (_step(image, axis) for axis in "XYZT")
        channels = _channel_names(image.xml_element) if colour == "C" else _wavelengths(image)
        lengths = {"T": n_t, "C": n_c, "Z": n_z, "Y": sizes["Y"], "X": sizes["X"]}
        axes, shape = axes_of(lengths, is_rgb=is_rgb)
        return ImageInfo(
            path=path,
            axes=axes,
            shape=shape,
            dtype=image.dtype.newbyteorder("=").name,
            n_channels=3 if is_rgb else n_c,
            n_z=n_z,
            channel_names=channels if len(channels) == n_c and not is_rgb else (),
            is_rgb=is_rgb,
            pixel_size_um=square_pixel(_um(x or y), _um(y or x), path),
            z_step_um=_um(z),
            warnings=(),
            block=(sizes["Y"], sizes["X"]),
            scene=scene,
            scene_names=names if len(names) > 1 else (),
            n_t=n_t,
            t_step_s=t,
        )


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Regions of planes; see `Reader`."""
    info = source.info
    with LifFile(info.path) as file:
        image = _images(file)[info.scene]
        for depth in depths:
            if info.is_rgb:
                at = {a: n for a, n in (("T", source.time), ("Z", depth)) if a in image.sizes}
                picture = image.frame(out=None, **at)[box]
                yield picture if source.channel is None else picture[..., source.channel]
            else:
                numbers = {"T": source.time, _colour_axis(image): source.channel or 0, "Z": depth}
                chosen: dict[str, int | slice] = {**numbers, "Y": box[0], "X": box[1]}
                index = tuple(chosen.get(axis, 0) for axis in image.dims)
                kept = [a for a in image.dims if a in "YX"]
                region = np.array(image.asarray(out="memmap")[index])
                yield region if kept == ["Y", "X"] else region.T


def _images(file: LifFile) -> list[LifImage]:
    """The images of a file; its lifetime histograms are none."""
    return [image for image in file.images if isinstance(image, LifImage)]


def _sizes(image: LifImage, path: Path) -> dict[str, int]:
    sizes = dict(image.sizes)
    used = {*_USED, _colour_axis(image)}
    unfit = {a: n for a, n in sizes.items() if a not in used and n > 1}
    if unfit or not {"Y", "X"} <= sizes.keys() or sizes.get("S", 3) != 3:
        named = ", ".join(f"{n} {_MEANINGS.get(a, f'along {a}')}" for a, n in unfit.items())
        raise ImageError(
            f"{path}: the axes of {image.path!r} are "
            + ", ".join(f"{a}={n}" for a, n in sizes.items())
            + (f" with {named}" if named else "")
            + "; time (T), channels (C), planes in z (Z), rows (Y) and columns (X) are expected"
        )
    return sizes


def _colour_axis(image: LifImage) -> str:
    """The axis of the channels: C, or that of a sweep over wavelengths where there is no C."""
    sweeps = [axis for axis in _SPECTRA if image.sizes.get(axis, 1) > 1]
    return sweeps[0] if len(sweeps) == 1 and image.sizes.get("C", 1) == 1 else "C"


def _wavelengths(image: LifImage) -> tuple[str, ...]:
    """Names of the steps of a sweep, in nm."""
    steps = image.coords.get(_colour_axis(image), ())
    return tuple(f"{float(step) * 1e9:.0f} nm" for step in steps)


def _step(image: LifImage, axis: str) -> float | None:
    """Distance of elements along an axis in m or s: its length over the gaps between them."""
    where = "./Data/Image/ImageDescription/Dimensions/DimensionDescription"
    number = {"X": "1", "Y": "2", "Z": "3", "T": "4"}[axis]
    for dimension in image.xml_element.findall(where):
        n, length = int(dimension.get("NumberOfElements", 0)), float(dimension.get("Length", 0))
        if dimension.get("DimID") == number and n > 1 and length:
            return abs(length) / (n - 1)
    return None


def _um(metres: float | None) -> float | None:
    return None if metres is None else metres * 1e6


def _channel_names(element: ElementTree.Element) -> tuple[str, ...]:
    """Names of the dyes, else of the look-up tables; none where they do not tell channels apart."""
    where = "./Data/Image/ImageDescription/Channels/ChannelDescription"
    found = element.findall(where)
    for names in (tuple(map(_dye, found)), tuple(c.get("LUTName", "") for c in found)):
        if all(names) and len(set(names)) == len(names):
            return names
    return ()


def _dye(channel: ElementTree.Element) -> str:
    for entry in channel.findall("ChannelProperty"):
        if entry.findtext("Key") == "DyeName":
            return entry.findtext("Value") or ""
    return ""
