"""What is kept of a slide's blocks until its table is whole: numbers alone, in NumPy's .npz.

A folder of results may have come from someone else, so nothing in it is read that could run.
"""

from dataclasses import astuple
from pathlib import Path
from typing import Any

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
        arrays |= histogram_arrays(f"{number}/everywhere", grey.everywhere)
        arrays |= histogram_arrays(f"{number}/outside", grey.outside)
        arrays |= histogram_arrays(f"{number}/sampled", grey.sampled)
        arrays[f"{number}/brightest"] = np.array(grey.brightest)
        arrays[f"{number}/dtype"] = np.empty(0, grey.dtype)
    keep(path, arrays)


def kept_levels(path: Path) -> BlockLevels:
    """Read what `keep_levels` wrote."""
    found = kept(path)
    return {
        str(channel): GreyLevels(
            kept_histogram(found, f"{number}/everywhere"),
            kept_histogram(found, f"{number}/outside"),
            found[f"{number}/dtype"].dtype,
            kept_histogram(found, f"{number}/sampled"),
            float(found[f"{number}/brightest"]),
        )
        for number, channel in enumerate(found["channels"])
    }


def keep_slide_levels(path: Path, levels: SlideLevels) -> None:
    """Write what is known of a slide's channels, whole or not at all."""
    numbers = [astuple(one) for one in levels.values()]
    channels = np.array(list(levels), np.str_)
    keep(path, {"channels": channels, "levels": np.array(numbers).reshape(len(channels), -1)})


def kept_slide_levels(path: Path) -> SlideLevels:
    """Read what `keep_slide_levels` wrote."""
    found = kept(path)
    numbers = found["levels"].tolist()
    return {
        str(channel): ChannelLevels(*of_channel)
        for channel, of_channel in zip(found["channels"], numbers, strict=True)
    }


def keep_summary(path: Path, summary: BlockSummary) -> None:
    """Write the summary of a block's cells, whole or not at all."""
    arrays: Arrays = {"n_cells": np.array(summary.n_cells)}
    if summary.sharpness is not None:
        arrays |= histogram_arrays("sharpness", summary.sharpness)
    keep(path, arrays)


def kept_summary(path: Path) -> BlockSummary:
    """Read what `keep_summary` wrote."""
    found = kept(path)
    with_nuclei = "sharpness/values" in found
    return BlockSummary(
        int(found["n_cells"]), kept_histogram(found, "sharpness") if with_nuclei else None
    )


def keep_array(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array of numbers, whole or not at all."""
    with replacing(path) as place, place.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def kept_array(path: Path) -> NDArray[Any]:
    """Read what `keep_array` wrote."""
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def histogram_arrays(name: str, histogram: Histogram) -> Arrays:
    """A histogram as arrays under a name."""
    return {f"{name}/values": histogram.values, f"{name}/counts": histogram.counts}


def kept_histogram(arrays: Arrays, name: str) -> Histogram:
    """The histogram that `histogram_arrays` put under a name."""
    return Histogram(
        arrays[f"{name}/values"].astype(np.float64), arrays[f"{name}/counts"].astype(np.int64)
    )


def keep(path: Path, arrays: Arrays) -> None:
    """Write arrays by name, whole or not at all."""
    with replacing(path) as place, place.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def kept(path: Path) -> Arrays:
    """Read what `keep` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
