"""Images with unusual numbers of cells, and debris among nuclei: what is planted is found."""

import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.outliers import DEBRIS, OutlierLimits, count_outliers, find_debris

LIMITS = OutlierLimits()


def judged(counts, areas=None, batches=None):
    n = len(counts)
    table = count_outliers(
        counts, np.ones(n) if areas is None else areas, np.zeros(n) if batches is None else batches,
        LIMITS,
    )  # fmt: skip
    return {column.name: values for column, values in table.items()}


def test_z_by_hand():
    # 2 sqrt(n + 3/8) of 12, 20, 20, 30 and 100: 7.036, 9.028, 9.028, 11.023, 20.037.
    # Median 9.028, deviations 1.992, 0, 0, 1.995, 11.009: MAD 1.992, SD 2.953.
    z = judged([12, 20, 20, 30, 100])["cell_count_z"]
    np.testing.assert_allclose(z, [-0.6745, 0, 0, 0.6756, 3.728], atol=1e-3)


def test_counts_that_scatter_by_chance_are_not_flagged():
    for mean in (2, 20, 200):
        counts = np.random.default_rng(mean).poisson(mean, 500)
        found = judged(counts)
        assert found["too_few_cells"].sum() + found["too_many_cells"].sum() <= 2


def test_an_empty_and_an_overgrown_image_are_flagged():
    counts = [200, 180, 230, 0, 210, 190, 900, 205]
    found = judged(counts)
    assert np.flatnonzero(found["too_few_cells"]).tolist() == [3]
    assert np.flatnonzero(found["too_many_cells"]).tolist() == [6]


def test_a_quarter_of_the_area_holds_a_quarter_of_the_cells():
    found = judged([200, 210, 190, 50, 205], areas=[4, 4, 4, 1, 4])
    assert not found["too_few_cells"].any()
    assert judged([200, 210, 190, 50, 205])["too_few_cells"][3]


def test_batches_are_compared_within():
    counts = [200, 210, 190, 205, 195, 20, 21, 19, 22, 18]
    assert not judged(counts, batches=list("aaaaabbbbb"))["too_few_cells"].any()


def test_few_images_tell_nothing():
    found = judged([200, 0, 200, 200])
    assert np.isnan(found["cell_count_z"]).all()
    assert not found["too_few_cells"].any()
    assert judged([])["cell_count_z"].size == 0


def nuclei(n=2000, seed=0):
    """Areas between G1 and G2, outlines and brightness as real nuclei scatter."""
    rng = np.random.default_rng(seed)
    area = 200 * rng.uniform(1, 2, n) ** 0.67 * np.exp(rng.normal(0, 0.15, n))
    solidity = 1 - np.exp(rng.normal(-3.3, 0.4, n))
    brightness = 500 * np.exp(rng.normal(0, 0.3, n))
    return area, solidity, brightness, np.zeros(n)


def test_good_nuclei_are_seldom_debris():
    assert find_debris(*nuclei(), LIMITS).mean() < 0.002


@pytest.mark.parametrize(
    ("area", "solidity", "brightness", "expected"),
    [
        (0.1, 0.95, 500, True),  # a fragment
        (0.4, 0.95, 2500, True),  # small and condensed: dead
        (0.4, 0.6, 500, True),  # small and ragged
        (1.0, 0.6, 6000, True),  # ragged and glaring: dirt
        (0.4, 0.95, 500, False),  # a lymphocyte
        (1.0, 0.7, 500, False),  # a lobed nucleus
        (1.0, 0.87, 6000, False),  # bright, and ragged by its pixels
        (3.0, 0.96, 500, False),  # a large senescent nucleus
        (1.0, 0.95, 3000, False),  # bright alone
        (0.3, 0.95, -5, True),  # small, and nothing above the background
        (0.0, np.nan, np.nan, False),  # a cell without a nucleus
    ],
)
def test_planted_objects(area, solidity, brightness, expected):
    values = nuclei()
    planted = (area * np.median(values[0]), solidity, brightness, 0)
    together = [np.append(v, p) for v, p in zip(values, planted, strict=True)]
    assert find_debris(*together, LIMITS)[-1] == expected


def test_debris_is_told_within_its_batch_whatever_the_magnification():
    small, large = nuclei(100), nuclei(900, seed=1)
    area = np.concatenate([small[0] / 8, large[0]])
    rest = [np.concatenate(pair) for pair in zip(small[1:3], large[1:3], strict=True)]
    batches = np.repeat(["10x", "25x"], [100, 900])
    assert find_debris(area, *rest, batches, LIMITS).mean() < 0.005
    assert find_debris(area, *rest, np.zeros(1000), LIMITS).mean() > 0.03


def test_too_few_cells_tell_no_debris():
    few = [v[:30] for v in nuclei()]
    few[0][0] = 1
    assert not find_debris(*few, LIMITS).any()
    assert find_debris(*([np.zeros(0)] * 4), LIMITS).size == 0


def test_a_small_batch_is_compared_with_the_whole_study():
    values = list(nuclei())
    values[0][0] = 5
    values[3] = np.where(np.arange(2000) < 10, 1, 0)
    assert find_debris(*values, LIMITS)[0]


def test_arrays_of_other_cells_are_refused():
    area, solidity, brightness, batches = nuclei()
    with pytest.raises(MeasurementError, match="one value a cell"):
        find_debris(area[:-1], solidity, brightness, batches, LIMITS)


def test_the_definition_names_its_numbers():
    for number in ("quarter", "3.5", str(LIMITS.convex)):
        assert number in DEBRIS.source
    assert LIMITS.smallest_nucleus == 0.25
    assert LIMITS.deviations == 3.5
