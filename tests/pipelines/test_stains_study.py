"""Stains of a picture as channels: what a study may ask of them, and what a run makes of them."""

import numpy as np
import polars as pl
import pytest
import tifffile

from measurements.stains import KNOWN_STAINS, unit
from pipelines.errors import StudyError
from pipelines.field import Labels
from pipelines.field.pixels import read_pixels
from pipelines.run.chosen import channel_of
from pipelines.study.check import check_study, open_row
from pipelines.study.model import parse_study
from pipelines.study.stains import weights_of
from tests.measurements.label_images import disc, spot
from tests.studies import read_csv, run_here, write_samples

SHAPE = (150, 180)
NUCLEI = (disc(SHAPE, 50, 50, 12) + 2 * disc(SHAPE, 50, 130, 12)).astype(np.uint32)
CELLS = (disc(SHAPE, 50, 50, 34) + 2 * disc(SHAPE, 50, 130, 34)).astype(np.uint32)
STUDY = """
study: brown
samples: samples.csv
channels: {channels}
stains: {stains}
pixel_size_um: 0.25
segmentation:
  nuclei: {{channel: {nuclei}, diameter_px: 24}}
measurements:
  - {{type: spots, channel: {spots}, sigma_px: 1.5{more}}}
  - {{type: intensity, channel: haematoxylin, compartments: [nucleus], background: field}}
"""
GIVEN = {
    "channels": "{picture: rgb}",
    "stains": "{haematoxylin: hematoxylin, il1b: dab}",
    "nuclei": "haematoxylin",
    "spots": "il1b",
    "more": "",
}


def text(**changed):
    return STUDY.format(**GIVEN | changed)


def colour_of(name):
    return np.array(unit(KNOWN_STAINS[name]))


def picture(dots, od=0.4):
    """Nuclei of haematoxylin 0.3, and dots of DAB, on glass of 230 under a camera's noise."""
    brown = sum((od * spot(SHAPE, y, x, 1.5) for y, x in dots), np.zeros(SHAPE))
    density = 0.3 * (NUCLEI > 0)[..., None] * colour_of("haematoxylin")
    light = 230 * 10 ** -(density + brown[..., None] * colour_of("dab"))
    return np.rint(light + np.random.default_rng(0).normal(0, 1, light.shape)).astype(np.uint8)


def write_study(folder, dots, **changed):
    tifffile.imwrite(folder / "a.tif", picture(dots), photometric="rgb")
    write_samples(folder, [{"image": "a.tif", "animal": "m1"}])
    path = folder / "study.yaml"
    path.write_text(text(**changed))
    return path


DOTS = [(50, 50), (50, 70), (30, 50), (72, 130), (120, 20)]


def test_dots_are_counted_in_the_stain_and_nuclei_measured_in_theirs(tmp_path, monkeypatch):
    labels = Labels(NUCLEI, CELLS, None)
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: labels)
    path = write_study(tmp_path, DOTS)
    run_here(path, tmp_path / "out")
    tables = tmp_path / "out" / "tables"
    cells = pl.read_parquet(tables / "cells.parquet")
    assert cells["il1b_spot_count"].to_list() == [3, 1]
    assert cells["il1b_score"].to_list() == [1, 1]
    density = cells["haematoxylin_nucleus_mean_above_background"].to_numpy()
    np.testing.assert_allclose(density, 0.3, atol=0.02)
    flags = read_csv(tables / "images.csv")[0]["flags"]
    assert "il1b" not in flags
    assert "haematoxylin" not in flags


def test_lipofuscin_is_told_from_the_stain_it_is_most_like_and_the_others_without_it():
    stains = {"blue": "haematoxylin", "brown": "dab"}
    found = weights_of({**stains, "pigment": "lipofuscin"})
    assert {name: found[name] for name in stains} == weights_of(stains)
    weights = np.array(found["pigment"])
    assert weights @ colour_of("lipofuscin") == pytest.approx(1)
    assert weights @ colour_of("dab") == pytest.approx(0)
    with_eosin = {**stains, "pink": "eosin", "pigment": "lipofuscin"}
    assert weights_of(with_eosin)["pigment"] == found["pigment"]


def test_a_picture_whose_colours_are_not_its_stains_warns(tmp_path):
    dots = [(y, x) for y in range(30, 140, 12) for x in range(30, 170, 12)]
    path = write_study(tmp_path, dots)
    for stain, warned in (("dab", False), ("eosin", True)):
        checked = check_study(path)
        stains = {"haematoxylin": "haematoxylin", "il1b": stain, "pigment": "lipofuscin"}
        study = checked.study.model_copy(update={"stains": stains})
        warnings = read_pixels(open_row(study, checked.rows[0]), study).warnings
        assert any("unexplained" in text for text in warnings) == warned


def test_pixels_of_a_box_are_those_of_the_whole(tmp_path):
    checked = check_study(write_study(tmp_path, DOTS))
    field = open_row(checked.study, checked.rows[0])
    box = slice(20, 90), slice(31, 140)
    planes = read_pixels(field, checked.study).planes
    assert set(planes) == {"picture", "haematoxylin", "il1b"}
    for name in ("haematoxylin", "il1b"):
        np.testing.assert_array_equal(field.plane(name, box), planes[name][box])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"channels": "{picture: 0}"}, "told from a brightfield picture"),
        ({"stains": "{haematoxylin: haematoxylin, picture: dab}"}, "a channel has this name"),
        ({"stains": "{haematoxylin: haematoxylin, il1b: [0.66, 0.70, 0.28]}"}, "degrees"),
        ({"stains": "{haematoxylin: haematoxylin, il1b: [0, 0, 0]}"}, "not all 0"),
        (
            {"stains": "{haematoxylin: haematoxylin, il1b: dab, e: eosin, r: fast_red}"},
            "3 stains at most",
        ),
        ({"stains": "{haematoxylin: haematoxilin, il1b: dab}"}, "haematoxylin"),
    ],
)
def test_stains_that_cannot_be_are_refused(changed, words):
    with pytest.raises(StudyError, match=words):
        parse_study(text(**changed), "study.yaml")


@pytest.mark.parametrize(
    ("changed", "where", "words"),
    [
        ({"nuclei": "picture"}, "segmentation.nuclei.channel", "any stain darkens"),
        ({"spots": "haematoxylin"}, "measurements.0.channel", "nuclei are found in"),
        ({"spots": "picture"}, "measurements.0.channel", "name them under `stains`"),
        ({"spots": "il1a"}, "measurements.0.channel", "il1b"),
        ({}, "segmentation.nuclei", "cpsam_v2"),
    ],
)
def test_the_check_says_what_to_give_instead(tmp_path, changed, where, words):
    problems = check_study(write_study(tmp_path, [], **changed)).problems
    assert [p for p in problems if p.where.startswith(where) and words in p.message]


def test_cells_are_shown_in_the_picture():
    study = parse_study(text(), "study.yaml")
    assert channel_of("il1b_molecules", study) == "picture"
    assert channel_of("haematoxylin_nucleus_mean", study) == "picture"
