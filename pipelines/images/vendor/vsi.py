"""Olympus VSI through slideio: pictures as scenes, tiles read as they are needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slideio
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.images.info import ImageInfo, axes_of
from pipelines.images.scale import is_plausible, square_pixel
from pipelines.images.source import Box, Source

DRIVER = "VSI"
_BLOCK = 1024


def read_header(path: Path, scene: int) -> ImageInfo:
    """Header of one picture of a VSI file.

    Raises:
        ImageError: Its channels have pixels of several types.
    """
    slide = slideio.open_slide(str(path), DRIVER)
    names = [slide.get_scene(i).name or f"scene {i}" for i in range(slide.num_scenes)]
    one = slide.get_scene(min(scene, len(names) - 1))
    _, _, columns, rows = one.rect
    n_c, n_z, n_t = one.num_channels, max(1, one.num_z_slices), max(1, one.num_t_frames)
    types = {np.dtype(one.get_channel_data_type(i)).name for i in range(n_c)}
    if len(types) != 1:
        raise ImageError(f"{path}: its channels have pixels of types {', '.join(sorted(types))}")
    channels = tuple(one.get_channel_name(i) or "" for i in range(n_c))
    # A camera's picture: slideio gives its colours as three unnamed channels of one byte.
    is_rgb = n_c == 3 and types == {"uint8"} and len(set(channels)) < n_c
    # slideio says 1 m where a file does not say.
    x, y = (side * 1e6 if is_plausible(side * 1e6) else None for side in one.resolution)
    axes, shape = axes_of(
        {"T": n_t, "C": 1 if is_rgb else n_c, "Z": n_z, "Y": rows, "X": columns}, is_rgb=is_rgb
    )
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names)]
    return ImageInfo(
        path=path,
        axes=axes,
        shape=shape,
        dtype=types.pop(),
        n_channels=n_c,
        n_z=n_z,
        channel_names=channels if all(channels) and not is_rgb else (),
        is_rgb=is_rgb,
        pixel_size_um=square_pixel(x or y, y or x, path),
        z_step_um=one.z_resolution * 1e6 if one.z_resolution > 0 else None,
        warnings=(),
        block=(min(rows, _BLOCK), min(columns, _BLOCK)),
        scene=scene,
        scene_names=tuple(names) if len(names) > 1 else (),
        n_t=n_t,
        t_step_s=one.t_resolution if one.t_resolution > 0 else None,
    )


def read_planes(source: Source, depths: Sequence[int], box: Box) -> Iterator[NDArray[Any]]:
    """Regions of planes; see `Reader`."""
    info = source.info
    one = slideio.open_slide(str(info.path), DRIVER).get_scene(info.scene)
    rows, columns = (s.indices(n) for s, n in zip(box, info.plane_shape, strict=True))
    region = (columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
    channels = [0, 1, 2] if source.channel is None else [source.channel]
    shape = (region[3], region[2], 3) if source.channel is None else (region[3], region[2])
    for depth in depths:
        pixels = one.read_block(
            rect=region,
            channel_indices=channels,
            slices=(depth, depth + 1),
            frames=(source.time, source.time + 1),
        )
        yield np.asarray(pixels).reshape(shape)
