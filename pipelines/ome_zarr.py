"""The metadata and the empty arrays of OME-Zarr 0.5 (ngff.openmicroscopy.org/0.5), on zarr 3."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import zarr

OME_VERSION = "0.5"
# A pyramid ends with the first level whose longer side is at most this, px.
SMALLEST_LEVEL = 512
_CHUNK = 1024


def create_labels_group(root: "zarr.Group", names: Sequence[str]) -> "zarr.Group":
    """Make the group that names the label images of a store."""
    group = root.create_group("labels")
    group.update_attributes({"ome": {"version": OME_VERSION, "labels": list(names)}})
    return group


def label_metadata(*, with_image: bool) -> dict[str, Any]:
    """What the group of one label image says beside its levels.

    Args:
        with_image: Whether the image itself is the root of the store.
    """
    # No colours, not even of the background: viewers show labels without one as nothing then. The
    # list is there, and empty, since ome-zarr-models does not read labels without one.
    about: dict[str, Any] = {"version": OME_VERSION, "colors": []}
    if with_image:
        about["source"] = {"image": "../../"}
    return {"image-label": about}


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of the levels of a pyramid that keeps every second pixel."""
    shapes = [shape]
    while max(shapes[-1]) > SMALLEST_LEVEL:
        rows, columns = shapes[-1]
        shapes.append(((rows + 1) // 2, (columns + 1) // 2))
    return shapes


def create_pyramid(
    group: "zarr.Group",
    shapes: Sequence[tuple[int, ...]],
    dtype: "np.dtype[Any]",
    axes: str,
    pixel_size_um: float | None,
    more: Mapping[str, Any],
    shard: int | None = None,
) -> "list[zarr.Array[Any]]":
    """Make the empty levels of a pyramid and write their `multiscales` metadata.

    Args:
        group: The group of the image.
        shapes: Shape of each level, the full resolution first; a level has half the pixels of the
            one before along y and x.
        dtype: Of all levels.
        axes: One letter an axis; y and x are the last two.
        pixel_size_um: Side of a pixel in µm, None where it is unknown: the scale has no unit then.
        more: What else the group says under `ome`.
        shard: Rows and columns of a shard, a file that holds many chunks; None for a file a chunk.
    """
    from zarr.codecs import ZstdCodec

    chunk = _CHUNK if shard is None else shard // 4
    arrays = [
        group.create_array(
            str(number),
            shape=shape,
            chunks=_of(shape, chunk, whole=shard is not None),
            shards=None if shard is None else _of(shape, shard, whole=True),
            dtype=dtype,
            fill_value=0,
            compressors=ZstdCodec(level=3),
            dimension_names=tuple(axes),
        )
        for number, shape in enumerate(shapes)
    ]
    multiscales = [
        {"axes": _axes(axes, pixel_size_um), "datasets": _datasets(shapes, pixel_size_um)}
    ]
    group.update_attributes({"ome": {"version": OME_VERSION, "multiscales": multiscales, **more}})
    return arrays


def _of(shape: tuple[int, ...], side: int, *, whole: bool) -> tuple[int, ...]:
    """One plane of the side; at most as large as the image, unless it must be a whole shard."""
    y, x = (side if whole else max(1, min(length, side)) for length in shape[-2:])
    return (*(1 for _ in shape[:-2]), y, x)


def _axes(axes: str, pixel_size_um: float | None) -> list[dict[str, str]]:
    unit = {} if pixel_size_um is None else {"unit": "micrometer"}
    return [
        {"name": a, "type": "channel"} if a == "c" else {"name": a, "type": "space", **unit}
        for a in axes
    ]


def _datasets(
    shapes: Sequence[tuple[int, ...]], pixel_size_um: float | None
) -> list[dict[str, Any]]:
    """Scale of each level: how much larger its pixels are than those of the full resolution."""
    side = 1.0 if pixel_size_um is None else pixel_size_um
    found = []
    for number, shape in enumerate(shapes):
        scale = [*(1.0 for _ in shape[:-2]), side * 2**number, side * 2**number]
        transform = {"type": "scale", "scale": scale}
        found.append({"path": str(number), "coordinateTransformations": [transform]})
    return found
