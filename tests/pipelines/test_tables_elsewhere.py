"""What senescope writes, read by others: R (skipped where it is not installed) and pandas."""

import json
import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines.run.aggregate import summarise_cells
from pipelines.statistics import STATISTICS_COLUMNS, statistics_rows
from pipelines.study import parse_study
from pipelines.tables import write_csv

STUDY = """
study: elsewhere
samples: samples.csv
channels: {dna: 0}
segmentation:
  nuclei: {channel: dna, diameter_px: 20}
measurements: [{type: morphology}]
statistics:
  unit: donor
  factors: [genotype]
  reference: {genotype: healthy}
  outcomes: [intensity]
  adjust: none
"""
ODD = [
    {"image_id": 'a "quoted", comma', "value": 1.5, "note": "µm², γH2AX"},
    {"image_id": "001", "value": None, "note": "two\nlines; NA?"},
    {"image_id": "=1+1", "value": 1e-300, "note": ""},
]
READ = 'read.csv(path, check.names = FALSE, encoding = "UTF-8", na.strings = "", {more})'


def in_r(script):
    """What an R script prints, as text."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    ran = subprocess.run(
        ["Rscript", "--vanilla", "-e", script], capture_output=True, text=True, timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def tables(tmp_path):
    """statistics.csv and samples.csv of twelve donors whose cells differ."""
    rng = np.random.default_rng(4)
    rows = [
        {
            "image_id": f"{group}{donor}",
            "genotype": group,
            "donor": f"{group[0]}{donor}",
            "intensity": float(np.exp(own + rng.normal(0, 0.4))),
        }
        for group, shift in (("healthy", 0.0), ("werner", 0.4))
        for donor in range(6)
        for own in [rng.normal(shift, 0.4)]
        for _ in range(20 + donor)
    ]
    cells = tmp_path / "cells.parquet"
    with pq.ParquetWriter(cells, pl.DataFrame(rows).to_arrow().schema) as file:
        for image in pl.DataFrame(rows).partition_by("image_id", maintain_order=True):
            file.write_table(image.to_arrow())
    found = statistics_rows(parse_study(STUDY, "study"), cells)
    write_csv(tmp_path / "statistics.csv", found, [c.name for c in STATISTICS_COLUMNS])
    units = summarise_cells(cells, ["genotype", "donor"], ["intensity"], [], [], {})
    write_csv(tmp_path / "samples.csv", units.to_dicts(), units.columns)
    return tmp_path


def test_r_finds_our_welch_test_in_our_tables(tables):
    printed = in_r(f"""
        path <- "{tables}/samples.csv"; units <- {READ.format(more="")}
        path <- "{tables}/statistics.csv"; ours <- {READ.format(more="")}
        ours <- ours[ours$role == "primary", ]
        found <- t.test(units$intensity_mean[units$genotype == "werner"],
                        units$intensity_mean[units$genotype == "healthy"])
        cat(format(c(found$p.value, ours$p, found$conf.int, ours$ci_low, ours$ci_high,
                     found$statistic, ours$statistic, found$parameter, ours$df), digits = 15))
    """)
    p, our_p, low, high, our_low, our_high, t, our_t, df, our_df = map(float, printed.split())
    assert (our_p, our_low, our_high) == pytest.approx((p, low, high), rel=1e-9)
    assert (our_t, our_df) == pytest.approx((t, df), rel=1e-9)


def test_r_reads_every_field_as_it_was(tmp_path):
    write_csv(tmp_path / "odd.csv", ODD, list(ODD[0]))
    printed = in_r(f"""
        path <- "{tmp_path}/odd.csv"
        t <- {READ.format(more='colClasses = c(image_id = "character")')}
        for (name in names(t)) for (x in t[[name]]) cat(name, "|",
            if (is.na(x)) "NA" else if (is.numeric(x)) format(x, digits = 15) else x, "\\x1e")
    """)
    found = [tuple(part.split("|", 1)) for part in printed.split("\x1e") if part]
    by = {}
    for name, text in found:
        by.setdefault(name.strip(), []).append(text.strip())
    assert by["image_id"] == [row["image_id"] for row in ODD]
    assert by["value"] == ["1.5", "NA", "1e-300"]
    assert by["note"] == ["µm², γH2AX", "two\nlines; NA?", "NA"]


def test_pandas_reads_what_was_written(tables, tmp_path):
    write_csv(tmp_path / "odd.csv", ODD, list(ODD[0]))
    odd = pd.read_csv(tmp_path / "odd.csv", dtype={"image_id": str}, keep_default_na=False,
                      na_values={"value": [""]})  # fmt: skip
    assert odd["image_id"].tolist() == [row["image_id"] for row in ODD]
    assert odd["note"].tolist() == [row["note"] for row in ODD]
    assert odd["value"].isna().tolist() == [False, True, False]
    ours = pl.read_csv(tables / "statistics.csv").to_dicts()
    theirs = json.loads(pd.read_csv(tables / "statistics.csv").to_json(orient="records"))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["p"] == pytest.approx(other["p"])
        assert mine["contrast"] == other["contrast"]
