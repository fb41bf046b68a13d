"""Simulated studies from images to tables, against their own truth."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from pipelines.labels_store import read_label_image, read_labels
from pipelines.run.layout import Layout
from pipelines.simulate import StudyDesign, write_study
from segmentation.scores import match
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
    """Nucleus by nucleus, where there is something to see: in focus and not stained all over."""
    design = StudyDesign(units=1, clones=1, fields=1, effect=3.0)
    study = write_study("foci", tmp_path / "study", 5, design)
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    cells = pl.read_parquet(layout.cells)
    assert pl.read_parquet(layout.foci).height == cells["gh2ax_foci_count"].sum()
    truth = pl.read_csv(tmp_path / "study" / "truth" / "nuclei.csv")
    truth = truth.filter(pl.col("in_focus") & ~pl.col("pan_nuclear"))
    true_counts, counts = [], []
    for image in ("h1c1_1", "w1c1_1"):
        annotated = read_label_image(tmp_path / "study" / "truth" / f"{image}_nuclei.tif")
        pairs = match(annotated, read_labels(layout.labels(image), "nuclei"))
        of_image = (pl.col("image") == image, pl.col("image_id") == image)
        true = dict(truth.filter(of_image[0]).select("label", "count").iter_rows())
        found = dict(cells.filter(of_image[1]).select("cell_id", "gh2ax_foci_count").iter_rows())
        pairs = [(label, cell) for label, cell in pairs if label in true]
        true_counts += [true[label] for label, _ in pairs]
        counts += [found[cell] for _, cell in pairs]
    assert len(counts) > 15
    assert spearmanr(true_counts, counts).statistic > 0.8
