"""Foci measured by blocks, beside the same image measured in one piece."""

from functools import reduce

import numpy as np
import pytest
from scipy import ndimage

from measurements.foci_noise import PASSES
from measurements.regions import Regions
from pipelines.field.foci import measure_foci_part
from pipelines.field.labels import Labels
from pipelines.field.pixels import Pixels
from pipelines.field.place import Surroundings, whole_image
from pipelines.slide.foci import (
    block_evidence,
    block_heights,
    block_peaks,
    first_scales,
)
from pipelines.slide.measuring import add_levels, block_levels, slide_levels
from pipelines.slide.rounds import with_evidence, with_heights
from pipelines.study import Study
from segmentation.cells import expand_nuclei
from tests.measurements.label_images import disc, spot
from tests.pipelines.test_slide_measuring import InMemory, grid

SHAPE = (430, 610)
DIAMETER, SIGMA = 18, 1.5


def slide(dtype=np.uint16, seed=0):
    """Touching nuclei at random, as in tissue, with texture, foci and the camera's noise."""
    rng = np.random.default_rng(seed)
    nuclei = np.zeros(SHAPE, dtype=np.uint32)
    for number in rng.permutation(np.arange(3, 1500, 2)):
        y, x, radius = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1]), rng.uniform(6, 9)
        new = disc(SHAPE, y, x, radius)
        if not nuclei[new].any():
            nuclei[new] = number
    nuclei = expand_nuclei(nuclei, 1.5).cell
    texture = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2)
    level = rng.uniform(200, 900, 1501)[nuclei] * (nuclei > 0)
    picture = 100 + level * (1 + 0.1 * texture / texture.std())
    for y, x in zip(*(rng.uniform(0, n, 700) for n in SHAPE), strict=True):
        picture += rng.uniform(100, 500) * spot(SHAPE, y, x, SIGMA)
    noisy = rng.poisson(picture).astype(dtype)
    parts = expand_nuclei(nuclei, 2)
    return InMemory(parts.nucleus, parts.cell, {"dna": noisy // 2, "gh2ax": noisy})


def study(**more):
    foci = {"type": "foci", "channel": "gh2ax", "sigma_px": SIGMA} | more
    return Study.model_validate(
        {
            "study": "slide",
            "samples": "samples.csv",
            "channels": {"dna": 0, "gh2ax": 1},
            "segmentation": {
                "nuclei": {"channel": "dna", "model": "compact", "diameter_px": DIAMETER},
                "cells": {"method": "expand", "distance_px": 2},
            },
            "measurements": [foci],
        }
    )


def in_one_piece(image, settings):
    labels = Labels(image.nuclei, image.cells, None)
    pixels = Pixels("", image.planes, None, image.pixel_size_um, ())
    place = whole_image(labels)
    around = Surroundings.of(pixels, labels, settings, place)
    return measure_foci_part(
        pixels,
        Regions.of(labels.nuclei, place.ids),
        settings,
        lambda plane, channel: around.background(plane, channel, "field").level,
    )


def by_blocks(image, settings, step):
    boxes = grid(step, SHAPE)
    grey = reduce(add_levels, [block_levels(image, own, settings) for own in boxes])
    levels = slide_levels(grey, settings, image.pixel_size_um)
    scales = first_scales(settings, levels)
    for _ in range(1 + PASSES):
        found = [block_evidence(image, own, settings, scales) for own in boxes]
        scales = with_evidence(scales, sum(found))
    heights = sum(block_heights(image, own, settings, scales) for own in boxes)
    scales = with_heights(scales, heights)
    found = [block_peaks(image, own, settings, levels, scales) for own in boxes]
    peaks, nuclei = ([each[i] for each in found] for i in range(2))
    return together(peaks, ("y_um", "x_um")), together(nuclei, ("cell_id",)), heights


def together(tables, keys):
    named = [{c.name: values for c, values in table.items()} for table in tables]
    columns = {name: np.concatenate([table[name] for table in named]) for name in named[0]}
    order = np.lexsort([columns[key] for key in keys[::-1]])
    return {name: values[order] for name, values in columns.items() if name != "focus_id"}


@pytest.mark.parametrize(("dtype", "step"), [(np.uint16, 151), (np.float32, 260)])
def test_blocks_give_the_foci_of_the_whole_to_the_bit(dtype, step):
    image, settings = slide(dtype), study()
    whole = in_one_piece(image, settings)
    peaks, nuclei, heights = by_blocks(image, settings, step)
    assert heights[0].tolist() == whole.heights["gh2ax"]
    for blocks, one_piece, keys in (
        (peaks, whole.peaks, ("y_um", "x_um")),
        (nuclei, whole.nuclei, ("cell_id",)),
    ):
        expected = together([one_piece], keys)
        for name, values in expected.items():
            np.testing.assert_array_equal(blocks[name], values, err_msg=name)
    assert nuclei["cell_id"].size > 200
    assert peaks["height"].size > 200
