import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.reporters import (
    REPORTER_CLASS,
    bleed_through_table,
    class_counts,
    classify,
    measure_reporters,
)
from measurements.slopes import Resampling
from measurements.unmixing import UnmixingSettings, estimate_unmixing

CLASSES = {
    "primary": ["mcherry+", "gfp-"],
    "secondary": ["mcherry-", "gfp+"],
    "double": ["mcherry+", "gfp+"],
    "negative": ["mcherry-", "gfp-"],
}
MCHERRY = np.array([True, False, True, False])
GFP = np.array([False, True, True, False])


def test_every_combination_has_its_class():
    named = classify({"mcherry": MCHERRY, "gfp": GFP}, CLASSES)
    assert named.tolist() == ["primary", "secondary", "double", "negative"]
    # The order of channels and classes does not matter.
    turned = classify({"gfp": GFP, "mcherry": MCHERRY}, dict(reversed(CLASSES.items())))
    assert turned.tolist() == named.tolist()


def test_a_construct_whose_primary_cells_carry_both():
    classes = {"primary": ["mcherry+"], "secondary": ["mcherry-", "gfp+"]}
    named = classify({"mcherry": MCHERRY, "gfp": GFP}, classes)
    assert named.tolist() == ["primary", "secondary", "primary", "unassigned"]
    assert class_counts(named, classes) == {
        "primary": 2,
        "secondary": 1,
        "unassigned": 1,
        "unmeasured": 0,
    }


def test_three_channels_by_hand():
    classes = {"a": ["r+", "g-", "b+"], "b": ["r-", "g+"], "c": ["g-", "b-"]}
    r, g, b = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 1], [0, 1, 0], [1, 1, 1]], dtype=bool).T
    assert classify({"r": r, "g": g, "b": b}, classes).tolist() == [
        "c",
        "a",
        "b",
        "b",
        "unassigned",
    ]


def test_not_measured_is_neither_positive_nor_negative():
    gfp = np.array([0.0, np.nan, 1.0, np.nan])
    named = classify({"mcherry": MCHERRY, "gfp": gfp, "p21": [np.nan] * 4}, CLASSES)
    # p21 decides no class, so that its gaps do not matter.
    assert named.tolist() == ["primary", "unmeasured", "double", "unmeasured"]


def test_every_cell_is_counted_once():
    rng = np.random.default_rng(0)
    flags = {name: np.where(rng.random(500) < 0.1, np.nan, rng.random(500) < 0.4) for name in "rg"}
    classes = {"both": ["r+", "g+"], "red": ["r+", "g-"]}
    named = classify(flags, classes)
    counts = class_counts(named, classes)
    assert sum(counts.values()) == 500
    assert counts["both"] == ((flags["r"] == 1) & (flags["g"] == 1)).sum()
    assert counts["unmeasured"] == (np.isnan(flags["r"]) | np.isnan(flags["g"])).sum()


def test_no_cells():
    named = classify({"mcherry": [], "gfp": []}, CLASSES)
    assert named.shape == (0,)
    assert named.dtype.kind == "U"
    assert set(class_counts(named, CLASSES).values()) == {0}


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"a": ["mcherry+"], "b": ["gfp+"]}, "mcherry[+] gfp[+] fit a and b"),
        ({"a": ["mcherry+"], "b": ["mcherry+", "gfp-"]}, "fit a and b"),
        ({"a": ["tdtomato+"]}, "channels being mcherry, gfp"),
        ({"a": ["mcherry"]}, "with [+] or - behind it"),
        ({"a": [""]}, "with [+] or - behind it"),
        ({"a": ["mcherry+", "mcherry-"]}, "names mcherry twice"),
        ({"a": []}, "at least one"),
        ({"a": "mcherry+"}, "a list of signs"),
        ({"unassigned": ["mcherry+"]}, "No class may be called unassigned"),
        ({}, "No classes"),
    ],
)
def test_classes_that_do_not_make_sense_are_refused(classes, said):
    with pytest.raises(MeasurementError, match=said):
        classify({"mcherry": MCHERRY, "gfp": GFP}, classes)


def small_unmixing(channels=("gfp", "mcherry", "dapi")):
    rng = np.random.default_rng(1)
    light = rng.uniform(100, 900, size=(60, 1))
    leak = {"gfp": [1, 0.1, 0.05], "mcherry": [0.2, 1, 0.0]}
    width = len(channels)
    controls = {d: 10 + light * np.array(s)[:width] for d, s in leak.items()}
    dark = 10 + rng.normal(0, 2, size=(60, 1)) * np.array([1, 0.9, 0.8])[:width]
    unlabelled = dark + rng.normal(0, 0.2, size=(60, width))
    settings = UnmixingSettings(resampling=Resampling(50))
    return estimate_unmixing(channels, controls, unlabelled, settings)


def test_columns_of_unmixed_cells():
    values = [[10 + 200, 10 + 20, 10 + 10], [10 + 300, 10 + 270, 10 + 240], [np.nan, 1, 1]]
    measured = measure_reporters(values, small_unmixing(), "cytoplasm")
    by_name = {column.name: data for column, data in measured.items()}
    assert list(by_name) == [
        "gfp_cytoplasm_unmixed",
        "mcherry_cytoplasm_unmixed",
        "autofluorescence_cytoplasm_unmixed",
        "autofluorescent",
    ]
    np.testing.assert_allclose(by_name["gfp_cytoplasm_unmixed"][:2], [200, 0], atol=15)
    # A cell that was not measured is not flagged, and its light is not a number.
    np.testing.assert_array_equal(by_name["autofluorescent"], [False, True, False])
    assert np.isnan(by_name["gfp_cytoplasm_unmixed"][2])
    for column, data in measured.items():
        assert data.dtype == column.dtype
        assert "{" not in column.name + column.meaning


def test_a_dye_at_the_cameras_limit_hides_the_others():
    values = [[10 + 200, 10 + 20, 10 + 10]] * 3
    clipped = [[0.0, 0.0, 1.0], [0.49, 0.0, 0.0], [0.5, 0.0, 0.0]]
    measured = measure_reporters(values, small_unmixing(), "cytoplasm", clipped=clipped)
    by_name = {column.name: data for column, data in measured.items()}
    gfp, mcherry = (by_name[f"{dye}_cytoplasm_unmixed"] for dye in ("gfp", "mcherry"))
    np.testing.assert_allclose(gfp, 200, atol=15)
    # The nuclear stain's channel is no reporter's, and less than half of a cell leaves its median.
    np.testing.assert_array_equal(np.isnan(mcherry), [False, False, True])


def test_two_channels_have_no_column_of_autofluorescence():
    measured = measure_reporters([[20.0, 20.0]], small_unmixing(("gfp", "mcherry")), "cell")
    assert [c.name for c in measured] == ["gfp_cell_unmixed", "mcherry_cell_unmixed"]


def test_the_bleed_through_table_says_what_decided():
    table = {c.name: v for c, v in bleed_through_table(small_unmixing()).items()}
    rows = dict(
        zip(zip(table["dye"], table["channel"], strict=True), table["bleed_through"], strict=True)
    )
    assert len(rows) == 9
    assert rows["gfp", "mcherry"] == pytest.approx(0.1, abs=0.005)
    assert rows["mcherry", "gfp"] == pytest.approx(0.2, abs=0.005)
    assert rows["gfp", "gfp"] == 1
    assert (table["bleed_through_ci_low"] <= table["bleed_through"]).all()
    assert (table["bleed_through_ci_high"] >= table["bleed_through"]).all()
    assert REPORTER_CLASS.dtype == "str"
