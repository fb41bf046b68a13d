"""The light of a batch: what it adds to the images, and what a run says of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.run.batch_light import light_warnings, with_light
from pipelines.run.parts import Part
from pipelines.study import Study
from pipelines.study.row import ImageRow
from tests.measurements.test_batch_light import image


def study(**more):
    return Study.model_validate(
        {
            "study": "s",
            "samples": "samples.csv",
            "channels": {"dapi": 0},
            "pixel_size_um": "unknown",
            "segmentation": {"nuclei": {"channel": "dapi", "model": "compact", "diameter_px": 40}},
            "measurements": [{"type": "morphology"}],
            **more,
        }
    )


def part(number, amount, width=100, uneven=False):
    sums = replace(image(number, amount), uneven=uneven)
    summary = {"height_px": 80, "width_px": width, "flags": "dapi_saturated"}
    marker = {"n_cells": 9, "summary": summary, "lights": {"dapi": sums.as_json()}}
    return Part(ImageRow(f"i{number}", {}, None, {}), marker, Path("none"))


def test_batches_and_sizes_have_lights_of_their_own():
    parts = [part(i, 0.5 * (i < 20), uneven=i == 25) for i in range(40)]
    parts += [part(i, 0.5, width=50, uneven=i == 41) for i in range(40, 45)]
    judged = with_light(parts, np.arange(45) // 20 % 2)
    flagged = [p.image_id for p in judged if "dapi_uneven_light" in p.summary["flags"].split(";")]
    assert flagged == [*(f"i{i}" for i in range(20)), "i41"]
    dim, even, alone = (judged[i].summary for i in (0, 20, 40))
    assert 0.35 < dim["dapi_batch_light_fall_off"] < 0.5
    assert even["dapi_batch_light_fall_off"] < 0.2
    assert alone["dapi_batch_light_fall_off"] is None
    assert alone["dapi_batch_light_fall_off_se"] is None
    assert judged[0].summary["flags"] == "dapi_saturated;dapi_uneven_light"


def test_a_run_says_by_how_much_the_light_of_a_batch_falls_off():
    parts = with_light([part(i, 0.5) for i in range(20)], np.zeros(20, dtype=int))
    (found,) = light_warnings(study(), parts)
    told = parts[0].summary
    amounts = told["dapi_batch_light_fall_off"], told["dapi_batch_light_fall_off_se"]
    words = "dapi: the light falls off by {:.0%} (standard error {:.0%}) over the field"
    assert found.startswith(words.format(*amounts))
    assert "as 20 images together show it (i0, i1, i2, i3, i4 and others)" in found
    assert "`illumination: estimate`" in found
    (found,) = light_warnings(study(illumination="estimate"), parts)
    assert "the light still falls off" in found
    assert "give a picture of the light" in found


def test_of_few_images_and_of_slides_a_run_says_nothing():
    few = with_light([part(0, 0.5, uneven=True)], np.zeros(1, dtype=int))
    assert not light_warnings(study(), few)
    slide = Part(few[0].row, {"n_cells": 9, "summary": few[0].marker["summary"]}, Path("none"))
    assert with_light([slide], np.zeros(1, dtype=int))[0].of_image == {}
    assert with_light([], np.zeros(0, dtype=int)) == []
