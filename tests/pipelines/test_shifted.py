"""Images all of whose cells differ from a gate's controls: what a run says."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.run.parts import Part
from pipelines.run.shifted import shift_warnings
from pipelines.study import Study
from pipelines.study.row import ImageRow

P21 = "p21_nucleus_mean_above_background"


def study(of=P21, **rule):
    gate = {"of": of, "rule": "control_percentile", "controls": {"dox": "none"}, **rule}
    return Study.model_validate(
        {
            "study": "s",
            "samples": "samples.csv",
            "channels": {"dapi": 0, "p21": 1},
            "pixel_size_um": "unknown",
            "segmentation": {"nuclei": {"channel": "dapi", "model": "compact", "diameter_px": 12}},
            "measurements": [{"type": "intensity", "channel": "p21"}],
            "positivity": {"p21": gate},
        }
    )


def image(folder, name, dox, values, batch="a"):
    pq.write_table(pa.table({P21: values, "nucleus_area_px2": values}), folder / f"{name}.parquet")
    row = ImageRow(name, {}, None, {"dox": dox, "batch": batch})
    return Part(row, {"n_cells": len(values), "summary": {}}, folder / f"{name}.parquet")


def cells(seed=0, n=60, positive=0.0, level=50.0):
    rng = np.random.default_rng(seed)
    bright = np.where(rng.random(n) < positive, 5 * level, level)
    return bright * np.exp(rng.normal(0, 0.3, n))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (cells(1), ""),
        (cells(1, positive=0.8), ""),
        (cells(1, level=70), ""),
        (cells(1, level=150), "1 image (t) are brighter than the middle"),
        (np.random.default_rng(1).normal(0, 1, 60), "1 image (t) are darker than nine in ten"),
        (cells(1, level=150, n=15), ""),
    ],
)
def test_only_a_shift_of_nearly_all_cells_is_said(tmp_path, values, said):
    parts = [image(tmp_path, "c", "none", cells()), image(tmp_path, "t", "yes", values)]
    found = shift_warnings(study(), parts, [])
    assert len(found) == bool(said)
    assert all(said in text for text in found)


def test_other_rules_and_columns_without_light_say_nothing(tmp_path):
    values = cells(1, level=150)
    parts = [image(tmp_path, "c", "none", cells()), image(tmp_path, "t", "yes", values)]
    assert not shift_warnings(study("nucleus_area_px2"), parts, [])
    assert not shift_warnings(study(rule="gmm", controls={}), parts, [])


def test_controls_of_each_batch_stand_for_their_own(tmp_path):
    parts = [
        image(tmp_path, f"{dox}{batch}", dox, cells(i, level=level), batch)
        for i, (batch, level) in enumerate((("a", 20), ("b", 300)))
        for dox in ("none", "yes")
    ]
    assert not shift_warnings(study(by="batch"), parts, [])


def test_unlabelled_images_in_no_table_are_controls(tmp_path):
    bare = image(tmp_path, "bare", "none", cells())
    bare = Part(ImageRow("bare", {}, None, {"stained": "unlabelled"}), bare.marker, bare.path)
    treated = image(tmp_path, "t", "yes", cells(1, level=150))
    found = shift_warnings(study(controls={"stained": "unlabelled"}), [treated], [bare])
    assert len(found) == 1
    assert not shift_warnings(study(controls={"dox": "none"}), [treated], [bare])
