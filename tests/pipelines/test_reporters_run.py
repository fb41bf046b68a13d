"""Reporters from images to classes, on cells of which each is known."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tifffile

from pipelines.field import Labels
from pipelines.run.layout import Layout
from tests.reporter_studies import BLEED, N_CELLS, SIGNS, grid_labels, write_reporter_study
from tests.studies import read_csv, run_here, times

DESIGN = "statistics: {unit: animal, factors: [dox]}"


@pytest.fixture(autouse=True)
def known_outlines(monkeypatch):
    """What is tested here begins behind segmentation."""
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: grid_labels())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run that no test changes."""
    folder = tmp_path_factory.mktemp("reporters")
    study, truth = write_reporter_study(folder, more=DESIGN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.run.image.segment_field", lambda *_: grid_labels())
        summary = run_here(study, folder / "out", report=True)
    return truth, Layout(folder / "out"), summary


def cells_of(layout):
    return pl.read_parquet(layout.cells)


def test_every_cell_has_its_class(done):
    truth, layout, summary = done
    assert (summary.n_images, summary.n_failed) == (8, 0)
    cells = cells_of(layout)
    for image, classes in truth.items():
        found = cells.filter(pl.col("image_id") == image).sort("cell_id")
        # The gates leave 1 % of 100 control cells above them: one cell that is called positive.
        wrong = [f for f, t in zip(found["reporter_class"], classes, strict=True) if f != t]
        assert len(wrong) <= (2 if image.startswith("no") else 0), image
        for name in SIGNS:
            flags = found[f"reporter_class_{name}"]
            assert (flags == (found["reporter_class"] == name)).all()
    assert not cells["reporter_class_unmeasured"].any()


def test_values_are_unmixed(done):
    _, layout, _ = done
    cells = cells_of(layout)
    negative = cells.filter(pl.col("dox") == "no", pl.col("cell_id") < N_CELLS)
    for dye in ("gfp", "mcherry"):
        assert abs(negative[f"{dye}_cytoplasm_unmixed"].median()) < 5
    secondary = cells.filter(pl.col("reporter_class") == "secondary")
    # 0.2 of gfp is in the mcherry channel, and nothing of it in mcherry.
    assert secondary["mcherry_cytoplasm_median_above_background"].min() > 150
    assert secondary["mcherry_cytoplasm_unmixed"].abs().max() < 30


def test_autofluorescent_cells_are_flagged(done):
    _, layout, _ = done
    cells = cells_of(layout)
    assert cells.filter("autofluorescent")["cell_id"].unique().to_list() == [N_CELLS]
    assert cells["autofluorescent"].sum() == 8


def test_the_matrix_is_a_table_with_its_controls(done):
    _, layout, _ = done
    rows = {(r["dye"], r["channel"]): r for r in read_csv(layout.table("bleed_through"))}
    assert len(rows) == 9
    for column, dye in enumerate(("gfp", "mcherry")):
        for row, channel in enumerate(("dapi", "gfp", "mcherry")):
            entry = rows[dye, channel]
            expected = BLEED[row, column]
            assert float(entry["bleed_through"]) == pytest.approx(expected, abs=0.01)
            assert float(entry["bleed_through_ci_low"]) <= expected + 0.01
            assert entry["control_images"] == f"only_{dye}"
            assert int(entry["n_cells"]) == N_CELLS
    own = rows["autofluorescence", "gfp"]
    assert own["control_images"] == "unlabelled0; unlabelled1; unlabelled2; unlabelled3"
    ratio = float(own["bleed_through"]) / float(rows["autofluorescence", "dapi"]["bleed_through"])
    assert ratio == pytest.approx(0.9, abs=0.03)


def test_control_images_are_in_no_table_of_cells(done):
    truth, layout, _ = done
    assert cells_of(layout)["image_id"].unique(maintain_order=True).to_list() == list(truth)
    assert {row["image_id"] for row in read_csv(layout.table("images"))} == set(truth)
    assert layout.marker("only_gfp").is_file()
    assert layout.qc("only_gfp").is_file()
    provenance = json.loads(layout.provenance.read_text())
    assert len(provenance["control_images"]) == 6


def test_thresholds_name_reporters_and_their_controls(done):
    _, layout, _ = done
    rows = {row["name"]: row for row in read_csv(layout.table("thresholds"))}
    assert rows["gfp"]["of"] == "gfp_cytoplasm_unmixed"
    assert rows["mcherry"]["controls"] == "dox no"
    assert int(rows["mcherry"]["n_cells"]) == 100


def test_classes_are_counted_on_every_level(done):
    _, layout, _ = done
    cells = cells_of(layout)
    for level, keys in (("images", ["image_id"]), ("samples", ["animal"]), ("groups", ["dox"])):
        rows = read_csv(layout.table(level))
        for row in rows:
            own = cells.filter(*(pl.col(key) == row[key] for key in keys))
            counts = {name: int(row[f"reporter_class_{name}_n"]) for name in SIGNS}
            assert counts == {n: (own["reporter_class"] == n).sum() for n in SIGNS}
            assert sum(counts.values()) == own.height == int(row["n_cells"])
            shares = [float(row[f"reporter_class_{name}_fraction"]) for name in SIGNS]
            assert sum(shares) == pytest.approx(1)
    assert {row["dox"]: row["n_units"] for row in rows} == {"no": "4", "yes": "4"}


def test_every_new_column_is_defined(done):
    _, layout, _ = done
    defined = {(r["table"], r["column"]): r for r in read_csv(layout.table("columns"))}
    for table in ("bleed_through", "images", "samples", "groups"):
        for column in read_csv(layout.table(table))[0]:
            assert defined[table, column]["meaning"], (table, column)
    for column in cells_of(layout).columns:
        assert defined["cells", column]["source"], column


def test_the_report_shows_classes_and_matrix(done):
    _, layout, _ = done
    page = layout.report.read_text(encoding="utf-8")
    for name in SIGNS:
        assert f"reporter class {name}" in page
    assert "Bleed-through" in page
    assert "light of mcherry" in page


def test_changed_gates_and_classes_measure_nothing_again(tmp_path):
    study, _ = write_reporter_study(tmp_path)
    layout = Layout(tmp_path / "out")
    run_here(study, layout.root)
    parts = times(layout.root / "parts")
    text = study.read_text()
    study.write_text(text.replace("double:", "both:").replace("percentile: 99", "percentile: 98"))
    assert run_here(study, layout.root).kept == 14
    assert times(layout.root / "parts") == parts
    assert "reporter_class_both" in cells_of(layout).columns
    tables = {p.name: p.read_bytes() for p in (layout.root / "tables").iterdir()}
    run_here(study, tmp_path / "again")
    for name, content in tables.items():
        assert (tmp_path / "again" / "tables" / name).read_bytes() == content


def test_a_broken_control_image_is_a_failure_and_the_others_stand_in(tmp_path):
    study, _ = write_reporter_study(tmp_path)
    (tmp_path / "unlabelled1.tif").write_bytes(b"no image")
    summary = run_here(study, tmp_path / "out")
    assert (summary.n_images, summary.n_failed) == (8, 1)
    layout = Layout(tmp_path / "out")
    assert [row["image_id"] for row in read_csv(layout.failures)] == ["unlabelled1"]
    rows = read_csv(layout.table("bleed_through"))
    assert all("unlabelled1" not in row["control_images"] for row in rows)
    assert any("75 unlabelled cells" in text for text in summary.warnings)


def test_without_the_only_control_no_cell_has_a_class_and_it_is_said(tmp_path):
    study, _ = write_reporter_study(tmp_path)
    (tmp_path / "only_gfp.tif").write_bytes(b"no image")
    summary = run_here(study, tmp_path / "out", report=True)
    assert (summary.n_images, summary.n_failed) == (8, 1)
    warning, *gates = summary.warnings
    assert [text.split(":")[0] for text in gates] == ["mcherry", "gfp"]
    assert "only gfp has 0 usable cells" in warning
    layout = Layout(tmp_path / "out")
    cells = cells_of(layout)
    assert set(cells["reporter_class"]) == {"unmeasured"}
    assert cells["gfp_positive"].null_count() == cells.height
    assert cells["reporter_class_unmeasured"].all()
    assert read_csv(layout.table("bleed_through")) == []
    images = read_csv(layout.table("images"))
    assert [row["reporter_class_double_n"] for row in images] == ["0"] * 8
    assert [row["reporter_class_double_fraction"] for row in images] == [""] * 8
    assert warning in layout.provenance.read_text()


def test_only_runs_all_controls(tmp_path):
    study, _ = write_reporter_study(tmp_path)
    summary = run_here(study, tmp_path / "out", only="no*")
    assert (summary.n_images, summary.n_failed) == (4, 0)
    assert len(read_csv(Layout(tmp_path / "out").table("bleed_through"))) == 9


def test_a_saturated_reporter_makes_no_doubles(tmp_path):
    """A camera at its limit shows less of gfp than leaks into mcherry."""
    study, truth = write_reporter_study(tmp_path)
    for path in tmp_path.glob("*.tif"):
        planes = tifffile.imread(path)
        # Of the control cells of gfp enough stay in the linear range.
        planes[1] = np.minimum(planes[1], 1100 if path.stem in truth else 1900)
        tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"})
    summary = run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    cells = cells_of(layout)
    true = np.array([name for classes in truth.values() for name in classes])
    found = cells["reporter_class"].to_numpy()
    unknown = found == "unmeasured"
    assert 0.05 < unknown.mean() < 0.5
    assert set(true[unknown]) == {"secondary", "double"}
    assert np.mean(found[~unknown] != true[~unknown]) < 0.03
    assert any("at the camera's limit in a reporter" in text for text in summary.warnings)
    assert cells.filter(pl.Series(unknown))["gfp_positive"].all()


def test_gates_from_unlabelled_images(tmp_path):
    study, truth = write_reporter_study(tmp_path, gate="percentile: 99")
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    for row in read_csv(layout.table("thresholds")):
        assert row["controls"] == "stained unlabelled"
        assert int(row["n_cells"]) == 100
    cells = cells_of(layout).filter(pl.col("image_id") == "dox1").sort("cell_id")
    agree = np.mean([f == t for f, t in zip(cells["reporter_class"], truth["dox1"], strict=True)])
    assert agree > 0.9


def test_without_bleed_through_raw_values_are_gated(tmp_path):
    study, truth = write_reporter_study(tmp_path, bleed_through="null")
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    row = read_csv(layout.table("thresholds"))[0]
    assert row["of"] == "mcherry_cytoplasm_median_above_background"
    cells = cells_of(layout)
    assert "mcherry_cytoplasm_unmixed" not in cells.columns
    assert not layout.table("bleed_through").exists()
    true = [name for classes in truth.values() for name in classes]
    secondary = cells.filter(pl.Series([name == "secondary" for name in true]))
    # The light of gfp that mcherry's channel shows stays in.
    assert secondary["mcherry_cytoplasm_median_above_background"].min() > 150


@pytest.mark.parametrize(
    ("rule", "told"), [("otsu", "perhaps one population"), ("gmm", "_positive is empty")]
)
def test_a_gate_among_negative_cells_is_told_at_the_end_of_the_run(tmp_path, rule, told):
    study, _ = write_reporter_study(tmp_path, bleed_through="null", gate=f"rule: {rule}")
    summary = run_here(study, tmp_path / "out", only="no*")
    assert len(summary.warnings) == 2
    assert all(told in text for text in summary.warnings)


def test_a_gate_of_hardly_any_control_cell_is_told(tmp_path, monkeypatch):
    labels = grid_labels()
    one = Labels(*(np.where(image == 1, image, 0) for image in (labels.nuclei, labels.cells)), None)
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: one)
    study, _ = write_reporter_study(tmp_path, bleed_through="null")
    summary = run_here(study, tmp_path / "out", only="no*")
    assert [text[:29] for text in summary.warnings] == [
        "mcherry: 4 control cells, 100",
        "gfp: 4 control cells, 100 rec",
    ]


def test_haze_is_taken_off_where_it_is_asked_for(tmp_path):
    study, _ = write_reporter_study(tmp_path)
    text = study.read_text().replace(
        "channels: [mcherry, gfp]", "channels: [mcherry, gfp]\n    haze: true"
    )
    text = text.replace(
        "{method: expand, distance_px: 6}", "{method: cellpose, channel: gfp, diameter_px: 22}"
    )
    study.write_text(text)
    run_here(study, tmp_path / "out", only="dox0")
    cells = cells_of(Layout(tmp_path / "out"))
    # These images have none: next to nothing is taken off.
    assert cells["gfp_cytoplasm_haze"].max() < 0.02 * cells["gfp_cytoplasm_unmixed"].max()


def test_nuclei_as_cells_measure_the_nucleus(tmp_path, monkeypatch):
    labels = grid_labels()
    only = replace(labels, cells=labels.nuclei)
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: only)
    study, _ = write_reporter_study(tmp_path)
    text = study.read_text().replace("{method: expand, distance_px: 6}", "{method: nuclei}")
    study.write_text(text)
    run_here(study, tmp_path / "out", only="dox0")
    assert "gfp_nucleus_unmixed" in cells_of(Layout(tmp_path / "out")).columns
