import numpy as np
import pytest

from measurements.background import (
    BackgroundSettings,
    background_pixels,
    clipped_median,
    estimate_background,
    measure_background,
    mode,
)
from measurements.errors import MeasurementError
from measurements.histogram import Histogram
from tests.measurements.label_images import disc

SHAPE = (120, 160)
LOCAL = BackgroundSettings(method="local", gap=3, width=10, minimum_pixels=50)


def two_cells():
    labels = np.zeros(SHAPE, dtype=np.uint32)
    labels[disc(SHAPE, 60, 40, 15)] = 4
    labels[disc(SHAPE, 60, 120, 15)] = 90
    return labels


def background(image, labels, ids, settings=LOCAL):
    return estimate_background(image, background_pixels(labels, ids, settings), settings)


def test_local_background_follows_uneven_light():
    labels = two_cells()
    image = np.broadcast_to(np.linspace(100, 260, SHAPE[1]), SHAPE).copy()
    image[labels > 0] = 5000
    found = background(image, labels, np.array([4, 90], dtype=np.uint32))
    np.testing.assert_allclose(
        found.level, [100 + 160 * 40 / 159, 100 + 160 * 120 / 159], rtol=0.01
    )
    assert (found.pixels > 500).all()


def test_halo_within_the_gap_does_not_count():
    labels = two_cells()
    image = np.full(SHAPE, 100, dtype=np.uint16)
    image[disc(SHAPE, 60, 40, 18)] = 3000
    assert background(image, labels, np.array([4, 90])).level.tolist() == [100, 100]


def test_pixels_between_two_cells_go_to_the_nearest_once():
    labels = two_cells()
    settings = BackgroundSettings(gap=0, width=500)
    rings = background_pixels(labels, np.array([4, 90]), settings).rings
    assert rings.areas.sum() == (labels == 0).sum()
    x = rings.pixels % SHAPE[1]
    assert x[: rings.starts[1]].max() <= 80 <= x[rings.starts[1] :].min()


def test_a_bright_neighbour_is_no_background():
    labels = np.zeros(SHAPE, dtype=np.uint32)
    labels[disc(SHAPE, 60, 60, 15)] = 1
    labels[disc(SHAPE, 60, 90, 15)] = 2
    image = np.where(labels == 2, 9000, 50)
    # Also where the table leaves the neighbour out.
    for ids in (np.array([1, 2]), np.array([1])):
        assert background(image, labels, ids).level[0] == 50


def test_crowded_cell_falls_back_to_the_field_and_says_so():
    labels = np.full(SHAPE, 2, dtype=np.uint32)
    labels[disc(SHAPE, 60, 120, 15)] = 7
    labels[:, :40] = 0
    image = np.where(labels > 0, 900, 30).astype(np.uint8)
    found = background(image, labels, np.array([2, 7]))
    assert found.pixels[1] == 0
    assert found.level.tolist() == [30, 30]
    assert found.field == 30


def test_confluent_image_has_no_background_rather_than_a_wrong_one():
    labels = np.ones(SHAPE, dtype=np.uint32)
    found = background(np.full(SHAPE, 900), labels, np.array([1]))
    assert np.isnan(found.level[0])
    assert np.isnan(found.field)


@pytest.mark.parametrize(("method", "expected"), [("none", 0), ("field", 30), ("local", 30)])
def test_methods(method, expected):
    settings = BackgroundSettings(method=method)
    found = background(np.full(SHAPE, 30, dtype=np.uint8), two_cells(), np.array([4, 90]), settings)
    assert found.level.tolist() == [expected, expected]
    assert (found.pixels > 0).all() == (method == "local")


def test_image_without_cells():
    found = background(np.full(SHAPE, 30), np.zeros(SHAPE, dtype=int), np.zeros(0, dtype=int))
    assert found.level.shape == (0,)
    assert found.field == 30


@pytest.mark.parametrize(("contaminated", "bias"), [(0, 0.05), (0.2, 0.1), (0.4, 0.2), (0.6, 0.35)])
@pytest.mark.parametrize("sd", [2.0, 20.0])
def test_mode_is_little_moved_by_brighter_objects(contaminated, bias, sd):
    rng = np.random.default_rng(5)
    values = 200 + sd * rng.standard_normal(60_000)
    bright = rng.random(values.size) < contaminated
    values[bright] += rng.exponential(6 * sd, bright.sum())
    values = np.round(values).astype(np.uint16)
    assert abs(mode(Histogram.of(values)) - 200) < bias * sd
    if contaminated >= 0.4:
        assert abs(mode(Histogram.of(values)) - 200) < clipped_median(Histogram.of(values)) - 200


def test_mode_of_few_or_equal_values():
    assert np.isnan(mode(Histogram.of(np.zeros(0))))
    assert mode(Histogram.of(np.array([3]))) == 3
    assert mode(Histogram.of(np.full(50, 7, dtype=np.uint8))) == 7
    assert mode(Histogram.of(np.array([np.nan, 2.0]))) == 2


def test_columns():
    found = background(np.full(SHAPE, 30), two_cells(), np.array([4, 90]))
    names = {
        column.name: values.dtype.name
        for column, values in measure_background(found, "p21").items()
    }
    assert names == {"p21_background": "float64", "p21_background_pixels": "uint32"}


def test_refuses_a_ring_without_width():
    with pytest.raises(MeasurementError, match="width > 0"):
        BackgroundSettings(width=0)
