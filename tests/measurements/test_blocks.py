from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measurements.background import (
    BackgroundSettings,
    background_pixels,
    estimate_background,
    field_level,
    outside_cells,
)
from measurements.blocks import Box, ownership, touches_edge
from measurements.errors import MeasurementError
from measurements.histogram import Histogram
from measurements.intensity import measure_intensity
from measurements.morphology import measure_morphology
from measurements.regions import Regions
from tests.measurements.label_images import disc

SHAPE = (90, 130)
SLIDE = Box(0, 0, *SHAPE)
LOCAL = BackgroundSettings(gap=1.5, width=4, minimum_pixels=10)
REACH = 12


def slide_of(seed):
    """Cells of many sizes, some touching; a few longer than any margin below."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, dtype=np.uint32)
    for number in rng.permutation(np.arange(3, 60, 2)):
        y, x, radius = rng.uniform(-3, 93), rng.uniform(-3, 133), rng.uniform(1, 6)
        labels[disc(SHAPE, y, x, radius)] = number
    labels[20:23, 5:120] = 101
    labels[4:85, 60:62] = 50
    return labels


def grid(step):
    return [
        Box(y, x, min(y + step, SHAPE[0]), min(x + step, SHAPE[1]))
        for y, x in product(range(0, SHAPE[0], step), range(0, SHAPE[1], step))
    ]


def first_pixel(labels, number):
    return divmod(int(np.flatnonzero(labels == number)[0]), SHAPE[1])


@pytest.mark.parametrize("step", [17, 30, 64, 200])
@given(seed=st.integers(0, 1000), margin=st.integers(0, 30))
@settings(max_examples=15, deadline=None)
def test_every_cell_is_one_blocks_own_or_spills_into_it(step, seed, margin):
    labels = slide_of(seed)
    owners = {}
    for own in grid(step):
        view = own.grown(margin, SLIDE)
        found = ownership(labels[view.slices(SLIDE)], own, view, SLIDE, REACH)
        spilling = ownership(labels, own, SLIDE, SLIDE, REACH)
        assert spilling.spilling.size == 0
        taken = {*found.ids} | ({*found.spilling} & {*spilling.ids})
        assert taken == {*spilling.ids}
        for number in taken:
            assert owners.setdefault(number, own) is own
            y, x = first_pixel(labels, number)
            assert own.top <= y < own.bottom
            assert own.left <= x < own.right
    assert {*owners} == {*np.unique(labels[labels > 0])}


@pytest.mark.parametrize("step", [23, 45])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [np.uint16, np.float64])
def test_blocks_measure_the_same_bits_as_the_whole(step, seed, dtype):
    labels = slide_of(seed)
    rng = np.random.default_rng(seed)
    image = (rng.normal(100, 9, SHAPE) + 50 * (labels > 0)).astype(dtype)
    field = field_level(Histogram.of(image[outside_cells(labels, LOCAL.gap)]), LOCAL)
    whole = measured(labels, image, Regions.of(labels).ids, SLIDE, None)
    seen = 0
    for own in grid(step):
        view = own.grown(REACH + 14, SLIDE)
        at = view.slices(SLIDE)
        ids = ownership(labels[at], own, view, SLIDE, REACH).ids
        rows = np.searchsorted(whole["ids"], ids)
        for name, values in measured(labels[at], image[at], ids, view, field).items():
            np.testing.assert_array_equal(values, whole[name][rows], err_msg=name)
        seen += ids.size
    assert whole["ids"].size - 2 <= seen <= whole["ids"].size


def measured(labels, image, ids, view, field):
    cells = Regions.of(labels, ids, origin=(view.top, view.left))
    around = background_pixels(labels, ids, LOCAL)
    background = estimate_background(image, around, LOCAL, field)
    columns = measure_morphology(cells, "cell") | measure_intensity(
        image, "c", {"cell": cells}, background
    )
    return {column.name: values for column, values in columns.items()} | {"ids": ids}


def test_field_background_outside_cells_is_that_of_the_rings():
    labels = slide_of(4)
    around = background_pixels(labels, Regions.of(labels).ids, LOCAL)
    np.testing.assert_array_equal(outside_cells(labels, LOCAL.gap), around.field)
    assert outside_cells(np.zeros((3, 3), dtype=int), 1).all()


def test_edge():
    labels = np.zeros((6, 8), np.int32)
    labels[0, 3], labels[5, 5], labels[2, 0], labels[3, 7] = 9, 2, 30, 4
    labels[2:4, 3:5] = 11
    labels[4, 6] = 2
    slide = Box(0, 0, 6, 8)
    touching = touches_edge(Regions.of(labels), slide)
    assert touching.tolist() == [True, True, True, False, True]
    cut = Regions.of(labels[1:5, 2:8], np.array([4, 11]), origin=(1, 2))
    assert touches_edge(cut, slide).tolist() == [True, False]
    assert touches_edge(Regions.of(np.zeros((4, 4), np.uint32)), slide).size == 0


def test_a_block_without_cells_owns_none():
    found = ownership(np.zeros((5, 5), np.uint32), Box(1, 1, 3, 3), Box(0, 0, 5, 5), SLIDE, 2)
    assert found.ids.size == found.spilling.size == 0


def test_refuses_labels_of_another_view():
    with pytest.raises(MeasurementError, match=r"\(5, 5\)"):
        ownership(np.zeros((4, 5), np.uint32), Box(1, 1, 3, 3), Box(0, 0, 5, 5), SLIDE, 2)
    with pytest.raises(MeasurementError, match="box"):
        ownership(np.zeros((5, 5), np.uint32), Box(1, 1, 9, 3), Box(0, 0, 5, 5), SLIDE, 2)
