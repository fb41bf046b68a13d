"""Nuclei whose foci hide from the count: what a run says."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.run.foci_doubts import foci_warnings
from pipelines.run.parts import Part
from pipelines.study import Study
from pipelines.study.row import ImageRow


def study(*flags):
    return Study.model_validate(
        {
            "study": "s",
            "samples": "samples.csv",
            "channels": {"dapi": 0, "gh2ax": 1},
            "pixel_size_um": "unknown",
            "segmentation": {"nuclei": {"channel": "dapi", "model": "compact", "diameter_px": 40}},
            "measurements": [{"type": "foci", "channel": "gh2ax", "sigma_px": 1.5}],
            "exclude": {"flags": list(flags)},
        }
    )


def image(folder, counts, blurred, contrast):
    table = {"gh2ax_foci_count": counts, "out_of_focus": blurred}
    table["gh2ax_foci_mean_contrast"] = contrast
    pq.write_table(pa.table(table), folder / "a.parquet")
    marker = {"n_cells": len(counts), "summary": {}}
    return [Part(ImageRow("a", {}, None, {}), marker, folder / "a.parquet")]


def test_blurred_nuclei_are_told_with_what_they_do_to_the_mean(tmp_path):
    blurred = np.arange(20) < 5
    parts = image(tmp_path, np.where(blurred, 0, 12), blurred, np.where(blurred, np.nan, 60.0))
    (found,) = foci_warnings(study(), parts)
    assert "5 of 20 nuclei are out of focus and have 0 foci on average, the others 12" in found
    assert not foci_warnings(study("out_of_focus"), parts)


def test_debris_far_brighter_than_foci_is_told(tmp_path):
    sharp, contrast = np.zeros(20, dtype=bool), np.full(20, 60.0)
    assert not foci_warnings(study(), image(tmp_path, np.full(20, 12), sharp, contrast))
    contrast[:3] = 1200
    (found,) = foci_warnings(study(), image(tmp_path, np.full(20, 12), sharp, contrast))
    assert "3 of 20 nuclei hold something over 8 times as bright" in found


def test_no_foci_and_no_cells_say_nothing(tmp_path):
    nothing = np.zeros(0)
    assert not foci_warnings(study(), image(tmp_path, nothing, nothing > 0, nothing))
    none = np.zeros(9)
    assert not foci_warnings(study(), image(tmp_path, none, none > 0, np.full(9, np.nan)))
    assert not foci_warnings(study(), [])
