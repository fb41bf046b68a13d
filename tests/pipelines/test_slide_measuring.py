import pickle
from dataclasses import dataclass
from functools import reduce
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import ndimage

from measurements.blocks import Box
from measurements.columns import in_physical_units
from measurements.histogram import Histogram
from pipelines.errors import ImageError, StudyError
from pipelines.field.cells import measure_cells
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels
from pipelines.field.place import ChannelLevels, whole_image
from pipelines.slide.cells import Measuring, measure_cells_of
from pipelines.slide.cluster import here
from pipelines.slide.kept import (
    keep_levels,
    keep_slide_levels,
    keep_summary,
    kept_levels,
    kept_slide_levels,
    kept_summary,
)
from pipelines.slide.measuring import add_levels, block_levels, measure_block, slide_levels
from pipelines.slide.tables import BlockSummary
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
                {"type": "chromatin", "channel": "dna", "scale_px": 2},
                {"type": "chromatin", "channel": "p21", "scale_px": 30},  # reaches furthest
                {"type": "reporters", "channels": ["p21"], "gates": {"p21": {"rule": "gmm"}}},
            ],
        }
    )


def grid(step, shape=SHAPE):
    return [
        Box(y, x, min(y + step, shape[0]), min(x + step, shape[1]))
        for y, x in product(range(0, shape[0], step), range(0, shape[1], step))
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


def test_light_far_off_that_smoothing_spreads_into_a_nucleus_is_in_the_view():
    image = slide(np.float32)
    image.planes["p21"][:, 100:104] = 1e7
    whole, blocks = in_one_piece(image), by_blocks(image, 37)
    name = "p21_condensed_area_fraction"
    assert 0 < np.mean(whole[name] > 0) < 1
    np.testing.assert_array_equal(blocks[name], whole[name])


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
    stack = {"sigma_z_planes": 1.0}
    foci = {"type": "foci", "channel": "dna", "sigma_px": 1.5, "stack": stack}
    gates = {"p21": {"rule": "gmm"}}
    haze = {"type": "reporters", "channels": ["p21"], "gates": gates, "haze": True}
    for wanted, message in ((foci, "leave stack out"), (haze, "leave haze out")):
        with pytest.raises(StudyError, match=message):
            measure_block(image, own, study(wanted), {})


def written(image, step, folder):
    """Number of cells, and the table that blocks of a side leave."""
    path = folder / "c.parquet"
    job = Measuring(image, study(), folder / "work", step)
    return measure_cells_of(job, "key", path, here, lambda _: None), path


def test_blocks_write_the_slides_table(tmp_path):
    image = slide()
    n_cells, path = written(image, 60, tmp_path)
    whole, table = in_one_piece(image), pq.read_table(path).to_pydict()
    assert n_cells == len(table["cell_id"]) == whole["cell_id"].size
    assert whole["out_of_focus"].any()
    order = np.argsort(table["cell_id"])
    for name, values in whole.items():
        np.testing.assert_array_equal(np.array(table[name])[order], values, err_msg=name)


def test_what_is_kept_of_blocks_is_no_program(tmp_path):
    """A pickle in the place of a block's numbers, as a stranger might send it, is not opened."""
    _, path = written(slide(), 80, tmp_path)
    before, summary = path.read_bytes(), tmp_path / "work" / "cells" / "000000.npz"
    path.unlink()
    summary.write_bytes(pickle.dumps(["anything"]))
    with pytest.raises(ValueError, match="pickle"):
        written(slide(), 80, tmp_path)
    summary.unlink()
    assert written(slide(), 80, tmp_path)[1].read_bytes() == before


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, ">u2"])
def test_levels_are_kept_to_the_bit(tmp_path, dtype):
    image, path = slide(dtype), tmp_path / "levels.npz"
    levels = block_levels(image, Box(0, 0, 40, 60), study())
    keep_levels(path, levels)
    again = kept_levels(path)
    assert list(again) == ["dna", "p21"]
    for channel, grey in levels.items():
        assert again[channel].dtype == grey.dtype
        assert again[channel].brightest == grey.brightest
        for part in ("everywhere", "outside", "sampled"):
            one, other = getattr(grey, part), getattr(again[channel], part)
            np.testing.assert_array_equal(other.values, one.values)
            np.testing.assert_array_equal(other.counts, one.counts)
    none = ChannelLevels(np.nan, np.inf, 0.1, 7.0, 1.5, 0.5, 1.0)
    whole = slide_levels(levels, study(), None) | {"none": none}
    keep_slide_levels(path, whole)
    assert repr(kept_slide_levels(path)) == repr(whole)


def test_summaries_are_kept(tmp_path):
    path = tmp_path / "summary.npz"
    keep_summary(path, BlockSummary(7, None))
    assert (kept_summary(path).n_cells, kept_summary(path).sharpness) == (7, None)
    keep_summary(path, BlockSummary(0, Histogram.of(np.zeros(0))))
    assert kept_summary(path).sharpness.total == 0
    keep_summary(path, BlockSummary(3, Histogram.of(np.array([0.1, 0.1, 4]))))
    assert kept_summary(path).sharpness.counts.tolist() == [2, 1]


def test_a_label_in_two_places_stops_the_slide(tmp_path):
    image = slide()
    image.cells[0, 0] = image.nuclei[0, 0] = image.cells[149, 209] = 9000
    with pytest.raises(ImageError, match="9000"):
        written(image, 80, tmp_path)
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
    n_cells, path = written(section, 190, tmp_path)
    assert n_cells == 105
    whole, table = in_one_piece(section), pq.read_table(path).to_pydict()
    order = np.argsort(table["cell_id"])
    for name, values in whole.items():
        np.testing.assert_array_equal(np.array(table[name])[order], values, err_msg=name)
