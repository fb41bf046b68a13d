"""RNA spots by blocks beside the picture in one piece: differences, memory, time.

    python -m tests.benchmarks.spots_slide --side 1024,2048

A slide is a simulated field (`pipelines.simulate.rna`) laid out again and again, with haze over all
of it and the camera's noise drawn anew. Memory is the most that was taken beyond the picture
itself. Spots differ where a place, light or flag is not the same to the last bit, molecules where
they differ by more than 1e-12 of themselves. The last line is one JSON object.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.columns import Measured
from measurements.spots.cells import SpotValues, molecules_of
from pipelines.field.labels import Labels
from pipelines.field.spots import measure_spots_part
from pipelines.simulate.rna import RnaSettings, simulate_rna, spot_sigma_px
from pipelines.slide.cells import Measuring, measure_cells_of
from pipelines.slide.cluster import here
from pipelines.slide.spot_rounds import measure_spots_of
from pipelines.study import Study
from pipelines.tables import row_groups
from tests.benchmarks.measure_slide import Section, watched

BASE = RnaSettings()
FIELD_PX = 512


def slide(side: int) -> Section:
    scene = replace(BASE.scene, height=FIELD_PX, width=FIELD_PX)
    field = simulate_rna(replace(BASE, scene=scene), 0)
    repeats = -(-side // FIELD_PX)
    rng = np.random.default_rng(0)

    def laid_out(plane: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.tile(plane, (repeats, repeats))[:side, :side]

    cells = laid_out(field.labels["cells"]).astype(np.uint32)
    number = np.arange(repeats**2, dtype=np.uint32).reshape(repeats, repeats)
    of_field = np.kron(number, np.ones((FIELD_PX, FIELD_PX), np.uint32))[:side, :side]
    cells = np.where(cells > 0, cells + of_field * (cells.max() + 1), 0)
    y, x = np.indices((side, side), sparse=True)
    haze = 60 * (1 + np.sin(x / 500) * np.cos(y / 400))
    planes = {
        name: rng.poisson(laid_out(field.channels[name]) + haze).astype(np.uint16)
        for name in ("rna", "blank")
    }
    return Section(cells, planes)


def study() -> Study:
    spots = {"type": "spots", "channel": "rna", "sigma_px": spot_sigma_px(BASE)}
    return Study.model_validate(
        {
            "study": "slide",
            "samples": "samples.csv",
            "channels": {"rna": 0, "blank": 1},
            "segmentation": {
                "nuclei": {"channel": "rna", "diameter_px": 60},
                "cells": {"method": "nuclei"},
            },
            "measurements": [spots | {"unused": {"channel": "blank"}}],
        }
    )


def in_one_piece(section: Section) -> dict[str, NDArray[np.generic]]:
    labels = Labels(section.cells, section.cells, None)
    found = measure_spots_part(section.planes, labels, study(), None)
    assert found is not None
    return named(found.spots)


def by_blocks(section: Section, folder: Path, block: int) -> Path:
    job, table = Measuring(section, study(), folder / "work", block), folder / "spots.parquet"
    measure_cells_of(job, "", folder / "cells.parquet", here, lambda _: None)
    measure_spots_of(job, table, here, lambda _: None)
    return table


def named(measured: Measured) -> dict[str, NDArray[np.generic]]:
    return {column.name: values for column, values in measured.items()}


def values(table: dict[str, NDArray[np.generic]]) -> SpotValues:
    names = ("cell_id", "in_nucleus", "integrated", "clump", "autofluorescent")
    return SpotValues(*(table[name] for name in names))


def molecules(tables: list[dict[str, NDArray[np.generic]]], single: float) -> NDArray[np.float64]:
    across = reduce(add, (values(table).clumps(single) for table in tables))
    return np.concatenate([molecules_of(values(table), single, across) for table in tables])


def differing(path: Path, whole: dict[str, NDArray[np.generic]]) -> tuple[int, int]:
    """How many spots, and molecules of spots, differ; all where their numbers do."""
    blocks = [
        {name: group.column(name).to_numpy(zero_copy_only=False) for name in group.column_names}
        for group in row_groups(path)
    ]
    found = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    n = whole["cell_id"].size
    if found["cell_id"].size != n:
        return n, n
    single = float(np.median(whole["integrated"][whole["isolated"]]))
    counted = (molecules(blocks, single), molecules([whole], single))
    orders = [np.lexsort([table["x_px"], table["y_px"]]) for table in (found, whole)]
    names = whole.keys() - {"spot_id", "clump"}
    wrong = np.any([found[k][orders[0]] != whole[k][orders[1]] for k in names], axis=0)
    one, other = (each[order] for each, order in zip(counted, orders, strict=True))
    return int(wrong.sum()), int((np.abs(one - other) > 1e-12 * other).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sides = {"type": lambda t: [int(s) for s in t.split(",")], "default": [1024, 2048]}
    parser.add_argument("--side", **sides)
    parser.add_argument("--block", type=int, default=512)
    arguments = parser.parse_args()
    figures: dict[str, dict[int, float]] = {}
    for side in arguments.side:
        section = slide(side)
        with tempfile.TemporaryDirectory() as folder:
            path, seconds, peak = watched(
                lambda: by_blocks(section, Path(folder), arguments.block)  # noqa: B023  run at once
            )
            whole, whole_seconds, whole_peak = watched(lambda: in_one_piece(section))  # noqa: B023
            spots, counts = differing(path, whole)
            n = pq.read_metadata(path).num_rows
        row = {
            "spots": n, "blocks_mib": peak, "whole_mib": whole_peak, "blocks_s": seconds,
            "whole_s": whole_seconds, "spots_differ": spots, "molecules_differ": counts,
        }  # fmt: skip
        print(f"{side:6d} px: " + ", ".join(f"{k} {v:,}" for k, v in row.items()), flush=True)
        for name, value in row.items():
            figures.setdefault(name, {})[side] = value
    print(json.dumps({**figures, "block_px": arguments.block}))


if __name__ == "__main__":
    main()
