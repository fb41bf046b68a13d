import numpy as np
import pytest
from scipy.special import ellipe
from skimage.measure import perimeter_crofton, regionprops_table

from measurements.contours import convex_areas, perimeters
from measurements.errors import MeasurementError
from measurements.morphology import measure_morphology
from measurements.regions import Regions
from tests.measurements.label_images import blobs, disc

SAME_AS_SKIMAGE = {
    "area": "area",
    "equivalent_diameter": "equivalent_diameter_area",
    "major_axis": "axis_major_length",
    "minor_axis": "axis_minor_length",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
    "orientation": "orientation",
    "y": "centroid-0",
    "x": "centroid-1",
    "box_y": "bbox-0",
    "box_x": "bbox-1",
}


def measured(labels, ids=None):
    table = measure_morphology(Regions.of(labels, ids), "nucleus")
    return {column.name.removeprefix("nucleus_"): values for column, values in table.items()}


@pytest.mark.parametrize("seed", range(12))
def test_equals_skimage_on_touching_holed_and_scattered_regions(seed):
    labels = blobs(seed)
    theirs = regionprops_table(
        labels, properties=[*{name.split("-")[0] for name in SAME_AS_SKIMAGE.values()}]
    )
    ours = measured(labels)
    for name, their_name in SAME_AS_SKIMAGE.items():
        np.testing.assert_allclose(ours[name], theirs[their_name], atol=1e-9, err_msg=name)
    np.testing.assert_allclose(ours["box_y"] + ours["box_height"], theirs["bbox-2"])
    np.testing.assert_allclose(ours["box_x"] + ours["box_width"], theirs["bbox-3"])


@pytest.mark.parametrize("seed", range(12))
def test_perimeter_is_what_each_region_has_alone(seed):
    labels = blobs(seed)
    alone = [perimeter_crofton(labels == i) for i in np.unique(labels)[1:]]
    np.testing.assert_allclose(perimeters(Regions.of(labels)), alone, rtol=1e-12)


@pytest.mark.parametrize("axes", [(8.4, 8.4), (20.3, 20.3), (12.2, 24.4), (30.1, 12.3)])
def test_perimeter_and_form_factor_of_an_ellipse(axes):
    b, a = axes
    y, x = np.mgrid[-40:41, -40:41]
    labels = ((y / b) ** 2 + (x / a) ** 2 <= 1).astype(np.int32)
    long, short = max(axes), min(axes)
    true = 4 * long * ellipe(1 - (short / long) ** 2)
    shape = measured(labels)
    assert shape["perimeter"][0] == pytest.approx(true, rel=0.03)
    assert shape["form_factor"][0] == pytest.approx(4 * np.pi**2 * a * b / true**2, rel=0.05)
    assert shape["major_axis"][0] == pytest.approx(2 * long, rel=0.02)


def test_rectangle_by_hand():
    labels = np.zeros((20, 30), dtype=np.uint16)
    labels[4:8, 10:22] = 3
    shape = measured(labels)
    assert shape["area"][0] == 48
    assert shape["solidity"][0] == 1
    assert (shape["y"][0], shape["x"][0]) == (5.5, 15.5)
    assert shape["major_axis"][0] == pytest.approx(4 * np.sqrt((12**2 - 1) / 12))
    assert shape["minor_axis"][0] == pytest.approx(4 * np.sqrt((4**2 - 1) / 12))
    assert abs(shape["orientation"][0]) == pytest.approx(np.pi / 2)


def test_notch_lowers_solidity_by_its_area():
    labels = disc((60, 60), 30, 30, 20).astype(np.int32)
    whole = measured(labels)
    labels[28:33, 30:] = 0
    notched = measured(labels)
    assert whole["solidity"][0] > 0.95
    assert notched["solidity"][0] == pytest.approx(whole["solidity"][0] - 100 / 1257, abs=0.01)


def test_moving_changes_positions_only():
    labels = np.zeros((60, 60), dtype=np.int32)
    labels[5:25, 6:30] = disc((20, 24), 9, 11, 8.3) * 4
    moved = np.roll(labels, (20, 13), axis=(0, 1))
    before, after = measured(labels), measured(moved)
    for name in before:
        shift = {"y": 20, "box_y": 20, "x": 13, "box_x": 13}.get(name, 0)
        np.testing.assert_allclose(after[name], before[name] + shift, rtol=1e-9, err_msg=name)


def test_turning_by_a_right_angle_changes_orientation_only():
    labels = blobs(3)
    before, after = measured(labels), measured(np.rot90(labels))
    for name in ("perimeter", "solidity", "major_axis", "eccentricity", "form_factor"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9, err_msg=name)


def test_scaling_scales_lengths_and_keeps_ratios():
    small = measured(disc((80, 80), 40.3, 40.1, 11).astype(np.int32))
    large = measured(disc((80, 80), 40.3, 40.1, 33).astype(np.int32))
    assert large["area"][0] == pytest.approx(9 * small["area"][0], rel=0.02)
    for name in ("equivalent_diameter", "perimeter", "major_axis", "minor_axis"):
        assert large[name][0] == pytest.approx(3 * small[name][0], rel=0.02), name
    for name in ("form_factor", "solidity"):
        assert large[name][0] == pytest.approx(small[name][0], rel=0.04), name


def test_touching_neighbours_do_not_change_a_shape():
    alone = disc((50, 50), 25, 25, 10).astype(np.int32)
    crowded = np.where(alone == 1, 1, 2)
    for name, values in measured(alone).items():
        assert measured(crowded)[name][0] == pytest.approx(values[0], nan_ok=True), name


def test_one_pixel():
    labels = np.zeros((5, 5), dtype=np.int32)
    labels[4, 4] = 1
    shape = measured(labels)
    assert shape["solidity"][0] == 1
    assert shape["major_axis"][0] == shape["eccentricity"][0] == 0
    assert np.isnan(shape["orientation"][0])
    assert shape["perimeter"][0] > 0


def test_whole_image_is_one_region():
    labels = np.ones((6, 7), dtype=np.uint8)
    shape = measured(labels)
    assert shape["solidity"][0] == 1
    assert shape["perimeter"][0] == pytest.approx(perimeter_crofton(np.pad(labels, 2)))


def test_missing_regions_are_nan_and_area_zero():
    labels = disc((20, 20), 10, 10, 5) * 3
    shape = measured(labels, ids=np.array([2, 3]))
    assert shape["area"].tolist()[0] == 0
    for name, values in shape.items():
        if name != "area":
            assert np.isnan(values[0]), name


def test_no_regions():
    shape = measured(np.zeros((9, 9), dtype=np.int32))
    assert {values.shape for values in shape.values()} == {(0,)}


def test_hull_of_a_cross_by_hand():
    labels = np.zeros((5, 5), dtype=np.int32)
    labels[2, :] = labels[:, 2] = 1
    # The hull is the diamond |y - 2| + |x - 2| <= 2 with half a pixel added: 13 centres.
    assert convex_areas(Regions.of(labels)).tolist() == [13]


def test_refuses_volumes():
    with pytest.raises(MeasurementError, match="2D"):
        measure_morphology(Regions.of(np.ones((2, 2, 2), dtype=np.int32)), "cell")


def test_columns_are_defined():
    for column in measure_morphology(Regions.of(np.eye(3, dtype=np.int32)), "cell"):
        assert column.name.startswith("cell_")
        assert "{" not in column.meaning
        assert column.unit
        assert column.source


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_out_has_the_same_shapes_and_places_to_the_bit(seed):
    labels = np.zeros((200, 300), dtype=np.uint32)
    labels[60:120, 100:170] = blobs(seed)
    cut = slice(53, 131), slice(97, 300)
    whole = measured(labels)
    part = measure_morphology(Regions.of(labels[cut], origin=(53, 97)), "nucleus")
    for column, values in part.items():
        np.testing.assert_array_equal(values, whole[column.name.removeprefix("nucleus_")])
