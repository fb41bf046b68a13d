import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.slopes import Resampling, free_slopes, slopes_through_zero, weighted_median


def control(rng, n=200, slope=0.3, floor=0.0):
    """Cells of one dye, bright over a range of 10, with independent noise of SD 2."""
    dye = 300 * np.exp(0.6 * rng.normal(size=n))
    return np.column_stack([dye, slope * dye]) + floor + rng.normal(0, 2, size=(n, 2))


def test_weighted_median_by_hand():
    values = np.array([1.0, 2.0, 3.0])
    assert weighted_median(values, np.array([1.0, 1.0, 1.0])) == 2
    assert weighted_median(values, np.array([1.0, 1.0, 5.0])) == 3
    assert weighted_median(values, np.array([2.0, 1.0, 1.0])) == 1.5
    assert weighted_median(np.array([4.0]), np.array([7.0])) == 4


def test_slope_through_zero_by_hand():
    # Ratios 0.1, 0.2 and 0.9 weigh 10, 20 and 10: half of 40 is reached within the 20.
    cells = np.array([[10.0, 1.0], [20.0, 4.0], [10.0, 9.0]])
    found = slopes_through_zero(cells, 0, Resampling(n_boot=0))
    np.testing.assert_allclose(found.values, [1.0, 0.2])
    assert np.isnan(found.intervals[1]).all()
    assert found.n_cells == 3


def test_slope_minimises_the_absolute_deviations():
    cells = control(np.random.default_rng(0))
    slope = slopes_through_zero(cells, 0, Resampling(0)).values[1]

    def deviation(b):
        return np.abs(cells[:, 1] - b * cells[:, 0]).sum()

    assert all(deviation(slope) <= deviation(slope + step) for step in (-1e-3, -1e-5, 1e-5, 1e-3))


@pytest.mark.parametrize("stray", [0.1, 0.3])
def test_stray_cells_hardly_move_it(stray):
    """Cells of another colour, a third of all: least squares would be off by far more."""
    rng = np.random.default_rng(1)
    cells = control(rng)
    wrong = rng.random(len(cells)) < stray
    cells[wrong, 1] += 500
    slope = slopes_through_zero(cells, 0, Resampling(0)).values[1]
    least_squares = (cells[:, 0] @ cells[:, 1]) / (cells[:, 0] @ cells[:, 0])
    # Noise of 2 on 300 is a ratio's scatter of 0.7 %; the median moves by its 71 % quantile.
    assert slope == pytest.approx(0.3, abs=0.01)
    assert abs(least_squares - 0.3) > 0.05


def test_the_interval_holds_the_true_slope():
    """200 simulated controls: nominal 95 %, at least 90 % (3 binomial SD are 4.6 %)."""
    held = 0
    for seed in range(200):
        cells = control(np.random.default_rng(seed), n=80)
        low, high = slopes_through_zero(cells, 0, Resampling(200, seed)).intervals[1]
        held += low <= 0.3 <= high
    assert held / 200 >= 0.90


def test_a_free_line_does_not_mind_where_zero_is():
    cells = control(np.random.default_rng(2), floor=80.0)
    found = free_slopes(cells, 0)
    assert found.values[1] == pytest.approx(0.3, abs=0.005)
    assert found.intervals[1, 0] < 0.3 < found.intervals[1, 1]
    # Through 0 the floor of both channels counts as bleed-through.
    assert slopes_through_zero(cells, 0, Resampling(0)).values[1] > 0.4


def test_cells_that_do_not_vary_are_refused():
    with pytest.raises(MeasurementError, match="equally bright"):
        free_slopes(np.ones((30, 2)), 0)
    with pytest.raises(MeasurementError, match="above autofluorescence"):
        slopes_through_zero(np.zeros((30, 2)), 0, Resampling())


def test_same_seed_same_interval():
    cells = control(np.random.default_rng(3))
    first, again = (slopes_through_zero(cells, 0, Resampling(50, 7)) for _ in range(2))
    np.testing.assert_array_equal(first.intervals, again.intervals)
