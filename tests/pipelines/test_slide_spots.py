"""RNA spots found by blocks, beside the same image measured in one piece."""

from functools import reduce

import numpy as np
import pytest
from scipy import ndimage

from measurements.foci_noise import PASSES
from measurements.spots.clumps import Rim, join_clumps
from pipelines.field.labels import Labels
from pipelines.field.place import ChannelLevels
from pipelines.field.spots import measure_spots_part
from pipelines.slide.cells import Measuring, measure_cells_of
from pipelines.slide.cluster import here
from pipelines.slide.measuring import add_levels, block_levels, slide_levels
from pipelines.slide.rounds import with_evidence, with_heights
from pipelines.slide.spot_rounds import measure_spots_of
from pipelines.slide.spots import (
    block_evenness,
    block_evidence,
    block_heights,
    block_spots,
    first_scales,
    with_evenness_of,
)
from pipelines.study import Study
from segmentation.cells import expand_nuclei
from tests.measurements.label_images import disc, spot
from tests.pipelines.test_slide_measuring import InMemory, grid

SHAPE = (290, 450)
SIGMA = 1.3


def slide(dtype=np.uint16, seed=0):
    """Cells with molecules, clusters, a cell full of touching spots, granules, uneven haze."""
    rng = np.random.default_rng(seed)
    nuclei = np.zeros(SHAPE, dtype=np.uint32)
    for number in rng.permutation(np.arange(3, 300, 2)):
        y, x = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1])
        nuclei[disc(SHAPE, y, x, 9) & (nuclei == 0)] = number
    haze = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 40)
    light = 300 + 60 * haze / haze.std()
    blank = light.copy()
    crowded = np.column_stack([rng.uniform(90, 200, 200), rng.uniform(250, 370, 200)])
    for y, x in [*rng.uniform((0, 0), SHAPE, (300, 2)), *crowded]:
        light += rng.choice([1, 1, 1, 4]) * rng.uniform(100, 200) * spot(SHAPE, y, x, SIGMA)
    for y, x in rng.uniform((0, 0), SHAPE, (60, 2)):
        granule = rng.uniform(200, 600) * spot(SHAPE, y, x, SIGMA)
        light, blank = light + granule, blank + granule
    planes = {"dna": 100 + 300 * (nuclei > 0), "rna": light, "blank": blank}
    parts = expand_nuclei(nuclei, 8)
    noisy = {name: rng.poisson(plane).astype(dtype) for name, plane in planes.items()}
    return InMemory(parts.nucleus, parts.cell, noisy)


def study(**more):
    spots = {"type": "spots", "channel": "rna", "sigma_px": SIGMA, "unused": {"channel": "blank"}}
    nuclei = {"channel": "dna", "model": "compact", "diameter_px": 18}
    return Study.model_validate(
        {
            "study": "slide",
            "samples": "samples.csv",
            "channels": {"dna": 0, "rna": 1, "blank": 2},
            "segmentation": {"nuclei": nuclei, "cells": {"method": "expand", "distance_px": 8}},
            "measurements": [spots | more, {"type": "spots", "channel": "dna", "threshold": 6}],
        }
    )


def test_a_scale_in_micrometres_needs_no_pixel_size_before_a_block_is_read():
    levels = dict.fromkeys(("dna", "rna", "blank"), ChannelLevels(*[1.0] * 7))
    asked = study(sigma_px=None, sigma_um=0.3)
    assert list(first_scales(asked, levels)) == ["rna", "rna/unused", "dna"]


def by_blocks(image, settings, step):
    boxes = grid(step, SHAPE)
    grey = reduce(add_levels, [block_levels(image, own, settings) for own in boxes])
    scales = first_scales(settings, slide_levels(grey, settings, image.pixel_size_um))
    for _ in range(1 + PASSES):
        found = [block_evidence(image, own, settings, scales) for own in boxes]
        scales = with_evidence(scales, sum(found))
    found = [block_heights(image, own, settings, scales) for own in boxes]
    scales = with_heights(scales, sum(found))
    found = [block_evenness(image, own, settings, scales) for own in boxes]
    scales = with_evenness_of(scales, sum(found))
    return [block_spots(image, own, settings, scales) for own in boxes]


def rows(tables):
    """Columns by name, in the order of places."""
    named = [{c.name: values for c, values in table.items()} for table in tables]
    columns = {name: np.concatenate([table[name] for table in named]) for name in named[0]}
    order = np.lexsort([columns[name] for name in ("x_um", "y_um", "channel")])
    return {name: values[order] for name, values in columns.items()}


def same_clumps(some, others):
    """Whether clumps are the same ones, under other numbers."""
    pairs = np.unique(np.stack([some, others]), axis=1).shape[1]
    return pairs == np.unique(some).size == np.unique(others).size


def spots_table(image, folder, block, each=here):
    """Path of the spots that a run over blocks writes."""
    job, table = Measuring(image, study(), folder / "work", block), folder / "spots.parquet"
    measure_cells_of(job, "key", folder / "cells.parquet", each, lambda _: None)
    measure_spots_of(job, table, each, lambda _: None)
    return table


def test_stopped_anywhere_it_goes_on_to_the_same_spots(tmp_path):
    whole, calls = slide(), []
    part = np.s_[60:190, 200:420]
    planes = {name: plane[part] for name, plane in whole.planes.items()}
    image = InMemory(whole.nuclei[part], whole.cells[part], planes)

    def stopping(work, items):
        for item in items:
            calls.append(item)
            if len(calls) in (6, 15, 26):
                raise KeyboardInterrupt
            yield work(item)

    undisturbed = spots_table(image, tmp_path / "undisturbed", 128)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            spots_table(image, tmp_path / "stopped", 128, stopping)
    again = spots_table(image, tmp_path / "stopped", 128, stopping)
    assert again.read_bytes() == undisturbed.read_bytes()
    rounds = 2 + 1 + PASSES + 3  # grey values, cells, noise, heights, evenness, spots
    assert len(calls) == 4 * rounds + 3


@pytest.mark.parametrize(("dtype", "step"), [(np.uint16, 151), (np.float32, 320)])
def test_blocks_give_the_spots_of_the_whole_to_the_bit(dtype, step):
    image, settings = slide(dtype), study()
    labels = Labels(image.nuclei, image.cells, None)
    whole = measure_spots_part(image.planes, labels, settings, image.pixel_size_um)
    parts = by_blocks(image, settings, step)
    expected, found = rows([whole.spots]), rows([part.spots for part in parts])
    for name in expected.keys() - {"spot_id", "clump"}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    counts = [name for name in whole.summary if not name.endswith("threshold")]
    for name, value in whole.summary.items():
        of_blocks = [part.summary[name] for part in parts]
        assert (sum(of_blocks) if name in counts else of_blocks[-1]) == value, name
    across = -(-SHAPE[1] // step)
    rims = [part.rims["rna"] for part in parts]
    joined = join_clumps([rims[i : i + across] for i in range(0, len(rims), across)])
    for number, part in enumerate(parts):
        own = {c.name: c for c in part.spots}
        here = part.spots[own["channel"]] == "rna"
        clump = part.spots[own["clump"]]
        clump[here] = joined.of(number, clump[here])
    found = rows([part.spots for part in parts])
    rna = found["channel"] == "rna"
    assert same_clumps(found["clump"][rna], expected["clump"][rna])
    assert joined.cut.size > 2
    assert rna.sum() > 300
    assert found["autofluorescent"][rna].sum() > 30


def test_clumps_are_joined_across_borders_and_corners():
    """In four blocks: one over a border, one over the corner, one in a bow, one apart."""
    whole = np.zeros((8, 10), dtype=bool)
    whole[1, 3:7] = True  # over the upper border between left and right
    whole[3, 4] = whole[4, 5] = True  # corner to corner
    whole[6, 1] = True
    whole[2:7, 9] = whole[7, 6:10] = True
    truth, _ = ndimage.label(whole, np.ones((3, 3)))
    boxes = [(slice(y, y + 4), slice(x, x + 5)) for y in (0, 4) for x in (0, 5)]
    of_blocks = [ndimage.label(whole[box], np.ones((3, 3)), np.int32) for box in boxes]
    rims = [Rim.of(*found) for found in of_blocks]
    joined = join_clumps([rims[:2], rims[2:]])
    numbers = np.full(whole.shape, -1, dtype=np.int64)
    for block, (box, (clumps, _)) in enumerate(zip(boxes, of_blocks, strict=True)):
        numbers[box][clumps > 0] = joined.of(block, clumps[clumps > 0].astype(np.int64) - 1)
    assert same_clumps(numbers[whole], truth[whole])
