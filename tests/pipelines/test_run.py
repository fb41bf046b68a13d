"""A study from images to tables: what it leaves, what it redoes, what survives a bad image."""

import json
import shutil

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.run.layout import Layout
from tests.studies import read_csv, run_here, times, write_samples, write_settings, write_study

CHANGING = {"provenance.json", "report.html"}  # they hold the time of the run


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run that no test changes."""
    folder = tmp_path_factory.mktemp("study")
    study = write_study(folder)
    return study, Layout(folder / "out"), run_here(study, folder / "out", report=True)


def test_a_run_leaves_what_it_promises(done):
    _, layout, summary = done
    assert summary.n_images == 3
    assert summary.n_failed == 0
    for path in (layout.cells, layout.foci, layout.failures, layout.provenance, layout.report):
        assert path.is_file()
    for level in ("images", "samples", "columns"):
        assert layout.table(level).is_file()
    for image_id in ("field0", "field1", "field2"):
        assert layout.qc(image_id).is_file()
        assert (layout.labels(image_id) / "zarr.json").is_file()


def test_cells_carry_keys_sample_columns_and_definitions(done):
    _, layout, summary = done
    cells = pl.read_parquet(layout.cells)
    assert cells.columns[:4] == ["image_id", "donor", "field", "cell_id"]
    assert cells.height == summary.n_cells > 15
    assert cells.select(pl.struct("image_id", "cell_id").is_unique().all()).item()
    for field in pq.read_schema(layout.cells):
        assert field.metadata[b"meaning"], field.name
        assert field.metadata[b"source"], field.name
    defined = {row["column"] for row in read_csv(layout.table("columns"))}
    assert defined >= set(cells.columns)


def header(path):
    if path.suffix == ".parquet":
        return pq.read_schema(path).names
    return path.read_text(encoding="utf-8").split("\n", 1)[0].split(",")


def assert_all_defined(layout):
    """Every column of every table that a run writes has its row in columns.csv, in its order."""
    rows = read_csv(layout.table("columns"))
    for row in rows:
        assert row["meaning"], row
        assert row["source"], row
        assert row["dtype"], row
        assert row["unit"] or row["source"] == "sample table", row
    written = [*(layout.root / "tables").iterdir(), layout.failures]
    for path in written:
        defined = [row["column"] for row in rows if row["table"] == path.stem]
        assert defined == header(path), path.name


def test_every_column_of_every_table_has_unit_meaning_and_source(done):
    assert_all_defined(done[1])


def test_an_images_flags_are_defined(done):
    rows = read_csv(done[1].table("columns"))
    flags = {row["column"] for row in rows if row["table"] == "image_flags"}
    of_channel = {
        "saturated",
        "constant",
        "broken_pixels",
        "wrapped",
        "uneven_background",
        "uneven_light",
    }
    of_image = {"no_cells", "too_few_cells", "too_many_cells"}
    assert flags == {f"dna_{name}" for name in of_channel} | of_image


def test_dna_is_in_units_of_g1_only_where_enough_cells_tell(done):
    cells = pl.read_parquet(done[1].cells)
    assert (cells["dna_dna_content"] > 0).all()
    assert cells.height < 200
    assert cells["dna_dna_index"].is_nan().all()
    assert cells["dna_in_g1"].null_count() == cells.height


def test_cell_ids_are_the_labels(done):
    from pipelines.labels_store import read_labels

    _, layout, _ = done
    cells = pl.read_parquet(layout.cells).filter(pl.col("image_id") == "field1")
    labels = read_labels(layout.labels("field1"), "cells")
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    assert cells["cell_id"].to_list() == ids.tolist()
    assert cells["cell_area_px2"].to_list() == areas.tolist()


def test_aggregates_count_images_and_cells(done):
    _, layout, summary = done
    images = read_csv(layout.table("images"))
    assert [row["image_id"] for row in images] == ["field0", "field1", "field2"]
    assert sum(int(row["n_cells"]) for row in images) == summary.n_cells
    samples = read_csv(layout.table("samples"))
    assert [(row["donor"], row["n_images"]) for row in samples] == [("D0", "2"), ("D1", "1")]
    cells = pl.read_parquet(layout.cells).filter(pl.col("donor") == "D0")
    area = cells["nucleus_area_px2"]
    assert float(samples[0]["nucleus_area_px2_mean"]) == pytest.approx(area.mean(), rel=1e-12)
    assert float(samples[0]["nucleus_area_px2_median"]) == area.median()
    assert float(samples[0]["nucleus_area_px2_sd"]) == pytest.approx(area.std(), rel=1e-12)


def test_provenance_names_inputs_versions_and_model(done):
    _, layout, _ = done
    provenance = json.loads(layout.provenance.read_text())
    assert [image["files"][0]["path"] for image in provenance["images"]] == [
        "field0.tif",
        "field1.tif",
        "field2.tif",
    ]
    assert all(len(i["files"][0]["sha256"]) == 64 for i in provenance["images"])
    assert provenance["versions"]["cellpose"].startswith("4.2")
    assert len(provenance["models"][0]["sha256"]) == 64


def test_a_second_run_touches_nothing_and_gives_the_same_bytes(done):
    study, layout, _ = done
    before = times(layout.root)
    summary = run_here(study, layout.root, report=True)
    after = times(layout.root)
    assert summary.kept == 3
    assert [name for name in before if before[name] != after[name]] == sorted(CHANGING)


def test_the_same_inputs_give_the_same_tables_elsewhere(done, tmp_path):
    study, layout, _ = done
    run_here(study, tmp_path / "again")
    for path in sorted((layout.root / "tables").iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / "tables" / path.name).read_bytes()


def test_one_corrupt_image_of_ten(tmp_path):
    study = write_study(tmp_path, images=10)
    (tmp_path / "field4.tif").write_bytes((tmp_path / "field4.tif").read_bytes()[:300])
    layout = Layout(tmp_path / "out")
    first = run_here(study, layout.root)
    assert (first.n_images, first.n_failed) == (9, 1)
    failures = read_csv(layout.failures)
    assert [row["image_id"] for row in failures] == ["field4"]
    assert failures[0]["stage"] == "read"
    assert "field4.tif" in failures[0]["error"]
    assert "field4" not in pl.read_parquet(layout.cells)["image_id"].to_list()
    before = times(layout.root)
    del before["provenance.json"]  # it holds the time of the run
    second = run_here(study, layout.root)
    assert (second.kept, second.n_failed) == (9, 1)
    after = times(layout.root)
    assert {k: after[k] for k in before} == before
    write_study(tmp_path, images=10)  # the image is copied again, whole this time
    third = run_here(study, layout.root)
    assert (third.n_images, third.kept, third.n_failed) == (10, 9, 0)
    assert read_csv(layout.failures) == []


def test_a_changed_measurement_keeps_the_labels(tmp_path):
    study = write_study(tmp_path, images=1)
    layout = Layout(tmp_path / "out")
    run_here(study, layout.root)
    labels = times(layout.labels("field0"))
    part = layout.marker("field0").stat().st_mtime_ns
    write_settings(tmp_path, threshold=3)
    assert run_here(study, layout.root).kept == 0
    assert times(layout.labels("field0")) == labels
    assert layout.marker("field0").stat().st_mtime_ns != part


def test_a_changed_segmentation_makes_new_labels(tmp_path):
    study = write_study(tmp_path, images=1)
    layout = Layout(tmp_path / "out")
    run_here(study, layout.root)
    labels = times(layout.labels("field0"))
    write_settings(tmp_path, distance=8)
    run_here(study, layout.root)
    assert times(layout.labels("field0")) != labels


def test_a_changed_sample_table_measures_nothing_again(tmp_path):
    study = write_study(tmp_path, images=2)
    run_here(study, tmp_path / "out")
    write_samples(tmp_path, [{"image": f"field{i}.tif", "animal": f"M{i}"} for i in range(2)])
    assert run_here(study, tmp_path / "out").kept == 2
    assert "animal" in pl.read_parquet(Layout(tmp_path / "out").cells).columns


def test_a_changed_image_is_measured_again(tmp_path):
    study = write_study(tmp_path, images=2)
    run_here(study, tmp_path / "out")
    (tmp_path / "field0.tif").write_bytes((tmp_path / "field1.tif").read_bytes())
    assert run_here(study, tmp_path / "out").kept == 1


def test_parts_of_other_settings_stay_out_of_the_tables(tmp_path):
    study = write_study(tmp_path, images=2)
    run_here(study, tmp_path / "out")
    write_settings(tmp_path, threshold=3)
    summary = run_here(study, tmp_path / "out", only="field0")
    assert summary.n_images == 1


def test_only_runs_what_matches_and_keeps_earlier_failures(tmp_path):
    study = write_study(tmp_path, images=2)
    (tmp_path / "field1.tif").write_bytes(b"")
    assert run_here(study, tmp_path / "out").n_failed == 1
    summary = run_here(study, tmp_path / "out", only="field0")
    assert (summary.n_images, summary.n_failed) == (1, 1)
    with pytest.raises(StudyError, match="no image id matches"):
        run_here(study, tmp_path / "out", only="plate*")


@pytest.mark.parametrize(
    ("name", "pixels", "stage", "message"),
    [
        ("all zero", np.zeros((64, 64), np.uint16), "read", "value 0 in every pixel"),
        ("nan", np.full((64, 64), np.nan, np.float32), "segment", "NaN"),
        ("unnamed axes", np.ones((3, 2, 64, 64), np.uint8), "read", "Q=3, Q=2"),
    ],
)
def test_an_unusable_image_is_a_failure_that_says_why(tmp_path, name, pixels, stage, message):
    study = write_study(tmp_path, images=2)
    axes = "QQYX" if pixels.ndim == 4 else "YX"
    tifffile.imwrite(tmp_path / "field0.tif", pixels, metadata={"axes": axes})
    summary = run_here(study, tmp_path / "out")
    assert (summary.n_images, summary.n_failed) == (1, 1)
    failure = read_csv(Layout(tmp_path / "out").failures)[0]
    assert failure["stage"] == stage
    assert message in failure["error"]


def test_an_image_without_cells_is_counted_with_none(tmp_path):
    """No cell is a result, not a failure: the field stays in images.csv with 0 cells."""
    study = write_study(tmp_path, images=2)
    noise = np.random.default_rng(0).poisson(100, (96, 96)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "field0.tif", noise)
    assert run_here(study, tmp_path / "out", report=True).n_failed == 0
    image = read_csv(Layout(tmp_path / "out").table("images"))[0]
    assert image["n_cells"] == "0"
    assert "no_cells" in image["flags"]


def test_an_image_with_far_fewer_cells_than_the_others_carries_a_flag(tmp_path):
    """Only the study can tell, so the flag changes nothing that was measured."""
    study = write_study(tmp_path, images=7)
    layout = Layout(tmp_path / "out")
    noise = np.random.default_rng(0).poisson(100, (96, 96)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "field3.tif", noise)
    run_here(study, tmp_path / "out")
    images = read_csv(layout.table("images"))
    assert "too_few_cells" in images[3]["flags"]
    assert float(images[3]["cell_count_z"]) < -3.5
    others = images[:3] + images[4:]
    assert not any("too_" in row["flags"] for row in others)
    assert "too_few" not in layout.marker("field3").read_text()


def test_a_saturated_image_carries_a_flag(tmp_path):
    study = write_study(tmp_path, images=2)
    bright = tifffile.imread(tmp_path / "field0.tif").astype(float) * 3
    tifffile.imwrite(tmp_path / "field0.tif", np.clip(bright, 0, 255).astype(np.uint8))
    run_here(study, tmp_path / "out")
    assert "dna_saturated" in read_csv(Layout(tmp_path / "out").table("images"))[0]["flags"]


def test_every_image_failing_still_leaves_tables_and_a_report(tmp_path):
    study = write_study(tmp_path, images=2)
    for i in range(2):
        tifffile.imwrite(tmp_path / f"field{i}.tif", np.zeros((64, 64), np.uint8))
    summary = run_here(study, tmp_path / "out", report=True)
    assert (summary.n_images, summary.n_failed) == (0, 2)
    assert summary.report.is_file()


def test_lengths_are_in_um_where_the_pixel_size_is_known(tmp_path):
    study = write_study(tmp_path, images=1, pixel_size="0.5")
    run_here(study, tmp_path / "um")
    um = pl.read_parquet(Layout(tmp_path / "um").cells)
    write_settings(tmp_path, pixel_size="unknown")
    run_here(study, tmp_path / "px")
    px = pl.read_parquet(Layout(tmp_path / "px").cells)
    assert "nucleus_area_px2" not in um.columns
    np.testing.assert_allclose(um["nucleus_area_um2"], px["nucleus_area_px2"] * 0.25)
    np.testing.assert_allclose(um["nucleus_perimeter_um"], px["nucleus_perimeter_px"] * 0.5)


def test_restart_forgets_what_was_there(tmp_path):
    study = write_study(tmp_path, images=1)
    run_here(study, tmp_path / "out")
    assert run_here(study, tmp_path / "out", restart=True).kept == 0


def test_excluded_cells_stay_in_the_cells_table(tmp_path):
    study = write_study(tmp_path, images=1, more="exclude: {flags: [touches_border]}")
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    cells = pl.read_parquet(layout.cells)
    inside = cells.filter(~pl.col("touches_border"))
    image = read_csv(layout.table("images"))[0]
    assert int(image["n_cells"]) == inside.height < cells.height
    assert int(image["n_excluded"]) == cells.height - inside.height
    mean = float(image["nucleus_area_px2_mean"])
    assert mean == pytest.approx(inside["nucleus_area_px2"].mean(), rel=1e-12)


def test_positive_cells_and_their_thresholds(tmp_path):
    rule = "{of: dna_nucleus_mean, controls: {donor: D0}, percentile: 90}"
    second = "{of: nucleus_area_px2, rule: fixed, value: 250}"
    more = f"positivity: {{bright: {rule}, large: {second}}}"
    study = write_study(tmp_path, images=4, more=more)
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    cells = pl.read_parquet(layout.cells)
    together = [r for r in read_csv(layout.table("copositivity")) if r["donor"] == "D1"]
    both = pl.col("bright_positive") & pl.col("large_positive") & (pl.col("donor") == "D1")
    assert int(together[-1]["n"]) == cells.filter(both).height
    assert layout.table("marker_pairs").is_file()
    threshold = float(read_csv(layout.table("thresholds"))[0]["threshold"])
    controls = cells.filter(pl.col("donor") == "D0")["dna_nucleus_mean"]
    assert threshold == pytest.approx(np.percentile(controls, 90))
    assert cells["bright_positive"].to_list() == (cells["dna_nucleus_mean"] > threshold).to_list()
    for level in ("images", "samples"):
        for row in read_csv(layout.table(level)):
            observed = float(row["bright_positive_fraction"])
            corrected = float(row["bright_positive_corrected_fraction"])
            assert corrected == pytest.approx((observed - 0.1) / 0.9)
    assert_all_defined(layout)


def test_pictures_show_who_is_positive_and_only_what_changed_is_drawn_again(tmp_path):
    """Without positivity, with it, at another value, without it again, from nothing."""
    study = write_study(tmp_path, images=2)
    layout = Layout(tmp_path / "out")
    files = [layout.qc("field0"), layout.qc("field1")]

    def pictures(rule=""):
        write_settings(tmp_path, more=rule and f"positivity: {{bright: {rule}}}")
        assert run_here(study, layout.root).lost_pictures == ()
        return [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]

    plain = pictures()
    cells = pl.read_parquet(layout.cells)
    by_image = [
        cells.filter(pl.col("image_id") == i)["dna_nucleus_mean"] for i in ("field0", "field1")
    ]
    order = sorted((by_image[i].max(), i) for i in range(2))
    fixed = "{{of: dna_nucleus_mean, rule: fixed, value: {}}}"
    between = fixed.format((order[0][0] + order[1][0]) / 2)
    above = fixed.format(order[1][0] * 2)
    none = pictures(above)
    assert none[0][0] != plain[0][0]
    some = pictures(between)
    brighter = order[1][1]
    assert some[brighter] != none[brighter]
    assert some[1 - brighter] == none[1 - brighter]
    assert pictures(between) == some
    again = pictures()
    assert [content for content, _ in again] == [content for content, _ in plain]
    write_settings(tmp_path, more=f"positivity: {{bright: {between}}}")
    run_here(study, tmp_path / "anew")
    anew = [Layout(tmp_path / "anew").qc(name).read_bytes() for name in ("field0", "field1")]
    assert anew == [content for content, _ in some]


def test_a_picture_that_cannot_be_drawn_stops_nothing(tmp_path):
    study = write_study(tmp_path, images=1)
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    rule = "{bright: {of: dna_nucleus_mean, rule: fixed, value: 1}}"
    write_settings(tmp_path, more=f"positivity: {rule}")
    shutil.rmtree(layout.labels("field0"))
    summary = run_here(study, layout.root)
    assert [lost.image_id for lost in summary.lost_pictures] == ["field0"]
    assert summary.n_images == 1
    assert not layout.qc("field0").exists()


def test_reference_units_are_gated_by_the_others(tmp_path):
    more = (
        "positivity: {bright: {of: dna_nucleus_mean, controls: {group: control}, percentile: 90}}\n"
        "statistics: {unit: donor, factors: [group], reference: {group: control}}"
    )
    study = write_study(tmp_path, images=3, more=more)
    rows = [
        {"image": f"field{i}.tif", "donor": f"D{i}", "group": "control" if i < 2 else "case"}
        for i in range(3)
    ]
    write_samples(tmp_path, rows)
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    cells = pl.read_parquet(layout.cells)
    thresholds = read_csv(layout.table("thresholds"))
    by_left_out = {row["left_out_unit"]: float(row["threshold"]) for row in thresholds}
    value = {d: cells.filter(pl.col("donor") == d)["dna_nucleus_mean"] for d in ("D0", "D1")}
    assert by_left_out["D0"] == pytest.approx(np.percentile(value["D1"], 90))
    assert by_left_out["D1"] == pytest.approx(np.percentile(value["D0"], 90))
    own = cells.filter(pl.col("donor") == "D0")
    assert own["bright_positive"].to_list() == (value["D0"] > by_left_out["D0"]).to_list()
    groups = read_csv(layout.table("groups"))
    assert [(g["group"], g["n_units"]) for g in groups] == [("control", "2"), ("case", "1")]
    assert_all_defined(layout)


def test_excluded_cells_decide_no_threshold(tmp_path):
    rule = "{of: dna_nucleus_mean, controls: {donor: D0}, percentile: 90}"
    more = f"positivity: {{bright: {rule}}}\nexclude: {{flags: [touches_border]}}"
    study = write_study(tmp_path, images=2, more=more)
    run_here(study, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    cells = pl.read_parquet(layout.cells)
    inside = cells.filter((pl.col("donor") == "D0") & ~pl.col("touches_border"))
    threshold = read_csv(layout.table("thresholds"))[0]
    assert int(threshold["n_cells"]) == inside.height
    assert float(threshold["threshold"]) == pytest.approx(
        np.percentile(inside["dna_nucleus_mean"], 90)
    )


def test_excluding_an_unknown_flag_is_an_error(tmp_path):
    study = write_study(tmp_path, images=1, more="exclude: {flags: [touches_boarder]}")
    with pytest.raises(StudyError, match="did you mean 'touches_border'"):
        run_here(study, tmp_path / "out")


def test_a_sample_column_may_not_hide_a_measured_one(tmp_path):
    study = write_study(tmp_path, images=1)
    write_samples(tmp_path, [{"image": "field0.tif", "n_nuclei": 3}])
    with pytest.raises(StudyError, match="n_nuclei: senescope measures"):
        run_here(study, tmp_path / "out")


def test_sample_columns_named_like_the_reports_own(tmp_path):
    more = "statistics: {unit: unit, factors: [group, value], reference: {group: a}}"
    study = write_study(tmp_path, images=2, more=more)
    rows = [
        {"image": f"field{i}.tif", "unit": i, "group": "ab"[i], "value": i, "series": "x"}
        for i in range(2)
    ]
    write_samples(tmp_path, rows)
    assert run_here(study, tmp_path / "out", report=True).report.is_file()
