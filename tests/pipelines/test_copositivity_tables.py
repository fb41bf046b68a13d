"""Markers in one cell: counts of units by hand, groups as means of units, and their figure."""

import numpy as np
import polars as pl
import pytest

from measurements.columns import Column
from pipelines.report.data import read_run
from pipelines.report.together import together_figure
from pipelines.run.copositivity import CoDesign, count_together
from pipelines.run.layout import Layout
from tests.pipelines.test_report import make_run

DONOR, GROUP = (Column(name, "", "str", name, "sample table") for name in ("donor", "group"))


def write_cells(folder, units):
    """Cells of units: (group, donor) -> list of (p21, p16, debris)."""
    rows = [
        {"group": g, "donor": d, "p21_positive": a, "p16_positive": b, "debris": x}
        for (g, d), cells in units.items()
        for a, b, x in cells
    ]
    path = Layout(folder).cells
    path.parent.mkdir(parents=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return Layout(folder)


def design(**changes):
    settings = {
        "markers": ["p21", "p16"], "units": [GROUP, DONOR], "groups": ["group"],
        "exclude": ["debris"], "reference": {"group": "young"},
    }  # fmt: skip
    return CoDesign(**(settings | changes))


@pytest.fixture
def tables(tmp_path):
    both, one, none = (True, True, False), (True, False, False), (False, False, False)
    layout = write_cells(
        tmp_path,
        {
            ("old", "O1"): [both] * 6 + [one] * 2 + [none] * 2 + [(True, True, True)] * 5,
            ("old", "O2"): [both] * 2 + [one] * 2 + [none] * 6 + [(None, True, False)],
            ("young", "Y1"): [one] * 1 + [none] * 3,
        },
    )
    found = count_together(layout, design())
    return {name: pl.DataFrame(table.rows) for name, table in found.items()}


def row(frame, **wanted):
    found = frame.filter(*(pl.col(name) == value for name, value in wanted.items()))
    assert found.height == 1
    return found.row(0, named=True)


def test_units_are_counted_without_excluded_and_unjudged_cells(tables):
    found = row(tables["copositivity"], donor="O1", combination="p21+ p16+")
    assert (found["n"], found["n_cells"], found["n_left_out"]) == (6, 10, 0)
    assert found["expected_fraction"] == pytest.approx(0.8 * 0.6)
    assert found["enrichment"] == pytest.approx(0.6 / 0.48)
    found = row(tables["copositivity"], donor="O2", combination="p21+ p16-")
    assert (found["n"], found["n_cells"], found["n_left_out"]) == (2, 10, 1)


def test_groups_are_means_of_units_not_of_cells(tables):
    found = row(tables["copositivity"], level="group", group="old", combination="p21+ p16+")
    assert found["donor"] is None
    assert found["n_units"] == 2
    assert found["fraction"] == pytest.approx((0.6 + 0.2) / 2)
    assert found["fraction_sd"] == pytest.approx(np.std([0.6, 0.2], ddof=1))
    assert found["expected_fraction"] == pytest.approx((0.8 * 0.6 + 0.4 * 0.2) / 2)
    assert found["n"] == 8
    alone = row(tables["copositivity"], level="group", group="young", combination="p21+ p16+")
    assert alone["fraction"] == 0
    assert alone["fraction_sd"] is None


def test_the_reference_group_comes_first_and_absent_combinations_not_at_all(tables):
    frame = tables["copositivity"]
    assert frame["group"].unique(maintain_order=True).to_list() == ["young", "old"]
    assert frame["level"].unique(maintain_order=True).to_list() == ["unit", "group"]
    assert "p21- p16+" not in frame["combination"].to_list()


def test_pairs_of_a_group(tables):
    units = [row(tables["marker_pairs"], donor=donor) for donor in ("O1", "O2")]
    assert [u["n_both"] for u in units] == [6, 2]
    assert units[0]["odds_ratio"] == pytest.approx(6.5 * 2.5 / (2.5 * 0.5))
    group = row(tables["marker_pairs"], level="group", group="old")
    assert group["phi"] == pytest.approx(np.mean([u["phi"] for u in units]))
    logs = np.log([u["odds_ratio"] for u in units])
    assert group["odds_ratio"] == pytest.approx(np.exp(logs.mean()))
    # t of 97.5 % with 1 degree of freedom is 12.706.
    reach = 12.7062 * logs.std(ddof=1) / np.sqrt(2)
    assert group["odds_ratio_ci_low"] == pytest.approx(np.exp(logs.mean() - reach), rel=1e-4)
    young = row(tables["marker_pairs"], level="group", group="young")
    assert young["phi"] is None
    assert young["odds_ratio"] is None


def test_without_groups_there_are_units_alone(tmp_path):
    layout = write_cells(tmp_path, {("a", "A"): [(True, False, False)] * 3})
    tables = count_together(layout, design(groups=[], units=[DONOR], reference={}))
    assert [r["level"] for r in tables["copositivity"].rows] == ["unit"]
    assert tables["copositivity"].rows[0]["n"] == 3


@pytest.mark.parametrize("markers", [[], ["p21"], [f"m{i}" for i in range(11)]])
def test_one_marker_and_too_many_have_no_table(tmp_path, markers):
    assert count_together(Layout(tmp_path), design(markers=markers)) == {}


def figure_of(tmp_path, tables):
    folder = make_run(tmp_path / "run")
    table = tables["copositivity"].rename({"group": "genotype"})
    table.write_csv(folder / "tables" / "copositivity.csv")
    return together_figure(read_run(folder), "k")


def test_the_figure_says_the_groups_means(tmp_path, tables):
    figure = figure_of(tmp_path, tables)
    assert "p21+ p16+: young 0.0%, old 40.0%" in figure.drawing.svg
    assert "p21+ p16-: young 25.0%, old 20.0%" in figure.drawing.svg
    assert figure.note == f"{np.mean([0.75, 0.2, 0.6]):.1%} of cells are negative for all markers."
    assert not figure.drawing.wide


def test_no_figure_where_no_cell_is_positive(tmp_path, tables):
    none = tables["copositivity"].filter(pl.col("n_markers_positive") == 0)
    assert figure_of(tmp_path, {"copositivity": none}) is None
    assert together_figure(read_run(make_run(tmp_path / "other")), "k") is None
