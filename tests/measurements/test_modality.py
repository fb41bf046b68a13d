"""The dip against linear programming and its level; ties and clipped values."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linprog

from measurements.modality import clipped_end, dip, has_valley, spread_ties


def dip_by_linear_programming(values):
    """Least sup distance to any distribution that is convex up to a value and concave after it."""
    x = np.sort(values)
    return min(_distance_with_mode_at(x, mode) for mode in range(x.size))


def _distance_with_mode_at(x, mode):
    # Unknowns: the unimodal function at each x, its left limit at the mode, the distance.
    n = x.size
    rows, bounds = [], []

    def at_most(terms, bound):
        row = np.zeros(n + 2)
        for index, factor in terms:
            row[index] = factor
        rows.append(row)
        bounds.append(bound)

    for i in range(n):
        for index, level in ((i, (i + 1) / n), (n if i == mode else i, i / n)):
            at_most([(index, 1), (-1, -1)], level)
            at_most([(index, -1), (-1, -1)], -level)
    at_most([(n, 1), (mode, -1)], 0)
    left, right = [*range(mode), n], list(range(mode, n))
    for sign, index, at in ((1, left, x[: mode + 1]), (-1, right, x[mode:])):
        for i, j in pairwise(index):
            at_most([(i, 1), (j, -1)], 0)
        before, after = 1 / np.diff(at)[:-1], 1 / np.diff(at)[1:]
        for k, (a, b) in enumerate(zip(before, after, strict=True)):
            i, j, m = index[k : k + 3]
            at_most([(i, -sign * a), (j, sign * (a + b)), (m, -sign * b)], 0)
    cost = np.zeros(n + 2)
    cost[-1] = 1
    return linprog(cost, A_ub=np.array(rows), b_ub=bounds, bounds=(0, 1)).fun


@pytest.mark.parametrize("seed", range(8))
def test_dip_is_the_distance_to_the_nearest_unimodal_distribution(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=13) + 4 * (rng.random(13) < 0.5 * (seed % 2))
    assert dip(values) == pytest.approx(dip_by_linear_programming(values), abs=1e-8)


def test_dip_by_hand():
    assert dip(np.arange(10.0)) == pytest.approx(1 / 20)
    assert dip(np.array([3.0])) == 0
    far = np.concatenate([np.arange(50) * 1e-6, 1 + np.arange(50) * 1e-6])
    assert dip(far) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("n", [20, 150])
def test_the_flattest_population_shows_a_valley_in_about_one_sample_of_two_hundred(n):
    rng = np.random.default_rng(1)
    found = sum(has_valley(rng.uniform(size=n), 0.5) for _ in range(1500))
    assert 1 <= found <= 20


def test_a_valley_is_seen_from_a_few_cells_on_one_side():
    rng = np.random.default_rng(2)
    negatives, positives = rng.normal(0, 1, 2000), rng.normal(7, 1, 60)
    assert has_valley(np.concatenate([negatives, positives]), 3.8)
    assert has_valley(-np.concatenate([negatives, positives]), -3.8)
    assert not has_valley(negatives, 1.5)
    assert not has_valley(negatives, 100.0)


def test_rounding_makes_no_valley_and_hides_none():
    rng = np.random.default_rng(3)
    assert not has_valley(np.round(rng.normal(0, 2, 5000)), 0.5)
    apart = np.round(np.concatenate([rng.normal(0, 2, 3000), rng.normal(12, 2, 2000)]))
    assert has_valley(apart, 6.0)


def test_ties_are_spread_half_way_to_their_neighbours():
    spread = spread_ties(np.array([5.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]))
    np.testing.assert_allclose(spread, [0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 5.0])


def test_clipped_ends():
    values = np.random.default_rng(4).normal(100, 10, 1000)
    assert clipped_end(values) is None
    assert clipped_end(np.minimum(values, 115)) == "largest"
    assert clipped_end(np.maximum(values, 85)) == "smallest"
    assert clipped_end(np.round(values)) is None
    assert clipped_end(np.full(5, 1.0)) is None
