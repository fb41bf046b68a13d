import pytest

from measurements.errors import MeasurementError
from measurements.reporter_classes import class_of_combination, class_problems, default_classes

TWO = ("mcherry", "gfp")
ALL = {
    "primary": ["mcherry+", "gfp-"],
    "secondary": ["mcherry-", "gfp+"],
    "double": ["mcherry+", "gfp+"],
    "negative": ["mcherry-", "gfp-"],
}


def test_a_sound_set_of_classes_has_no_problem():
    assert class_problems(TWO, ALL) == []
    assert class_of_combination(TWO, ALL) == ["negative", "primary", "secondary", "double"]


def test_a_missing_combination_is_named():
    few = {name: signs for name, signs in ALL.items() if name != "double"}
    assert class_problems(TWO, few) == [
        "Cells that are mcherry+ gfp+ have no class: add one for them."
    ]
    assert class_of_combination(TWO, few)[-1] == "unassigned"


def test_a_combination_in_two_classes_is_named():
    both = {**ALL, "primary": ["mcherry+"]}
    (problem,) = class_problems(TWO, both)
    assert "mcherry+ gfp+ fit primary and double" in problem
    with pytest.raises(MeasurementError, match="fit primary and double"):
        class_of_combination(TWO, both)


@pytest.mark.parametrize(
    ("signs", "message"),
    [
        (["gfp"], "with \\+ or -"),
        (["yfp+"], "channels being mcherry, gfp"),
        (["gfp+", "gfp-"], "twice"),
        ([], "at least one"),
        ("gfp+", "expected a list"),
    ],
)
def test_wrong_signs_are_said(signs, message):
    with pytest.raises(MeasurementError, match=message):
        class_of_combination(TWO, {**ALL, "other": signs})
    assert class_problems(TWO, {**ALL, "other": signs})


def test_names_for_cells_without_a_class_are_taken():
    assert "No class may be called unmeasured" in class_problems(TWO, {"unmeasured": ["gfp+"]})[0]


@pytest.mark.parametrize("channels", [("gfp",), TWO, ("a", "b", "c")])
def test_the_default_classes_are_complete(channels):
    classes = default_classes(channels)
    assert len(classes) == 2 ** len(channels)
    assert class_problems(channels, classes) == []
    assert next(iter(classes)) == "negative"


def test_default_classes_are_named_by_what_is_positive():
    assert list(default_classes(TWO)) == ["negative", "mcherry", "gfp", "mcherry_gfp"]
    assert default_classes(TWO)["gfp"] == ("mcherry-", "gfp+")


def test_three_channels_with_one_left_out():
    channels = ("a", "b", "c")
    classes = {"on": ["a+"], "b_only": ["a-", "b+"], "off": ["a-", "b-"]}
    assert class_problems(channels, classes) == []
    assert class_of_combination(channels, classes)[0b100] == "off"
