"""What napari is given to show of one image: pixels, labels, foci and the cells left out.

Each layer is data, settings and kind, as napari's readers return them; nothing here needs napari.
Positions and scales are in µm where the pixel size is known, so that its scale bar is right.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.images import Field
from pipelines.labels_store import label_levels
from pipelines.overlay.picture import channel_colors, stretch_limits
from pipelines.review.labels import labels_to_show
from pipelines.run.layout import Layout

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels", "points"]]

LEFT_OUT = "left out"
FOCUS_COLOR = "#ffb000"
LEFT_OUT_COLOR = "#ff2626"


def image_layers(field: Field, *, slide: bool) -> list[LayerData]:
    """The channels, each in its colour, light added to light; a picture as it is, alone at first.

    Args:
        field: the image.
        slide: whether pixels are read only where they are looked at.

    Raises:
        ImageError: pixels cannot be read.
    """
    colors = channel_colors(field.sources)
    layers: list[LayerData] = []
    for name in field.sources:
        levels: list[Any] = field.levels(name) if slide else [field.plane(name)]
        if name == field.picture:
            shown: dict[str, Any] = {"rgb": True}
            levels = [_for_screen(level, levels[-1]) for level in levels]
        else:
            low, high = stretch_limits(np.asarray(levels[-1]))
            ramp = {"colors": [(0, 0, 0), [part / 255 for part in colors[name]]], "name": name}
            limits = (low, high if high > low else low + 1)
            shown = {"colormap": ramp, "contrast_limits": limits, "blending": "additive"}
            # Light added to a bright picture is white.
            shown |= {"visible": field.picture is None}
        shown |= {"name": name, **scaled(field.pixel_size_um)}
        layers.append((levels if slide else levels[0], shown, "image"))
    return layers


def label_layer(
    layout: Layout, field: Field, name: str, *, slide: bool, editable: bool
) -> LayerData:
    """Nuclei or cells as outlines.

    Args:
        layout: of the run.
        field: the image.
        name: of the labels.
        slide: whether labels are read only where they are looked at.
        editable: whether a person may correct them.

    Raises:
        ImageError: they cannot be read.
    """
    data: Any
    if slide:
        data = label_levels(layout.labels(field.image_id), name)
    else:
        # napari paints into what it is given.
        data = labels_to_show(layout, field.image_id, name).copy()
    shown = {"name": f"{name} (labels)", "opacity": 0.8, **scaled(field.pixel_size_um)}
    return data, {**shown, "visible": editable or name == "cells"}, "labels"


def foci_layers(layout: Layout, field: Field) -> list[LayerData]:
    """Foci and RNA spots of every channel as rings; none where none were measured."""
    layers: list[LayerData] = []
    for path, kind in ((layout.foci, "foci"), (layout.spots, "spots")):
        if not path.is_file():
            continue
        table = pl.scan_parquet(path).filter(pl.col("image_id") == field.image_id).collect()
        for (channel,), rows in table.group_by("channel", maintain_order=True):
            where = positions(rows, "", field.pixel_size_um)
            if where is not None:
                shown = _points(f"{channel} {kind}", field.pixel_size_um)
                shown |= {"face_color": "transparent", "border_color": FOCUS_COLOR, "symbol": "o"}
                layers.append((where, {**shown, "size": 9}, "points"))
    return layers


def left_out_layer(
    places: Mapping[int, tuple[float, float]], cells: Collection[int], pixel_size_um: float | None
) -> LayerData:
    """A cross on every cell that is left out.

    Args:
        places: cell -> y, x in px; cells that are not in it have no cross.
        cells: those that are left out.
        pixel_size_um: side of a pixel, None where it is unknown.
    """
    shown = _points(LEFT_OUT, pixel_size_um)
    shown |= {"face_color": LEFT_OUT_COLOR, "border_color": LEFT_OUT_COLOR, "symbol": "x"}
    return crosses(places, cells), {**shown, "size": 18}, "points"


def crosses(
    places: Mapping[int, tuple[float, float]], cells: Collection[int]
) -> NDArray[np.float64]:
    """Places (n, 2) of the cells, y and x in px."""
    found = [places[cell] for cell in cells if cell in places]
    return np.array(found, np.float64).reshape(-1, 2)


def cell_places(
    cells: pl.DataFrame, labels: NDArray[np.uint32] | None, pixel_size_um: float | None
) -> dict[int, tuple[float, float]]:
    """Where cells are, y and x in px: from their table, else from labels that are in memory."""
    ids = cells["cell_id"].to_list()
    for prefix in ("nucleus_", "cell_"):
        where = positions(cells, prefix, pixel_size_um)
        if where is not None and np.isfinite(where).all():
            return {cell: (y, x) for cell, (y, x) in zip(ids, where.tolist(), strict=True)}
    if labels is None or not ids:
        return {}
    where = np.array(ndimage.center_of_mass(labels > 0, labels, ids))
    return {cell: (y, x) for cell, (y, x) in zip(ids, where.tolist(), strict=True)}


def positions(
    table: pl.DataFrame, prefix: str, pixel_size_um: float | None
) -> NDArray[np.float64] | None:
    """Columns y and x of a table in px, (n, 2); None where it has none."""
    for unit, size in (("px", 1.0), ("um", pixel_size_um)):
        names = [f"{prefix}{axis}_{unit}" for axis in "yx"]
        if size is not None and set(names) <= set(table.columns):
            found = table.select(names).cast(pl.Float64).fill_null(np.nan).to_numpy()
            return np.asarray(found, np.float64) / size
    return None


def scaled(pixel_size_um: float | None) -> dict[str, Any]:
    """Scale and units of a layer; pixels where the size of one is unknown."""
    if pixel_size_um is None:
        return {"scale": (1.0, 1.0), "units": ("pixel", "pixel")}
    return {"scale": (pixel_size_um, pixel_size_um), "units": ("µm", "µm")}


def _points(name: str, pixel_size_um: float | None) -> dict[str, Any]:
    return {"name": name, "ndim": 2, "border_width": 0.15, **scaled(pixel_size_um)}


def _for_screen(level: Any, small: Any) -> Any:  # noqa: ANN401  (NumPy's or Dask's array)
    """A picture of over 8 bits as 0 to 1, by what is white in it."""
    if level.dtype == np.uint8:
        return level
    _, white = stretch_limits(np.asarray(small))
    return (level / np.float32(white or 1.0)).clip(0, 1).astype(np.float32)
