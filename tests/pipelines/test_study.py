from pathlib import Path

import pytest

from pipelines.errors import StudyError
from pipelines.study.model import load_study, parse_study

SMALLEST = """
study: small
samples: samples.csv
channels: {dapi: 0}
segmentation: {nuclei: {channel: dapi, diameter_px: 20}}
measurements: [{type: morphology}]
"""


def error_of(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        parse_study(text, "study.yaml")
    return str(caught.value)


def test_the_smallest_study_has_the_documented_defaults():
    study = parse_study(SMALLEST, "study.yaml")
    assert study.segmentation.nuclei.model == "compact"
    assert study.segmentation.cells.method == "nuclei"
    assert study.pixel_size_um is None
    assert study.z == "max"
    assert study.exclude.flags == ()
    assert study.statistics is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sample: samples.csv", "samples"),
        ("pixel_size: 0.3", "pixel_size_um"),
        ("chanels: {a: 0}", "channels"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(written, meant):
    message = error_of(SMALLEST + written)
    assert f"unknown key '{written.split(':')[0]}'; did you mean '{meant}'?" in message


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        ("{type: foci, channel: dapi, treshold: 3}", "did you mean 'threshold'?"),
        ("{type: foic, channel: dapi}", "did you mean 'foci'?"),
        ("{type: intensity}", "measurements.0.intensity.channel: missing"),
        ("{type: foci, channel: dapi, sigma_um: 1, sigma_px: 2}", "one of them"),
    ],
)
def test_a_wrong_measurement_says_where_and_what(measurement, expected):
    text = SMALLEST.replace("{type: morphology}", measurement)
    assert expected in error_of(text)


def test_all_problems_of_the_file_are_reported_at_once():
    message = error_of(
        SMALLEST.replace("study: small", "study: 'a b'").replace("diameter_px: 20", "diamter: 20")
        + "roote: [.]\n"
    )
    assert message.count("\n") == 3
    for part in ("study: 'a b'", "diamter", "roote"):
        assert part in message


def test_lengths_in_um_become_px_through_the_pixel_size():
    study = parse_study(SMALLEST.replace("diameter_px: 20", "diameter_um: 10"), "s")
    assert study.segmentation.nuclei.in_px("diameter", 0.5) == 20
    with pytest.raises(StudyError, match="pixel size is unknown"):
        study.segmentation.nuclei.in_px("diameter", None)


def test_both_samples_and_images_is_one_too_many():
    assert "one of them" in error_of(SMALLEST + "images: 'a/{b}.tif'\n")
    assert "one of them" in error_of(SMALLEST.replace("samples: samples.csv\n", ""))


def test_cells_that_start_from_nuclei_need_nuclei():
    text = SMALLEST.replace(
        "{nuclei: {channel: dapi, diameter_px: 20}}", "{cells: {method: expand, distance_px: 3}}"
    )
    assert "starts from nuclei" in error_of(text)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{of: a}", "give both"),
        ("{of: a, rule: fixed}", "value is the threshold of rule fixed"),
        ("{of: a, rule: otsu, controls: {dox: none}}", "give both"),
        ("{of: a, rule: control_percentil, controls: {dox: none}}", "control_percentile"),
    ],
)
def test_positivity_without_what_its_rule_needs(rule, expected):
    assert expected in error_of(SMALLEST + f"positivity: {{p21: {rule}}}\n")


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", "a: [1"])
def test_what_is_no_study_is_said_to_be_none(text):
    assert "study.yaml" in error_of(text)


def test_yaml_cannot_construct_objects():
    assert "not valid YAML" in error_of("study: !!python/object/apply:os.getcwd []")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(StudyError, match=str(path)):
            load_study(path)
