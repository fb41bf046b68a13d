"""A real slide's cells measured by blocks, beside the same slide measured in one piece.

iss_mouse_ca1 (MIT): the 5471 x 7602 px label image of a section of mouse hippocampus. It came
without pictures, so two channels are drawn over it: uneven light, one of them clipped.
"""

import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq
from scipy import sparse

from measurements.blocks import Box
from measurements.columns import in_physical_units
from pipelines.field.cells import measure_cells
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels
from pipelines.field.place import whole_image
from pipelines.slide.cells import Measuring, measure_cells_of
from pipelines.slide.cluster import here
from pipelines.study import Study

LABELS = Path("iss_mouse_ca1", "segmentation", "label_image.coo.npz")
SIDES = (1024, 1500)
DIAMETER_PX = 37.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Section:
    """The section, whose cells are their nuclei's outlines."""

    cells: np.ndarray
    planes: dict[str, np.ndarray]
    pixel_size_um: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.cells.shape

    def labels(self, name: str, box: Box) -> np.ndarray:
        return self.cells[box.slices(self.whole)]

    def plane(self, channel: str, box: Box) -> np.ndarray:
        return self.planes[channel][box.slices(self.whole)]

    def n_nuclei(self, ids: np.ndarray) -> np.ndarray:
        return np.ones(ids.size, dtype=np.int64)

    @property
    def whole(self) -> Box:
        return Box(0, 0, *self.shape)


def slide_figures(data: Path) -> dict[str, object]:
    """Compare blocks with the whole, column by column and bit by bit."""
    section, study = read_section(data), study_of_section()
    whole, seconds, peak = watched(lambda: in_one_piece(section, study))
    figures: dict[str, object] = {
        "slide_cells": int(whole["cell_id"].size),
        "slide_columns": len(whole),
        "slide_whole_s": seconds,
        "slide_whole_mib": peak,
    }
    for side in SIDES:
        blocks, seconds, peak = watched(lambda side=side: by_blocks(section, study, side))
        differ = [n for n in whole if not np.array_equal(whole[n], blocks[n], equal_nan=True)]
        print(f"blocks of {side} px: columns that differ: {differ or 'none'}")
        figures |= {
            f"slide_blocks_{side}_differing_columns": len(differ),
            f"slide_blocks_{side}_s": seconds,
            f"slide_blocks_{side}_mib": peak,
        }
    return figures


def read_section(data: Path) -> Section:
    cells = sparse.load_npz(data / LABELS).toarray().astype(np.uint32)
    rng = np.random.default_rng(0)
    rows, columns = (np.linspace(0, 3, n, dtype=np.float32) for n in cells.shape)
    light = 200 + 60 * np.sin(rows)[:, np.newaxis] * np.cos(columns) + 300 * (cells > 0)
    noise = (rng.standard_normal(cells.shape, dtype=np.float32) for _ in range(2))
    dna, marker = (light + 30 * n for n in noise)
    return Section(
        cells, {"dna": dna.astype(np.uint16), "marker": np.minimum(marker, 520).astype(np.uint16)}
    )


def study_of_section() -> Study:
    return Study.model_validate(
        {
            "study": "section",
            "samples": "samples.csv",
            "channels": {"dna": 0, "marker": 1},
            "segmentation": {"nuclei": {"channel": "dna", "diameter_px": DIAMETER_PX}},
            "measurements": [
                {"type": "morphology"},
                {"type": "intensity", "channel": "dna", "compartments": ["nucleus"]},
                {"type": "intensity", "channel": "marker", "compartments": ["nucleus"]},
            ],
        }
    )


def in_one_piece(section: Section, study: Study) -> dict[str, np.ndarray]:
    labels = Labels(section.cells, section.cells, None)
    pixels = Pixels("", section.planes, None, section.pixel_size_um, ())
    cells = measure_cells(pixels, labels, study, whole_image(labels))
    converted = in_physical_units(cells, section.pixel_size_um)
    return {column.name: values for column, values in converted.items()}


def by_blocks(section: Section, study: Study, side: int) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        cells = Path(folder) / "cells.parquet"
        job = Measuring(section, study, Path(folder) / "work", side)
        measure_cells_of(job, "", cells, here, lambda _: None)
        table = pq.read_table(cells)
    order = np.argsort(table.column("cell_id").to_numpy())
    return {name: table.column(name).to_numpy()[order] for name in table.column_names}


def watched(run: Callable[[], Result]) -> tuple[Result, float, float]:
    """Result, processor seconds, and the most memory taken beyond what was there, MiB."""
    started = time.process_time()
    tracemalloc.start()
    result = run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return result, round(time.process_time() - started, 2), round(peak / 2**20, 1)
