import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.ploidy import dna_index, first_peak, in_g1


def contents(n=2000, g1=0.6, g2=0.25, cv=0.1, seed=0):
    """Cells in G1, G2 and, evenly between, in S."""
    rng = np.random.default_rng(seed)
    phase = rng.random(n)
    dna = np.where(phase < g1, 1.0, np.where(phase < g1 + g2, 2.0, rng.uniform(1, 2, n)))
    return 5e4 * dna * rng.normal(1, cv, n), dna


def all_whole(values):
    return np.ones(values.size, bool), np.zeros(values.size)


@pytest.mark.parametrize(("g1", "g2"), [(0.6, 0.25), (0.25, 0.65), (1.0, 0.0), (0.45, 0.45)])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_peak_is_g1_also_where_more_cells_are_at_4n(g1, g2, seed):
    values, dna = contents(g1=g1, g2=g2, seed=seed)
    index = dna_index(values, *all_whole(values))
    assert np.median(index[dna == 1]) == pytest.approx(1, abs=0.05)
    if g2:
        assert np.median(index[dna == 2]) == pytest.approx(2, abs=0.1)


def test_each_batch_has_its_own_stain():
    one, _ = contents(seed=1)
    other, _ = contents(seed=2)
    batches = np.repeat(["a", "b"], 2000)
    index = dna_index(np.append(one, 3.7 * other), np.ones(4000, bool), batches)
    assert np.median(index[batches == "a"]) == pytest.approx(
        np.median(index[batches == "b"]), rel=0.05
    )


def test_debris_and_cut_nuclei_do_not_move_the_peak():
    values, _ = contents()
    with_debris = np.append(values, np.full(1500, 4e3))
    whole = np.arange(3500) < 2000
    index = dna_index(with_debris, whole, np.zeros(3500))
    np.testing.assert_allclose(index[:2000], dna_index(values, *all_whole(values)))
    assert index[-1] == pytest.approx(0.08, abs=0.01)


def test_few_cells_and_nothing_above_0_give_none():
    values, _ = contents(n=150)
    assert np.isnan(dna_index(values, *all_whole(values))).all()
    assert np.isnan(first_peak(np.full(500, -3.0)))
    assert np.isnan(first_peak(np.full(500, np.nan)))
    assert first_peak(np.full(500, 8.0)) == pytest.approx(8, rel=0.01)
    assert dna_index(np.zeros(0), np.zeros(0), np.zeros(0)).size == 0


def test_other_cells_are_refused():
    with pytest.raises(MeasurementError, match="one value a cell"):
        dna_index(np.ones(3), np.ones(2), np.ones(3))


def test_g1_is_told_from_g2_and_from_no_index():
    values, dna = contents()
    called = in_g1(dna_index(values, *all_whole(values)))
    assert called[dna == 1].mean() > 0.95
    assert called[dna == 2].mean() < 0.01
    assert in_g1(np.array([0.74, 0.75, 1.25, 1.26, np.nan])).tolist() == [
        False, True, True, False, None,
    ]  # fmt: skip
