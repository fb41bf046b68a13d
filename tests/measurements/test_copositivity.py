import numpy as np
import pytest
from scipy.stats import contingency

from measurements.copositivity import copositivity, marker_pairs
from measurements.errors import MeasurementError


def by_name(measured):
    return {column.name: values for column, values in measured.items()}


def two_by_two(both, first, second, neither):
    a = np.repeat([True, True, False, False], [both, first, second, neither])
    b = np.repeat([True, False, True, False], [both, first, second, neither])
    return {"p21": a, "gh2ax": b}


def test_combinations_by_hand():
    rows = by_name(copositivity(two_by_two(30, 10, 20, 40)))
    assert rows["combination"].tolist() == [
        "p21- gh2ax-",
        "p21- gh2ax+",
        "p21+ gh2ax-",
        "p21+ gh2ax+",
    ]
    assert rows["n"].tolist() == [40, 20, 10, 30]
    assert rows["n_markers_positive"].tolist() == [0, 1, 1, 2]
    # p21 0.4, gh2ax 0.5
    np.testing.assert_allclose(rows["expected_fraction"], [0.3, 0.3, 0.2, 0.2])
    np.testing.assert_allclose(rows["enrichment"], [4 / 3, 2 / 3, 0.5, 1.5])


def test_pairs_by_hand_and_as_scipy():
    rows = by_name(marker_pairs(two_by_two(30, 10, 20, 40)))
    counts = [rows[name][0] for name in ("n_both", "n_only_first", "n_only_second", "n_neither")]
    assert counts == [30, 10, 20, 40]
    # (30 * 40 - 10 * 20) / sqrt(40 * 60 * 50 * 50)
    assert rows["phi"][0] == pytest.approx(1000 / np.sqrt(6_000_000))
    odds = 30.5 * 40.5 / (10.5 * 20.5)
    reach = 1.959964 * np.sqrt(1 / 30.5 + 1 / 40.5 + 1 / 10.5 + 1 / 20.5)
    assert rows["odds_ratio"][0] == pytest.approx(odds)
    assert rows["odds_ratio_ci_low"][0] == pytest.approx(odds * np.exp(-reach), rel=1e-5)
    assert rows["odds_ratio_ci_high"][0] == pytest.approx(odds * np.exp(reach), rel=1e-5)
    uncorrected = contingency.odds_ratio(np.array([[30, 10], [20, 40]]), kind="sample")
    assert rows["odds_ratio"][0] == pytest.approx(uncorrected.statistic, rel=0.05)


def test_the_interval_holds_independence():
    """Independent markers: the interval holds 1 in about 95 of 100 samples."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        flags = {"a": rng.random(60) < 0.2, "b": rng.random(60) < 0.3}
        rows = by_name(marker_pairs(flags))
        held += rows["odds_ratio_ci_low"][0] <= 1 <= rows["odds_ratio_ci_high"][0]
    # 3 binomial SD of 95 % in 300 are 3.8 %; this interval errs on the wide side.
    assert 0.91 <= held / 300 <= 1


def test_rows_share_out_the_measured_cells():
    rng = np.random.default_rng(1)
    flags = {name: (rng.random(500) < 0.3).astype(float) for name in ("p21", "p16", "gh2ax")}
    flags["p16"][:40] = np.nan
    flags["p21"][20:60] = np.nan
    rows = by_name(copositivity(flags))
    assert rows["n"].sum() == 440
    assert set(rows["n_cells"]) == {440}
    assert set(rows["n_left_out"]) == {60}
    assert rows["fraction"].sum() == pytest.approx(1)
    assert rows["expected_fraction"].sum() == pytest.approx(1)
    pairs = by_name(marker_pairs(flags))
    sizes = sum(pairs[n] for n in ("n_both", "n_only_first", "n_only_second", "n_neither"))
    # Pairs use every cell that has both, not only those that have all three.
    assert dict(zip(zip(pairs["first"], pairs["second"], strict=True), sizes, strict=True)) == {
        ("p21", "p16"): 440,
        ("p21", "gh2ax"): 460,
        ("p16", "gh2ax"): 460,
    }


def test_nothing_to_say_is_said_as_nan():
    no_cells = by_name(copositivity({"a": [], "b": []}))
    assert no_cells["n"].tolist() == [0, 0, 0, 0]
    assert np.isnan(no_cells["fraction"]).all()
    constant = by_name(marker_pairs({"a": [True, True], "b": [True, False]}))
    assert np.isnan([constant[n][0] for n in ("phi", "odds_ratio", "odds_ratio_ci_low")]).all()
    one = by_name(marker_pairs({"a": [True, False]}))
    assert one["phi"].size == 0


def test_a_zero_count_leaves_a_finite_odds_ratio():
    rows = by_name(marker_pairs(two_by_two(12, 0, 5, 30)))
    assert np.isfinite([rows[n][0] for n in ("odds_ratio", "odds_ratio_ci_high")]).all()


def test_columns_are_defined_and_of_one_length():
    for table in (copositivity, marker_pairs):
        measured = table(two_by_two(3, 1, 2, 4))
        assert len({len(values) for values in measured.values()}) == 1
        for column, values in measured.items():
            assert column.meaning
            assert column.source
            kind = {"str": "U", "int64": "i", "float64": "f"}[column.dtype]
            assert values.dtype.kind == kind, column.name


def test_too_many_markers_are_refused():
    with pytest.raises(MeasurementError, match="11 markers"):
        copositivity({str(i): [True, False] for i in range(11)})
