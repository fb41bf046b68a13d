"""What is kept of a slide's blocks until its table is whole: numbers alone, in NumPy's .npz.

A folder of results may have come from someone else, so nothing in it is read that could run.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measurements.histogram import GreyLevels, Histogram
from pipelines.field.place import ChannelLevels
from pipelines.files import replacing
from pipelines.slide.measuring import BlockLevels, SlideLevels
from pipelines.slide.tables import BlockSummary

Arrays = dict[str, NDArray[np.generic]]


def keep_levels(path: Path, levels: BlockLevels) -> None:
    """Write the grey values of a block, whole or not at all."""
    arrays: Arrays = {"channels": np.array(list(levels), np.str_)}
    for number, grey in enumerate(levels.values()):
        arrays |= _parts(f"{number}/everywhere", grey.everywhere)
        arrays |= _parts(f"{number}/outside", grey.outside)
        arrays[f"{number}/dtype"] = np.empty(0, grey.dtype)
    _keep(path, arrays)


def kept_levels(path: Path) -> BlockLevels:
    """Read what `keep_levels` wrote."""
    kept = _kept(path)
    return {
        str(channel): GreyLevels(
            _histogram(kept, f"{number}/everywhere"),
            _histogram(kept, f"{number}/outside"),
            kept[f"{number}/dtype"].dtype,
        )
        for number, channel in enumerate(kept["channels"])
    }


def keep_slide_levels(path: Path, levels: SlideLevels) -> None:
    """Write the background and saturation of a slide, whole or not at all."""
    numbers = [(one.background, one.saturation) for one in levels.values()]
    channels = np.array(list(levels), np.str_)
    _keep(path, {"channels": channels, "levels": np.array(numbers).reshape(-1, 2)})


def kept_slide_levels(path: Path) -> SlideLevels:
    """Read what `keep_slide_levels` wrote."""
    kept = _kept(path)
    numbers = kept["levels"].tolist()
    return {
        str(channel): ChannelLevels(*both)
        for channel, both in zip(kept["channels"], numbers, strict=True)
    }


def keep_summary(path: Path, summary: BlockSummary) -> None:
    """Write the summary of a block's cells, whole or not at all."""
    arrays: Arrays = {"n_cells": np.array(summary.n_cells)}
    if summary.sharpness is not None:
        arrays |= _parts("sharpness", summary.sharpness)
    _keep(path, arrays)


def kept_summary(path: Path) -> BlockSummary:
    """Read what `keep_summary` wrote."""
    kept = _kept(path)
    with_nuclei = "sharpness/values" in kept
    return BlockSummary(
        int(kept["n_cells"]), _histogram(kept, "sharpness") if with_nuclei else None
    )


def _parts(name: str, histogram: Histogram) -> Arrays:
    return {f"{name}/values": histogram.values, f"{name}/counts": histogram.counts}


def _histogram(kept: Arrays, name: str) -> Histogram:
    return Histogram(
        kept[f"{name}/values"].astype(np.float64), kept[f"{name}/counts"].astype(np.int64)
    )


def _keep(path: Path, arrays: Arrays) -> None:
    with replacing(path) as place, place.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _kept(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}
