import numpy as np
import pytest

from measurements.background import Background
from measurements.errors import MeasurementError
from measurements.intensity import measure_intensity, translocation
from measurements.regions import Regions
from tests.measurements.label_images import disc

SHAPE = (80, 80)


def level(*values):
    return Background(values[0], np.array(values, dtype=float), np.zeros(len(values), np.uint32))


def compartments():
    """Cell 3 whole, cell 8 without a nucleus, at ids that have gaps."""
    cell = np.zeros(SHAPE, dtype=np.uint32)
    cell[disc(SHAPE, 25, 25, 20)] = 3
    cell[disc(SHAPE, 62, 62, 12)] = 8
    nucleus = np.where(disc(SHAPE, 25, 25, 8), 3, 0)
    ids = np.array([3, 8], dtype=np.uint32)
    labels = {"nucleus": nucleus, "cytoplasm": np.where(nucleus == 0, cell, 0), "cell": cell}
    return {name: Regions.of(image, ids) for name, image in labels.items()}, labels


def measured(image, background=None, saturation=np.inf):
    regions, _ = compartments()
    table = measure_intensity(image, "p21", regions, background or level(10, 10), saturation)
    return {column.name.removeprefix("p21_"): values for column, values in table.items()}


def painted(nucleus, cytoplasm, background, dtype=np.float64):
    _, labels = compartments()
    image = np.where(labels["cell"] > 0, cytoplasm, background)
    return np.where(labels["nucleus"] > 0, nucleus, image).astype(dtype)


def test_known_cell():
    table = measured(painted(110, 60, 10))
    regions, _ = compartments()
    nucleus, cell = regions["nucleus"].areas[0], regions["cell"].areas[0]
    assert table["nucleus_mean"][0] == 110
    assert table["nucleus_mean_above_background"][0] == 100
    assert table["nucleus_ctcf"][0] == 100 * nucleus
    assert table["cell_integrated"][0] == 110 * nucleus + 60 * (cell - nucleus)
    assert table["nucleus_cytoplasm_ratio"][0] == 2
    assert table["translocation_index"][0] == pytest.approx(50 / 150)
    assert table["nucleus_sd"][0] == 0


def test_statistics_are_those_of_numpy():
    image = np.random.default_rng(1).gamma(2, 50, SHAPE)
    table = measured(image)
    _, labels = compartments()
    pixels = image[labels["cytoplasm"] == 8]
    for name, expected in {
        "mean": pixels.mean(),
        "median": np.median(pixels),
        "sd": pixels.std(),
        "min": pixels.min(),
        "max": pixels.max(),
        "p95": np.quantile(pixels, 0.95),
        "integrated": pixels.sum(),
    }.items():
        assert table[f"cytoplasm_{name}"][1] == pytest.approx(expected, rel=1e-12), name


def test_compartments_sum_to_the_cell():
    table = measured(np.random.default_rng(2).random(SHAPE))
    assert table["cell_integrated"][0] == pytest.approx(
        table["nucleus_integrated"][0] + table["cytoplasm_integrated"][0]
    )
    assert table["cell_ctcf"][0] == pytest.approx(
        table["nucleus_ctcf"][0] + table["cytoplasm_ctcf"][0]
    )


def test_missing_compartment_is_nan_and_leaves_the_others():
    table = measured(painted(110, 60, 10))
    for name, values in table.items():
        if name.startswith("nucleus_") or name == "translocation_index":
            assert np.isnan(values[1]), name
    assert table["cell_mean"][1] == 60


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_eight_bits_give_what_floats_give(dtype):
    exact = measured(painted(250, 240, 10))
    table = measured(painted(250, 240, 10, dtype))
    for name, values in exact.items():
        np.testing.assert_array_equal(table[name], values, err_msg=name)


def test_background_above_the_cell_gives_negative_values_not_wrapped_ones():
    table = measured(painted(5, 3, 10, np.uint8))
    assert table["nucleus_mean_above_background"][0] == -5
    assert table["nucleus_ctcf"][0] < 0
    assert np.isnan(table["nucleus_cytoplasm_ratio"][0])
    assert np.isnan(table["translocation_index"][0])


def test_offset_of_the_camera_changes_no_corrected_value():
    dark = measured(painted(110, 60, 10))
    offset = measured(painted(1110, 1060, 1010), level(1010, 1010))
    for name in ("nucleus_ctcf", "cell_mean_above_background", "nucleus_cytoplasm_ratio"):
        np.testing.assert_allclose(offset[name], dark[name])


def test_gain_changes_no_ratio():
    once = measured(painted(110, 60, 10))
    thrice = measured(3 * painted(110, 60, 10), level(30, 30))
    for name in ("nucleus_cytoplasm_ratio", "translocation_index"):
        np.testing.assert_allclose(thrice[name], once[name])
    np.testing.assert_allclose(thrice["cell_ctcf"], 3 * once["cell_ctcf"])


def test_saturated_share():
    image = painted(255, 60, 10, np.uint8)
    image[25, 25] = 254
    table = measured(image, saturation=255)
    nucleus = compartments()[0]["nucleus"].areas[0]
    assert table["nucleus_saturated_fraction"][0] == pytest.approx((nucleus - 1) / nucleus)
    assert table["cytoplasm_saturated_fraction"][0] == 0


def test_index_keeps_the_cells_that_the_ratio_loses():
    ratio, index = translocation(np.array([100.0, 100, 0, 50]), np.array([0.0, -2, 100, 50]))
    np.testing.assert_array_equal(ratio, [np.nan, np.nan, 0, 1])
    np.testing.assert_array_equal(index, [1, 1, -1, 0])


def test_nan_pixel_spoils_its_compartments_only():
    image = painted(110, 60, 10)
    image[25, 25] = np.nan
    table = measured(image)
    assert np.isnan(table["nucleus_mean"][0])
    assert table["cytoplasm_mean"][0] == 60
    assert table["cell_mean"][1] == 60


def test_without_a_cytoplasm_there_is_no_ratio():
    regions, _ = compartments()
    table = measure_intensity(np.ones(SHAPE), "p21", {"nucleus": regions["nucleus"]}, level(0, 0))
    assert "p21_nucleus_cytoplasm_ratio" not in {column.name for column in table}


def test_refuses_compartments_of_other_cells():
    regions, labels = compartments()
    regions["cell"] = Regions.of(labels["cell"], np.array([3]))
    with pytest.raises(MeasurementError, match="The cell compartment"):
        measure_intensity(np.ones(SHAPE), "p21", regions, level(0, 0))


def test_every_column_is_defined_and_named_after_channel_and_compartment():
    regions, _ = compartments()
    for column in measure_intensity(np.ones(SHAPE), "gfp", regions, level(0, 0)):
        assert column.name.startswith("gfp_")
        assert not {"{", "}"} & set(column.name + column.meaning)
        assert column.unit
        assert column.source
