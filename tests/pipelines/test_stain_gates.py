"""SA-β-Gal of crowded cells beside that of sparse ones: what a run says."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.run.parts import Part
from pipelines.run.stain_gates import stain_warnings
from pipelines.study import Study
from pipelines.study.row import ImageRow

GATE = {"rule": "control_percentile", "controls": {"group": "control"}}


def study(of="beta_gal_mean_od", blank=None, **rule):
    return Study.model_validate(
        {
            "study": "s",
            "samples": "samples.csv",
            "channels": {"rgb": "rgb", "dapi": 0},
            "pixel_size_um": "unknown",
            "segmentation": {"nuclei": {"channel": "dapi", "model": "compact", "diameter_px": 12}},
            "measurements": [{"type": "beta_gal"} | ({"blank": blank} if blank else {})],
            "positivity": {"bgal": {"of": of, **GATE, **rule}},
            "statistics": {"unit": "dish", "factors": ["group"], "outcomes": ["bgal_positive"]},
        }
    )


def image(folder, name, group, area, *, n=40, outside=0.3, batch="a"):
    """Cells of this median area (px²) and one amount of stain."""
    areas = area * np.exp(np.random.default_rng(1).normal(0, 0.2, n))
    areas *= area / np.median(areas)
    table = {"beta_gal_mean_od": 20 / areas, "beta_gal_integrated_od_px2": np.full(n, 20.0)}
    pq.write_table(pa.table(table), folder / f"{name}.parquet")
    row = ImageRow(name, {}, None, {"group": group, "dish": name, "batch": batch})
    summary = {"beta_gal_image_background_fraction": outside, "flags": ""}
    return Part(row, {"n_cells": n, "summary": summary}, folder / f"{name}.parquet")


@pytest.mark.parametrize(
    ("area", "said"), [(1000, None), (800, None), (500, "higher"), (2000, "lower")]
)
def test_groups_of_smaller_or_larger_cells_than_the_controls_are_named(tmp_path, area, said):
    parts = [image(tmp_path, "c", "control", 1000), image(tmp_path, "t", "drug", area)]
    found = stain_warnings(study(), parts)
    assert bool(found) == (said is not None)
    if said is not None:
        assert f"group drug have {area / 1000:.2g} times the area" in found[0]
        assert said in found[0]


def test_amounts_of_stain_fixed_gates_and_a_few_cells_are_no_matter_of_area(tmp_path):
    control = image(tmp_path, "c", "control", 1000)
    parts = [control, image(tmp_path, "t", "drug", 400)]
    assert not stain_warnings(study("beta_gal_integrated_od_px2"), parts)
    assert not stain_warnings(study(rule="gmm", controls={}), parts)
    assert not stain_warnings(study(), [control, image(tmp_path, "t", "drug", 400, n=15)])
    assert not stain_warnings(study(), [])


def test_controls_of_each_batch_stand_for_their_own(tmp_path):
    parts = [
        image(tmp_path, f"{group}{batch}", group, area, batch=batch)
        for batch, areas in (("a", (1000, 1000)), ("b", (500, 500)))
        for group, area in zip(("control", "drug"), areas, strict=True)
    ]
    assert not stain_warnings(study(by="batch"), parts)
    assert "group drug have 0.5 times" in stain_warnings(study(), parts[::3])[0]


def test_images_covered_by_cells_are_named(tmp_path):
    bare = image(tmp_path, "c", "control", 1000)
    full = image(tmp_path, "t", "drug", 1000, outside=0.005)
    (found,) = stain_warnings(study(), [bare, full])
    assert "1 of 2 images are covered by cells (t)" in found
    assert not stain_warnings(study(blank="blank.tif"), [bare, full])
