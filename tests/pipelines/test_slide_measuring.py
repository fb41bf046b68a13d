import operator
from dataclasses import dataclass
from functools import reduce
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from dask.delayed import delayed
from scipy import ndimage

from measurements.blocks import Box
from measurements.columns import in_physical_units
from pipelines.errors import ImageError, StudyError
from pipelines.field.cells import measure_cells
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels
from pipelines.field.place import whole_image
from pipelines.slide.graph import measure_slide, tree
from pipelines.slide.measuring import add_levels, block_levels, measure_block, slide_levels
from pipelines.study import Study
from segmentation.cells import expand_nuclei
from tests.measurements.label_images import disc

SHAPE = (150, 210)


@dataclass(frozen=True)
class InMemory:
    """A slide that happens to be in memory."""

    nuclei: np.ndarray
    cells: np.ndarray
    planes: dict
    pixel_size_um: float | None = 0.5

    @property
    def shape(self):
        return self.cells.shape

    def labels(self, name, box):
        return getattr(self, name)[box.slices(Box(0, 0, *self.shape))]

    def plane(self, channel, box):
        return self.planes[channel][box.slices(Box(0, 0, *self.shape))]

    def n_nuclei(self, ids):
        return 1 + ids.astype(np.int64) % 2


def slide(dtype=np.uint16):
    """Nuclei with rings, one channel blurred at the left, one clipped; a cell as long as half."""
    rng = np.random.default_rng(0)
    nuclei = np.zeros(SHAPE, dtype=np.uint32)
    for number in rng.permutation(np.arange(5, 400, 8)):
        nuclei[disc(SHAPE, rng.uniform(0, 150), rng.uniform(0, 210), rng.uniform(2, 6))] = number
    nuclei[70:74, 30:140] = 500
    parts = expand_nuclei(nuclei, 3)
    light = 100 + 10 * np.sin(np.arange(210) / 40) + 200 * (nuclei > 0)
    dna = rng.normal(light, 5)
    dna[:, :25] = ndimage.gaussian_filter(dna[:, :25], 5)
    planes = {
        "dna": dna.astype(dtype),
        "p21": np.clip(rng.normal(light, 30), 0, 290).astype(dtype),
    }
    return InMemory(parts.nucleus, parts.cell, planes)


def study(*measurements):
    return Study.model_validate(
        {
            "study": "slide",
            "samples": "samples.csv",
            "channels": {"dna": 0, "p21": 1},
            "segmentation": {
                "nuclei": {"channel": "dna", "model": "compact", "diameter_px": 9},
                "cells": {"method": "expand", "distance_px": 3},
                "cytoplasm": {"gap_px": 1, "width_px": 2},
            },
            "measurements": measurements
            or [
                {"type": "morphology"},
                {"type": "intensity", "channel": "p21", "background": "local"},
                {"type": "intensity", "channel": "dna", "background": "field"},
            ],
        }
    )


def grid(step):
    return [
        Box(y, x, min(y + step, SHAPE[0]), min(x + step, SHAPE[1]))
        for y, x in product(range(0, SHAPE[0], step), range(0, SHAPE[1], step))
    ]


def by_blocks(image, step):
    settings, boxes = study(), grid(step)
    grey = reduce(add_levels, [block_levels(image, own, settings) for own in boxes])
    levels = slide_levels(grey, settings, image.pixel_size_um)
    tables = [measure_block(image, own, settings, levels) for own in boxes]
    columns = {c.name: np.concatenate([t[c] for t in tables]) for c in tables[0]}
    order = np.argsort(columns["cell_id"])
    return {name: values[order] for name, values in columns.items()}


def in_one_piece(image):
    ids = np.unique(image.cells[image.cells > 0])
    labels = Labels(image.nuclei, image.cells, image.n_nuclei(ids))
    pixels = Pixels("", image.planes, None, image.pixel_size_um, ())
    cells = measure_cells(pixels, labels, study(), whole_image(labels))
    converted = in_physical_units(cells, image.pixel_size_um)
    return {column.name: values for column, values in converted.items()}


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("step", [37, 64, 300])
def test_blocks_give_the_table_of_the_whole_to_the_bit(dtype, step):
    image = slide(dtype)
    whole, blocks = in_one_piece(image), by_blocks(image, step)
    assert list(blocks) == list(whole)
    for name in [name for name in whole if name != "out_of_focus"]:
        np.testing.assert_array_equal(blocks[name], whole[name], err_msg=name)
    assert whole["p21_nucleus_saturated_fraction"].max() > 0
    assert whole["touches_border"].any()


def test_a_block_without_a_cell_has_the_columns():
    image = slide()
    empty = InMemory(0 * image.nuclei, 0 * image.cells, image.planes)
    own, settings = Box(0, 0, 40, 40), study()
    levels = slide_levels(block_levels(empty, own, settings), settings, None)
    measured = measure_block(empty, own, settings, levels)
    assert [c.name for c in measured] == list(in_one_piece(image))
    assert {values.size for values in measured.values()} == {0}


def test_what_needs_the_whole_field_is_refused():
    image, own = slide(), Box(0, 0, 40, 40)
    settings = study({"type": "foci", "channel": "dna", "sigma_px": 1.5})
    with pytest.raises(StudyError, match="foci"):
        measure_block(image, own, settings, {})


def test_a_graph_of_blocks_writes_the_slides_table(tmp_path):
    image = slide()
    planned = measure_slide(image, grid(60), study(), tmp_path / "parts", tmp_path / "c.parquet")
    summary = planned.compute(scheduler="synchronous")
    whole, table = in_one_piece(image), pq.read_table(tmp_path / "c.parquet").to_pydict()
    assert summary.n_cells == len(table["cell_id"]) == whole["cell_id"].size
    assert whole["out_of_focus"].any()
    order = np.argsort(table["cell_id"])
    for name, values in whole.items():
        np.testing.assert_array_equal(np.array(table[name])[order], values, err_msg=name)


def test_a_tree_sums_all_parts_once():
    parts = [delayed(i) for i in range(1, 201)]
    assert tree(parts, operator.add).compute(scheduler="synchronous") == 20100
    assert tree(parts[:1], operator.add).compute(scheduler="synchronous") == 1


def test_a_label_in_two_places_stops_the_slide(tmp_path):
    image = slide()
    image.cells[0, 0] = image.nuclei[0, 0] = image.cells[149, 209] = 9000
    planned = measure_slide(image, grid(80), study(), tmp_path / "parts", tmp_path / "c.parquet")
    with pytest.raises(ImageError, match="9000"):
        planned.compute(scheduler="synchronous")
    assert not (tmp_path / "c.parquet").exists()


def real_section():
    """Outlines of 105 cells of mouse hippocampus, packed closely; simulated pixels."""
    folder = Path(__file__).parents[1] / "data" / "iss_mouse_ca1"
    cells = np.load(folder / "labels.npz")["labels"].astype(np.uint32)
    rng = np.random.default_rng(0)
    planes = {c: rng.poisson(100 + 80 * (cells > 0)).astype(np.uint16) for c in ("dna", "p21")}
    return InMemory(cells, cells, planes)


def test_real_outlines_measured_by_blocks(tmp_path):
    section = real_section()
    height, width = section.shape
    boxes = [
        Box(y, x, min(y + 190, height), min(x + 230, width))
        for y, x in product(range(0, height, 190), range(0, width, 230))
    ]
    cells = tmp_path / "c.parquet"
    planned = measure_slide(section, boxes, study(), tmp_path / "parts", cells)
    assert planned.compute(scheduler="synchronous").n_cells == 105
    whole, table = in_one_piece(section), pq.read_table(cells).to_pydict()
    order = np.argsort(table["cell_id"])
    for name, values in whole.items():
        np.testing.assert_array_equal(np.array(table[name])[order], values, err_msg=name)
