"""Simulated studies from images to tables, against their own truth."""

import json

import numpy as np
import polars as pl
import pytest

from pipelines.run.layout import Layout
from pipelines.simulate import StudyDesign, write_study
from tests.studies import read_csv, run_here

pytestmark = pytest.mark.slow


def test_beta_gal_tells_stained_from_unstained_fields(tmp_path):
    """A large effect between two donors: more stain, and more cells above the controls' gate."""
    design = StudyDesign(units=1, clones=1, fields=1, effect=4.0)
    study = write_study("beta_gal", tmp_path / "study", 5, design)
    summary = run_here(study, tmp_path / "out")
    assert (summary.n_images, summary.n_failed) == (2, 0)
    layout = Layout(tmp_path / "out")
    groups = {row["genotype"]: row for row in read_csv(layout.table("groups"))}
    name = "beta_gal_mean_od_mean"
    assert float(groups["werner"][name]) > 1.5 * float(groups["healthy"][name])
    # The only control donor cannot be gated by others: the observed share is the percentile's.
    assert float(groups["healthy"]["beta_gal_positive_fraction"]) < 0.12
    images = read_csv(layout.table("images"))
    assert np.mean([float(row["score_f1"]) for row in images]) > 0.9


def test_foci_counts_follow_the_truth(tmp_path):
    design = StudyDesign(units=1, clones=1, fields=1, effect=3.0)
    study = write_study("foci", tmp_path / "study", 5, design)
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    mean = {
        r["genotype"]: float(r["gh2ax_foci_count_mean"]) for r in read_csv(layout.table("groups"))
    }
    assert mean["werner"] > 2 * mean["healthy"]
    cells = pl.read_parquet(layout.cells)
    foci = pl.read_parquet(layout.foci)
    assert foci.height == cells["gh2ax_foci_count"].sum()
    assert json.loads(layout.provenance.read_text())["study"]["unit_columns"] == [
        "genotype",
        "donor",
    ]
