"""The report's gates: which cells are controls, where bins and ticks lie, what is said in words."""

import numpy as np
import polars as pl
import pytest

from pipelines.report.axes import Quantity
from pipelines.report.data import read_run
from pipelines.report.gates import MOST_BATCHES, gate_figures
from pipelines.report.histogram import Panel, asinh_ticks, bin_edges, gate_histogram, linear_width
from pipelines.report.page import build_report
from tests.pipelines.test_report import EVIL, Page, make_run, write_provenance

NONE = np.zeros(0)
FOCI = Quantity("gh2ax foci count", "count")


def panel(controls=NONE, others=NONE, threshold=5.0, name="", left_out=NONE):
    return Panel(name, np.asarray(controls, float), np.asarray(others, float), threshold,
                 (4.0, 6.0), left_out)  # fmt: skip


def threshold_row(**changes):
    row = {
        "name": "hit", "of": "gh2ax_foci_count", "rule": "control_percentile", "by": None,
        "batch": None, "left_out_unit": None, "threshold": 7.0, "ci_low": 6.0, "ci_high": 8.0,
        "note": "",
    }  # fmt: skip
    return row | changes


def write_gates(folder, rows, controls):
    pl.DataFrame(rows, infer_schema_length=None).write_csv(folder / "tables" / "thresholds.csv")
    write_provenance(folder, gates={"hit": {"controls": controls}})
    return read_run(folder)


def test_controls_are_told_from_the_others(tmp_path):
    run = write_gates(make_run(tmp_path / "run"), [threshold_row()], {"genotype": "healthy"})
    [figure] = gate_figures(run, "k")
    cells = pl.read_parquet(tmp_path / "run" / "tables" / "cells.parquet")
    above = {
        genotype: cells.filter(pl.col("genotype") == genotype).select(
            (pl.col("gh2ax_foci_count") > 7).mean()
        ).item()
        for genotype in ("healthy", "WS")
    }  # fmt: skip
    expected = f"above it {above['healthy']:.1%} of controls, {above['WS']:.1%} of others"
    assert expected in figure.drawing.svg
    assert "control cells (120)" in figure.drawing.svg
    assert figure.title == "hit"


def test_without_controls_all_cells_are_one_histogram(tmp_path):
    row = threshold_row(rule="otsu", note="Otsu always splits")
    run = write_gates(make_run(tmp_path / "run"), [row], {})
    [figure] = gate_figures(run, "k")
    assert "control" not in figure.drawing.svg
    assert ">cells (240)<" in figure.drawing.svg
    assert figure.note.endswith("Otsu always splits.")


def test_each_batch_has_its_own_threshold_and_many_are_counted(tmp_path):
    donors = [f"D{i:02d}" for i in range(MOST_BATCHES + 2)]
    folder = make_run(tmp_path / "run", donors=donors, groups=dict.fromkeys(donors, "healthy"))
    rows = [threshold_row(by="donor", batch=d, threshold=i) for i, d in enumerate(donors)]
    [figure] = gate_figures(write_gates(folder, rows, {"genotype": "healthy"}), "k")
    assert "donor D00: threshold 0" in figure.drawing.svg
    assert f"threshold {MOST_BATCHES - 1}" in figure.drawing.svg
    assert f"threshold {MOST_BATCHES}," not in figure.drawing.svg
    assert "2 are not" in figure.note


def test_thresholds_of_single_units_are_not_the_gate(tmp_path):
    rows = [threshold_row(left_out_unit="H1", threshold=1.0), threshold_row()]
    [figure] = gate_figures(
        write_gates(make_run(tmp_path / "run"), rows, {"genotype": "healthy"}), "k"
    )
    assert "threshold 7," in figure.drawing.svg
    assert "threshold for a control unit" in figure.drawing.svg


def test_a_refused_gate_is_drawn_without_a_line(tmp_path):
    row = threshold_row(threshold=None, ci_low=None, ci_high=None, note="no control cells")
    [figure] = gate_figures(write_gates(make_run(tmp_path / "run"), [row], {"genotype": "x"}), "k")
    assert "no threshold" in figure.drawing.svg
    assert figure.note == "No control cells."


def test_numbers_as_batches_and_controls_match_as_numbers(tmp_path):
    folder = make_run(tmp_path / "run", donors=("1", "2"), groups={"1": "0", "2": "3.0"})
    rows = [threshold_row(by="donor", batch="1.0"), threshold_row(by="donor", batch="2.0")]
    [figure] = gate_figures(write_gates(folder, rows, {"genotype": 3}), "k")
    assert "control cells (60)" in figure.drawing.svg
    assert "donor 2.0: threshold 7" in figure.drawing.svg


def test_a_gated_column_that_is_gone_has_no_figure(tmp_path):
    run = write_gates(make_run(tmp_path / "run"), [threshold_row(of="nowhere")], {})
    assert gate_figures(run, "k") == []


def test_the_page_has_the_figures_escaped_and_described(tmp_path):
    row = threshold_row(by="donor", batch="H1", note=EVIL)
    write_gates(make_run(tmp_path / "run"), [row], {"genotype": "healthy"})
    page = Page(build_report([tmp_path / "run"], tmp_path / "run" / "report.html"))
    assert "gates" in page.headings()
    assert EVIL not in page.scripts
    labels = [a["aria-label"] for a in page.all("svg")]
    assert any(text.startswith("Distribution of gh2ax foci count") for text in labels)


def test_the_same_figure_twice_is_the_same_bytes():
    values = np.random.default_rng(0).normal(size=300)
    twice = [
        gate_histogram([panel(values, values + 3)], FOCI, "k", logarithmic=False) for _ in range(2)
    ]
    assert twice[0] == twice[1]


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [0.0, 1e12], [-5.0, 0.0, 5.0]])
def test_odd_samples_are_drawn(values):
    for logarithmic in (True, False):
        assert gate_histogram([panel(others=values)], FOCI, "k", logarithmic=logarithmic)
    assert gate_histogram([panel()], FOCI, "k", logarithmic=False) is None


def test_counts_have_bins_around_whole_numbers():
    edges = bin_edges(np.array([0.0, 1, 2, 9]), [4.0], None)
    np.testing.assert_array_equal(edges, np.arange(11) - 0.5)


def test_a_threshold_beyond_the_cells_is_on_the_axis():
    edges = bin_edges(np.linspace(0, 1, 1000), [3.0, np.nan], None)
    assert edges[0] < 0.01
    assert edges[-1] > 3


def test_skewed_values_have_a_logarithmic_axis():
    rng = np.random.default_rng(0)
    assert linear_width(rng.normal(10, 1, 5000), 3.0) is None
    assert linear_width(np.exp(rng.normal(0, 1.5, 5000)), 3.0) is not None
    edges = bin_edges(np.exp(rng.normal(0, 1.5, 5000)), [], 0.5)
    widths = np.diff(np.arcsinh(edges / 0.5))
    np.testing.assert_allclose(widths, widths[0])


def test_ticks_are_round_and_apart():
    ticks = asinh_ticks(-20, 3000, 10)
    assert {0.0, 10.0, 100.0, 1000.0} <= set(ticks)
    places = np.arcsinh(np.array(ticks) / 10)
    assert np.diff(places).min() >= 0.08 * (np.arcsinh(300) - np.arcsinh(-2)) - 1e-9
    assert all(f"{abs(tick):e}"[0] in "0125" for tick in ticks)
    assert asinh_ticks(0.001, 0.01, 0.002)
