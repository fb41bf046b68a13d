"""Cells left out and labels corrected by hand: kept beside a run, applied and told by the next."""

import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import StudyError
from pipelines.labels_store import read_labels, write_label_tiff
from pipelines.review.labels import is_pending, keep_labels, labels_to_show
from pipelines.review.opened import open_results
from pipelines.review.store import Exclusion, read_exclusions, toggled, write_exclusions
from pipelines.run.layout import Layout
from pipelines.study import load_study
from tests.studies import read_csv, run_here, times, write_study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run; tests undo what they review."""
    folder = tmp_path_factory.mktemp("review")
    study = write_study(folder, images=2)
    run_here(study, folder / "out")
    return study, Layout(folder / "out")


@pytest.fixture
def run(done):
    yield done
    done[1].exclusions.unlink(missing_ok=True)


def counts(layout):
    return {
        row["image_id"]: (int(row["n_cells"]), int(row["n_excluded"]))
        for row in read_csv(layout.table("images"))
    }


def test_a_cell_left_out_stays_in_its_table_and_in_no_mean(run):
    study, layout = run
    before = pl.read_parquet(layout.cells)
    old = counts(layout)["field0"]
    measured = times(layout.root / "parts")
    ids = before.filter(pl.col("image_id") == "field0")["cell_id"].to_list()
    assert toggled(layout, "field0", ids[0], "mitotic")
    assert toggled(layout, "field0", ids[1])
    assert not toggled(layout, "field0", ids[1])  # taken in again

    summary = run_here(study, layout.root, report=True)
    cells = pl.read_parquet(layout.cells)
    assert cells.height == before.height
    out = cells.filter("excluded_by_hand")
    assert out.select("image_id", "cell_id").rows() == [("field0", ids[0])]
    assert counts(layout)["field0"] == (old[0] - 1, old[1] + 1)
    kept = before.filter((pl.col("image_id") == "field0") & (pl.col("cell_id") != ids[0]))
    [row] = [r for r in read_csv(layout.table("images")) if r["image_id"] == "field0"]
    mean = kept["nucleus_area_px2"].to_numpy().mean()
    assert float(row["nucleus_area_px2_mean"]) == pytest.approx(mean)
    assert any("1 cell(s) of 1 image(s)" in text for text in summary.warnings)
    report = layout.report.read_text(encoding="utf-8")
    assert "were left out: excluded by hand" in report
    assert times(layout.root / "parts") == measured  # nothing is measured again


def test_a_decision_on_other_labels_is_told_and_not_applied(run):
    study, layout = run
    write_exclusions(
        layout,
        [Exclusion("field0", 1, labels="those of before"), Exclusion("field9", 1)],
    )

    summary = run_here(study, layout.root)
    assert not pl.read_parquet(layout.cells)["excluded_by_hand"].any()
    assert any("made on other labels" in text and "field0" in text for text in summary.warnings)
    assert any("field9" in text for text in summary.warnings)


def test_an_exclusion_written_by_hand_needs_image_and_cell(run):
    _, layout = run
    layout.exclusions.parent.mkdir(exist_ok=True)
    layout.exclusions.write_text("image_id;cell_id\nfield0;3\n")
    with pytest.raises(StudyError, match="line 2"):
        read_exclusions(layout)
    layout.exclusions.write_text("image_id,cell_id\nfield0,3\n")
    assert read_exclusions(layout) == [Exclusion("field0", 3)]


def test_corrected_nuclei_are_measured_instead_of_the_models(run):
    study, layout = run
    settings = load_study(study)
    before = pl.read_parquet(layout.cells).filter(pl.col("image_id") == "field1")
    nuclei = read_labels(layout.labels("field1"), "nuclei")
    cells = read_labels(layout.labels("field1"), "cells")
    gone, wider = before["cell_id"][0], before["cell_id"][1]
    nuclei[nuclei == gone] = 0
    area = int((nuclei == wider).sum())
    unchanged = read_labels(layout.labels("field1"), "nuclei")
    assert keep_labels(layout, "field1", {"nuclei": unchanged, "cells": cells}, settings) == []
    [path] = keep_labels(layout, "field1", {"nuclei": nuclei, "cells": cells * 0}, settings)
    assert path == layout.corrected("field1", "nuclei")  # cells are grown from nuclei here
    assert is_pending(layout, "field1", "nuclei")
    assert np.array_equal(labels_to_show(layout, "field1", "nuclei"), nuclei)

    summary = run_here(study, layout.root, report=True)
    assert not is_pending(layout, "field1", "nuclei")
    assert any("labels of field1 were corrected by hand" in text for text in summary.warnings)
    assert "labels of field1 were corrected by hand" in layout.report.read_text(encoding="utf-8")
    after = pl.read_parquet(layout.cells).filter(pl.col("image_id") == "field1")
    assert after.height == before.height - 1
    kept = after.filter(pl.col("nucleus_area_px2") == area)
    assert kept.height >= 1
    assert pl.read_parquet(layout.cells).filter(pl.col("image_id") == "field0").height > 0

    path.unlink()
    run_here(study, layout.root)
    again = pl.read_parquet(layout.cells).filter(pl.col("image_id") == "field1")
    assert again.height == before.height


def test_corrected_labels_of_another_image_fail_that_image_alone(run):
    study, layout = run
    path = layout.corrected("field1", "nuclei")
    write_label_tiff(path, read_labels(layout.labels("field1"), "nuclei")[:50])

    assert run_here(study, layout.root).n_failed == 1
    [failure] = read_csv(layout.failures)
    assert failure["image_id"] == "field1"
    assert "another image" in failure["error"]
    path.unlink()
    assert run_here(study, layout.root).n_failed == 0


def test_labels_that_no_model_is_asked_for_are_refused_by_check_and_run_alike(run):
    study, layout = run
    path = layout.corrected("field1", "cells")
    write_label_tiff(path, read_labels(layout.labels("field1"), "cells"))
    assert run_here(study, layout.root).n_failed == 1
    [failure] = read_csv(layout.failures)
    command = ["check", str(study), "--output", str(layout.root)]
    checked = CliRunner().invoke(app, command, env={"COLUMNS": "400"})
    assert "image field1: " + failure["error"] in checked.output
    path.unlink()
    assert run_here(study, layout.root).n_failed == 0
    assert "field1" not in CliRunner().invoke(app, command).output


def test_labels_that_are_the_models_again_take_a_correction_back(run):
    study, layout = run
    settings = load_study(study)
    nuclei = read_labels(layout.labels("field0"), "nuclei")
    [path] = keep_labels(layout, "field0", {"nuclei": nuclei * 0}, settings)
    assert keep_labels(layout, "field0", {"nuclei": nuclei * 0}, settings) == []  # already there
    assert path.is_file()
    assert keep_labels(layout, "field0", {"nuclei": nuclei}, settings) == []
    assert not path.exists()


def test_a_decision_on_other_labels_is_made_anew_and_not_taken_back(run):
    _, layout = run
    write_exclusions(layout, [Exclusion("field0", 1, labels="those of before")])
    opened = open_results(layout.root, None)
    assert opened.left_out("field0") == []
    assert toggled(layout, "field0", 1)
    assert opened.left_out("field0") == [1]
    assert not toggled(layout, "field0", 1)
    assert opened.left_out("field0") == []


def test_a_run_knows_where_its_study_is(run, tmp_path):
    """Its files are found from wherever the results were written to."""
    study, layout = run
    noted = json.loads(layout.provenance.read_text(encoding="utf-8"))["study"]["folder"]
    assert (layout.root / noted).resolve() == study.parent.resolve()
    assert open_results(layout.root, None).field("field0").shape == (96, 96)
    with pytest.raises(StudyError, match="--study-folder"):
        open_results(layout.root, tmp_path).field("field0")
    with pytest.raises(StudyError, match="did you mean 'field0'"):
        open_results(layout.root, None).chosen("feild0")


def test_without_napari_a_sentence_says_what_to_do(run, monkeypatch):
    monkeypatch.setattr("pipelines.review.viewer.find_spec", lambda name: None)
    found = CliRunner().invoke(app, ["open", str(run[1].root)])

    assert found.exit_code == 2
    assert "pip install 'senescope[napari]'" in found.output
    assert "exclusions.csv" in found.output
