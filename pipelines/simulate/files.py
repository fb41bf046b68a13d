"""Files of a simulated study: OME-TIFF images, labels and tables, the same bytes each time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import polars as pl
import tifffile
from numpy.typing import NDArray

from pipelines.simulate.scene import Simulated, Table


def write_image(path: Path, simulated: Simulated, channels: Sequence[str]) -> None:
    """Write channels of a field as one OME-TIFF with their names and the pixel size.

    Args:
        path: file to write; its folder must exist.
        simulated: the field.
        channels: names of the channels, in the order in which the file shall hold them; ``rgb``
            must stand alone.
    """
    stack = np.stack([simulated.channels[name] for name in channels])
    if channels[0] == "rgb":
        axes, data, kind = "YXS", stack[0], "rgb"
    else:
        axes, data, kind = "CYX" if stack.ndim == 3 else "CZYX", stack, "minisblack"
    size = simulated.pixel_size_um
    metadata: dict[str, object] = {
        "axes": axes,
        "PhysicalSizeX": size,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": size,
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": list(channels)},
        # tifffile would draw a random identifier, and the file would differ at each writing.
        "UUID": str(uuid5(NAMESPACE_URL, path.name)),
    }
    if simulated.z_step_um is not None:
        metadata |= {"PhysicalSizeZ": simulated.z_step_um, "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(path, data, ome=True, photometric=kind, metadata=metadata, compression="zlib")


def write_labels(path: Path, labels: NDArray[np.uint32]) -> None:
    """Write a label image as a plain TIFF, uint32."""
    tifffile.imwrite(path, labels, compression="zlib", photometric="minisblack", metadata=None)


def write_tables(folder: Path, images: Mapping[str, Mapping[str, Table]]) -> None:
    """Write the truth of all images, one CSV a kind of table, with the column ``image`` first.

    Args:
        folder: folder to write to; it must exist.
        images: name of each image to its tables.
    """
    kinds = sorted({kind for tables in images.values() for kind in tables})
    for kind in kinds:
        frames = [
            pl.DataFrame({"image": [name] * _length(tables[kind]), **tables[kind]})
            for name, tables in images.items()
            if kind in tables and _length(tables[kind])
        ]
        if frames:
            pl.concat(frames, how="vertical_relaxed").write_csv(folder / f"{kind}.csv")


def _length(table: Table) -> int:
    """Rows of a table."""
    return next(iter(table.values())).size if table else 0
