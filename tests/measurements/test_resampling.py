"""Condensed samples and the statistics of all their resamples against one at a time."""

import numpy as np
import pytest

from measurements.resampling import (
    MAX_ATOMS,
    Draws,
    atoms_of,
    interval,
    largest_contrast,
    weighted_quantile,
)


def test_few_values_are_kept_with_their_cells_by_unit():
    atoms = atoms_of(np.array([3.0, 1.0, 3.0, 2.0]), np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(atoms.places, [1, 2, 3])
    np.testing.assert_array_equal(atoms.counts, [[1, 0, 1], [0, 1, 1]])


def test_many_values_keep_their_number_mean_and_extremes():
    values = np.random.default_rng(0).lognormal(size=50_000)
    atoms = atoms_of(values)
    assert atoms.places.size <= MAX_ATOMS
    assert (np.diff(atoms.places) > 0).all()
    assert atoms.counts.sum() == values.size
    assert np.average(atoms.places, weights=atoms.counts[0]) == pytest.approx(values.mean())
    np.testing.assert_allclose(atoms.places[[0, -1]], [values.min(), values.max()])


@pytest.mark.parametrize("share", [0.5, 0.95, 0.999])
def test_weighted_quantiles_are_those_of_the_repeated_values(share):
    rng = np.random.default_rng(1)
    places = np.sort(rng.normal(size=30))
    weights = rng.multinomial(40, np.full(30, 1 / 30), size=20).astype(np.float64)
    one_by_one = [np.quantile(np.repeat(places, row.astype(int)), share) for row in weights]
    np.testing.assert_allclose(weighted_quantile(places, weights, share), one_by_one)


def test_largest_contrast_of_each_row():
    places = np.array([0.0, 1.0, 10.0, 11.0])
    rows = np.array([[5, 5, 5, 5], [9, 9, 1, 0], [0, 0, 0, 7]], dtype=np.float64)
    np.testing.assert_array_equal(largest_contrast(places, rows), [5.5, 5.5, np.nan])


def test_interval_of_a_mean_is_the_student_interval():
    values = np.random.default_rng(2).normal(size=12)

    def mean(places, weights):
        return weights @ places / weights.sum(axis=1)

    low, high, notes = interval(values, None, mean, Draws(3, 20_000))
    half = 2.201 * values.std(ddof=1) / np.sqrt(12)
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert notes == []


def test_resamples_without_a_threshold_are_reported():
    def half_missing(places, weights):
        return np.where(np.arange(len(weights)) % 4 == 0, np.nan, 1.0)

    low, high, notes = interval(np.arange(50.0), None, half_missing, Draws(0, 100))
    assert (low, high) == (1, 1)
    assert notes == ["25% of the resamples gave no threshold"]
