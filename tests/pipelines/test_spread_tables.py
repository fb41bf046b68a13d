"""Spread in a study: settings, units from their sections, groups from units, and the report."""

import numpy as np
import polars as pl
import pytest

from measurements.columns import Column
from pipelines.errors import StudyError
from pipelines.report.data import read_run
from pipelines.report.spread import spread_figures
from pipelines.run.cohort import Cohort
from pipelines.run.layout import Layout
from pipelines.run.spread import spread_rows
from pipelines.run.spread_columns import RING_COLUMNS, SPREAD_COLUMNS
from pipelines.selection import chosen, written_otherwise
from pipelines.simulate.tissue import TissueSettings, simulate_tissue
from pipelines.study.model import parse_study
from pipelines.study.neighbours import Neighbours
from pipelines.study.neighbours_check import neighbours_problems
from tests.pipelines.test_report import make_run
from tests.reporter_studies import grid_labels, write_reporter_study
from tests.studies import read_csv, run_here, times

ANIMAL, ARM = (Column(name, "", "str", name, "sample table") for name in ("animal", "arm"))
DESIGN = Cohort([ARM, ANIMAL], ["arm"], ["debris"], {"arm": "vehicle"})
ASKED = Neighbours(
    type="neighbours",
    source={"reporter_class": ("primary", "double")},
    response="p21_positive",
    contact_um=20,
    shifts=39,
)


def sections(animal, arm, seeds, effect):
    settings = TissueSettings(height_um=600, width_um=600, effect=effect, patch_strength=0.5)
    for seed in seeds:
        tissue = simulate_tissue(settings, seed)
        n = len(tissue.positions_um)
        yield pl.DataFrame(
            {
                "image_id": [f"{animal}_{seed}"] * n,
                "animal": [animal] * n,
                "arm": [arm] * n,
                "cell_y_um": tissue.positions_um[:, 0],
                "cell_x_um": tissue.positions_um[:, 1],
                "reporter_class": np.where(tissue.source, "primary", "negative"),
                "p21_positive": tissue.response,
                "debris": np.zeros(n, bool),
            }
        )


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = Layout(tmp_path_factory.mktemp("spread"))
    layout.cells.parent.mkdir(parents=True)
    frames = [
        *sections("V1", "vehicle", (1, 2), 0.8),
        *sections("V2", "vehicle", (3,), 0.8),
        *sections("B1", "blocked", (4,), 0.0),
    ]
    bare = frames[-1].with_columns(
        pl.lit("B2").alias("animal"), pl.lit("B2_9").alias("image_id"),
        pl.lit("negative").alias("reporter_class"),
    )  # fmt: skip
    pl.concat([*frames, bare]).write_parquet(layout.cells)
    return layout


@pytest.fixture(scope="module")
def tables(layout):
    spread, rings = spread_rows(layout, ASKED, DESIGN)
    return pl.DataFrame(spread, infer_schema_length=None), pl.DataFrame(rings)


def test_each_animal_has_one_estimate_from_its_sections(tables):
    spread, _ = tables
    first = spread.filter(pl.col("animal") == "V1", pl.col("within_um") == 30)
    assert first.height == 1
    assert first["n_sections"][0] == 2
    assert first["difference"][0] > 0.1
    assert first["ci_low"][0] < first["difference"][0] < first["ci_high"][0]
    assert first["p_any"][0] <= 0.05
    assert first["contact_um"][0] == 20


def test_groups_are_means_of_animals_and_a_single_animal_has_no_p(tables):
    spread, _ = tables
    at = spread.filter(pl.col("within_um") == 30)
    units = at.filter(pl.col("level") == "unit", pl.col("arm") == "vehicle")["difference"]
    group = at.filter(pl.col("level") == "group", pl.col("arm") == "vehicle")
    assert group["difference"][0] == pytest.approx(units.mean())
    assert group["n_units"][0] == 2
    assert group["p"][0] is not None
    alone = at.filter(pl.col("level") == "group", pl.col("arm") == "blocked")
    assert alone["n_units"][0] == 1
    assert alone["p"][0] is None


def test_an_animal_without_sources_is_a_row_that_says_so(tables):
    spread, _ = tables
    bare = spread.filter(pl.col("animal") == "B2")
    assert bare.height == 1
    assert bare["n_sections_used"][0] == 0
    assert "0 sources" in bare["note"][0]
    assert bare["difference"][0] is None


def test_pairs_are_told_from_the_unevenness_of_the_tissue(tables):
    _, rings = tables
    mine = rings.filter(pl.col("animal") == "V1", pl.col("to_um").is_not_nan())
    ratio = (mine["pair_correlation"] / mine["pair_correlation_of_all"]).to_list()
    assert ratio[2] > 1.15
    assert ratio[2] > ratio[4]
    assert mine["source_within_fraction"].is_sorted()
    assert mine["cross_k_um2"].is_sorted()


def test_rings_share_out_the_responders(tables):
    spread, rings = tables
    mine = rings.filter(pl.col("animal") == "V1")
    n = spread.filter(pl.col("animal") == "V1")["n_responders"][0]
    assert mine["n"].sum() == n
    assert mine["contact"].to_list() == [True, True, False, False, False, False]
    near, far = mine["fraction"][2], mine["fraction"][4]
    assert near > far


def test_every_written_column_is_defined(tables):
    for frame, columns in zip(tables, (SPREAD_COLUMNS, RING_COLUMNS), strict=True):
        assert set(frame.columns) <= {c.name for c in columns} | {"animal", "arm"}


def test_cells_are_chosen_by_all_columns_and_missing_values_are_not():
    cells = pl.DataFrame({"a": ["x", "y", None], "b": [True, True, True]})
    kept = cells.select(chosen({"a": ("x", "z"), "b": True}).alias("k"))["k"]
    assert kept.to_list() == [True, False, False]
    assert cells.select(pl.col("a"), chosen({}).alias("k"))["k"].to_list() == [True] * 3


def test_a_value_in_another_case_is_no_match_and_is_told():
    cells = pl.DataFrame({"zone": ["Central", "portal", None], "late": [True, False, None]})
    assert not cells.select(chosen({"zone": "central"}).alias("k"))["k"].any()
    said = written_otherwise({"late": True, "zone": ("portal", "central")}, cells.lazy())
    assert said == "no cell has zone 'central', but some have 'Central'; write it so"
    for there in ({"zone": "portal"}, {"zone": "middle"}, {"late": (True, False)}, {}):
        assert written_otherwise(there, cells.lazy()) == ""


def test_a_column_that_is_not_there_is_named(layout):
    asked = ASKED.model_copy(update={"response": "p21_positiv"})
    with pytest.raises(StudyError, match="p21_positive"):
        spread_rows(layout, asked, DESIGN)


def test_the_report_draws_the_rings_and_says_them_in_words(tables, tmp_path):
    folder = make_run(tmp_path)
    _, rings = tables
    rings.write_csv(Layout(folder).table("spread_rings"))
    figures = spread_figures(read_run(folder), "k")
    assert [figure.title for figure in figures] == ["spread"]
    assert "Share of cells that respond by distance" in figures[0].drawing.svg
    Layout(folder).table("spread_rings").unlink()
    assert spread_figures(read_run(folder), "k") == []


@pytest.mark.slow
def test_a_run_leaves_both_tables_and_asks_anew_without_measuring_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: grid_labels())
    design = "{unit: animal, factors: [dox], outcomes: [secondary_per_mm2]}"
    path, truth = write_reporter_study(tmp_path, more=f"statistics: {design}")
    asked = (
        "  - {type: neighbours, source: {reporter_class: [primary, double]}, "
        "response: reporter_class_secondary, rings_um: [0, 20, 40], contact_um: 10, shifts: 19}\n"
        "  - {type: density, name: secondary, cells: {reporter_class: secondary}, "
        "sums: [cell_area_um2]}\n"
    )
    before, after = path.read_text().split("statistics:")
    path.write_text(f"{before}{asked}statistics:{after}")
    run_here(path, tmp_path / "out")
    layout = Layout(tmp_path / "out")
    spread, rings = (read_csv(layout.table(name)) for name in ("spread", "spread_rings"))
    units = [row for row in spread if row["level"] == "unit"]
    assert {row["animal"] for row in units} == {f"A{k}{i}" for k in ("no", "dox") for i in range(4)}
    assert [row["dox"] for row in spread if row["level"] == "group"]
    assert {row["contact"] for row in rings} == {"True", "False"}
    _check_distances(pl.read_parquet(layout.cells))
    _check_densities(layout, truth)
    defined = {r["column"] for r in read_csv(layout.table("columns")) if r["table"] == "spread"}
    assert defined == set(spread[0])
    measured = times(tmp_path / "out" / "parts")
    path.write_text(path.read_text().replace("shifts: 19", "shifts: 39"))
    run_here(path, tmp_path / "out", report=True)
    assert times(tmp_path / "out" / "parts") == measured
    assert {row["n_shifts"] for row in read_csv(layout.table("spread"))} == {"39"}
    assert "Spread" in layout.report.read_text(encoding="utf-8")


def _check_distances(cells):
    """Cells lie 15 µm apart in rows of five, each image's sources as its classes say."""
    image = cells.filter(pl.col("image_id") == "dox0").sort("cell_id")
    places = np.column_stack(np.divmod(np.arange(25), 5)) * 15.0
    source = image["reporter_class"].is_in(["primary", "double"]).to_numpy()
    apart = np.linalg.norm(places[:, None] - places[None, source], axis=2)
    apart[apart == 0] = np.inf
    assert image["spread_source_distance_um"].to_numpy() == pytest.approx(apart.min(axis=1), abs=1)
    assert image["spread_source_distance_certain"].any()
    is_source = pl.col("reporter_class").is_in(["primary", "double"]).any().over("image_id")
    without = cells.filter(~is_source)
    assert without.height >= 50
    assert without["spread_source_distance_um"].null_count() == without.height


def _check_densities(layout, truth):
    rows = {r["image_id"]: r for r in read_csv(layout.table("densities"))}
    found = rows["dox0"]
    # The image of 75 µm is full of cells 15 µm apart.
    assert float(found["image_mm2"]) == pytest.approx(75**2 / 1e6)
    assert float(found["tissue_mm2"]) == pytest.approx(75**2 / 1e6, rel=0.15)
    assert abs(int(found["secondary_n"]) - truth["dox0"].count("secondary")) <= 1
    per_mm2 = int(found["secondary_n"]) / float(found["tissue_mm2"])
    assert float(found["secondary_per_mm2"]) == pytest.approx(per_mm2)
    assert float(found["secondary_cell_area_um2_n"]) > 0
    tests = [r for r in read_csv(layout.table("statistics")) if r["role"] == "primary"]
    assert [(r["outcome"], r["n_units"], r["n_units_reference"]) for r in tests] == [
        ("secondary_per_mm2", "4", "4")
    ]
    # Every animal with doxycycline has the same number of them, and so no test is possible.
    assert "all equal" in tests[0]["note"]
    on = [float(r["secondary_per_mm2"]) for r in rows.values() if r["image_id"].startswith("dox")]
    off = [float(r["secondary_per_mm2"]) for r in rows.values() if r["image_id"].startswith("no")]
    assert abs(float(tests[0]["estimate"])) == pytest.approx(np.mean(on) - np.mean(off))


STUDY = """
study: s
samples: samples.csv
channels: {{dapi: 0, gfp: 1, mcherry: 2}}
segmentation: {{nuclei: {{channel: dapi, diameter_um: 9}}}}
measurements:
  - {{type: reporters, channels: [mcherry, gfp], bleed_through: c.csv}}
  - {{type: neighbours, source: {{reporter_class: mcherry}}, response: gfp_positive{more}}}
{rest}
"""


def test_the_check_asks_for_places_and_warns_of_doubles_as_responders():
    study = parse_study(STUDY.format(more="", rest=""), "study.yaml")
    found = neighbours_problems(study)
    assert [p.level for p in found] == ["error", "warning"]
    assert "mcherry_gfp" in found[1].message


def test_rings_that_do_not_rise_and_a_wide_contact_are_refused():
    for more in (", rings_um: [0, 20, 10]", ", contact_um: 500"):
        with pytest.raises(StudyError, match="rings_um"):
            parse_study(STUDY.format(more=more, rest=""), "study.yaml")
