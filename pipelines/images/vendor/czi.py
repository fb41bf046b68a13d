"""Zeiss CZI through pylibCZIrw: scenes, tiles put together by libCZI, channels, z and time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from pylibCZIrw.czi import CziReader, open_czi

from pipelines.errors import ImageError
from pipelines.images.info import ImageInfo, axes_of
from pipelines.images.ome import refuse_entities
from pipelines.images.scale import square_pixel
from pipelines.images.source import Box, Source

_TYPES = {
    "Gray8": "uint8", "Gray16": "uint16", "Gray32Float": "float32",
    "Bgr24": "uint8", "Bgr48": "uint16", "Bgr96Float": "float32",
}  # fmt: skip
_USED = {"X", "Y", "Z", "C", "T", "S", "B", "M"}
_MEANINGS = {"R": "rotations", "I": "illuminations", "H": "phases", "V": "views"}
_BLOCK = 1024


def read_header(path: Path, scene: int) -> ImageInfo:
    """Header of one scene of a CZI file.

    Raises:
        ImageError: It has dimensions or pixels that a field cannot have.
    """
    with open_czi(str(path)) as doc:
        box = doc.total_bounding_box_no_pyramid
        lengths = {axis: stop - start for axis, (start, stop) in box.items()}
        xml = doc.raw_metadata
        refuse_entities(xml, path)
        about = ElementTree.fromstring(xml)
        regions = _regions(doc)
        dtype, is_rgb = _pixel_type(doc.pixel_types, path)
    unfit = {a: n for a, n in lengths.items() if a not in _USED and n > 1}
    if unfit:
        named = ", ".join(f"{n} {_MEANINGS.get(a, f'along {a}')}" for a, n in unfit.items())
        raise ImageError(f"{path}: it has {named}; export each as a file of its own")
    _, _, columns, rows = regions[min(scene, len(regions) - 1)]
    n_c, n_z, n_t = (lengths.get(axis, 1) for axis in "CZT")
    if is_rgb and n_c > 1:
        raise ImageError(f"{path}: {n_c} RGB channels; one is expected: export each as OME-TIFF")
    x, y, z = (_distance(about, axis) for axis in "XYZ")
    axes, shape = axes_of({"T": n_t, "C": n_c, "Z": n_z, "Y": rows, "X": columns}, is_rgb=is_rgb)
    names = _channel_names(about)
    return ImageInfo(
        path=path,
        axes=axes,
        shape=shape,
        dtype=dtype,
        n_channels=3 if is_rgb else n_c,
        n_z=n_z,
        channel_names=names if len(names) == n_c and not is_rgb else (),
        is_rgb=is_rgb,
        pixel_size_um=square_pixel(x or y, y or x, path),
        z_step_um=z,
        warnings=(),
        block=(min(rows, _BLOCK), min(columns, _BLOCK)),
        scene=scene,
        scene_names=_scene_names(about, len(regions)),
        n_t=n_t,
        t_step_s=_interval(about),
    )


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Regions of planes, put together from the tiles that they touch; see `Reader`."""
    rows, columns = (s.indices(n) for s, n in zip(box, source.info.plane_shape, strict=True))
    with open_czi(str(source.info.path)) as doc:
        regions = _regions(doc)
        scene = source.info.scene
        left, top, _, _ = regions[scene]
        roi = (left + columns[0], top + rows[0], columns[1] - columns[0], rows[1] - rows[0])
        where = scene if doc.scenes_bounding_rectangle_no_pyramid else None
        for depth in depths:
            plane = {"T": source.time, "Z": depth, "C": 0 if source.info.is_rgb else source.channel}
            _check_stored(doc, plane, where, source.info)
            pixels = np.asarray(doc.read(roi=roi, plane=plane, scene=where))
            if source.channel is None:
                yield pixels[..., ::-1]  # libCZI gives blue, green, red
            else:
                yield pixels[..., 2 - source.channel if source.info.is_rgb else 0]


def _check_stored(
    doc: CziReader, plane: dict[str, int | None], scene: int | None, info: ImageInfo
) -> None:
    """See that a plane has tiles at all, which libCZI would paint black if not.

    An axis of one position need not be written in the tiles, though the file's box then has it,
    and the box never has the scenes.
    """
    found = False

    def stop_at_first(_: int, __: object) -> bool:
        nonlocal found
        found = True
        return False

    box = doc.total_bounding_box
    place = {axis: n for axis, n in plane.items() if box.get(axis, (0, 1)) != (0, 1)}
    if scene is not None:
        place["S"] = scene
    doc.enumerate_subblocks_subset(stop_at_first, plane=place, only_layer0=True)
    if not found:
        raise ImageError(
            f"{info.path}: the plane at channel {plane['C']}, z {plane['Z']}, time {plane['T']}, "
            "counted from 0, is not in the file; export the planes that are"
        )


def _regions(doc: CziReader) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of every scene, or of the whole where there are no scenes."""
    scenes = doc.scenes_bounding_rectangle_no_pyramid
    found = [scenes[key] for key in sorted(scenes)] or [doc.total_bounding_rectangle_no_pyramid]
    return [(r.x, r.y, r.w, r.h) for r in found]


def _pixel_type(types: dict[int, str], path: Path) -> tuple[str, bool]:
    """NumPy name of the pixel type, and whether it is RGB."""
    kinds = set(types.values())
    [kind] = kinds if len(kinds) == 1 else [""]
    if kind not in _TYPES:
        raise ImageError(
            f"{path}: its channels have pixels of type {', '.join(sorted(kinds))}; one of "
            f"{', '.join(_TYPES)} for all is expected: export it as OME-TIFF"
        )
    return _TYPES[kind], kind.startswith("Bgr")


def _distance(about: ElementTree.Element, axis: str) -> float | None:
    """Size of a pixel along an axis in µm; CZI keeps it in m."""
    value = about.findtext(f".//Scaling/Items/Distance[@Id='{axis}']/Value")
    size = float(value) * 1e6 if value else 0.0
    return float(f"{size:.12g}") if size > 0 else None  # 0.1 µm, not 0.09999999999999999


def _interval(about: ElementTree.Element) -> float | None:
    value = about.findtext(".//Image/Dimensions/T/Positions/Interval/Increment")
    return float(value) if value else None


def _channel_names(about: ElementTree.Element) -> tuple[str, ...]:
    channels = about.findall(".//Information/Image/Dimensions/Channels/Channel")
    names = tuple(c.get("Name") or c.findtext("Fluor") or "" for c in channels)
    return names if any(names) else ()


def _scene_names(about: ElementTree.Element, n_scenes: int) -> tuple[str, ...]:
    """Names as ZEN gives them, made unique by their index; none where there is one scene."""
    if n_scenes == 1:
        return ()
    scenes = about.findall(".//Information/Image/Dimensions/S/Scenes/Scene")
    named = {int(s.get("Index", i)): s.get("Name", "") for i, s in enumerate(scenes)}
    names = [named.get(i) or f"scene {i}" for i in range(n_scenes)]
    if len(set(names)) < n_scenes:
        names = [f"{name} ({i})" for i, name in enumerate(names)]
    return tuple(names)
