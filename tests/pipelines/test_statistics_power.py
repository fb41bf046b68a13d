"""Power against published tables and against simulation."""

import numpy as np
import pytest
from scipy import stats

from pipelines.statistics.power import Components, detectable, power, units_needed


def test_power_is_cohens_table():
    # Cohen (1988), table 2.4.1, two-sided 0.05, power 0.80: d 0.5 needs 64 a group, 0.8 needs 26,
    # 1.0 needs 17.
    assert [units_needed(d, 1.0) for d in (0.5, 0.8, 1.0)] == [64, 26, 17]


def test_power_without_a_difference_is_the_level():
    assert power(0.0, 1.0, 5) == pytest.approx(0.05)


def test_detectable_is_where_the_power_is():
    assert power(detectable(2.0, 4, 0.9), 2.0, 4) == pytest.approx(0.9, abs=1e-6)


def test_power_agrees_with_simulation():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (4000, 5)), rng.normal(1.5, 1, (4000, 5))
    found = np.mean(stats.ttest_ind(a, b, axis=1).pvalue < 0.05)

    assert power(1.5, 1.0, 5) == pytest.approx(found, abs=3 * np.sqrt(0.25 / 4000))


def test_more_images_help_up_to_the_spread_between_units():
    components = Components(
        {"donor": 4.0, "clone": 2.0, "image_id": 3.0}, 100.0, {"clone": 2.0}, 50.0, logs=False
    )

    # By hand: 4 + 2/2 + 3/6 + 100/(6·50), and 4 + 2/1 + 3/1 + 100/50.
    assert components.sd_of_unit_means(6, 50) == pytest.approx(np.sqrt(4 + 1 + 0.5 + 1 / 3))
    assert components.sd_of_unit_means(1, 50) == pytest.approx(np.sqrt(4 + 2 + 3 + 2))
    assert components.sd_of_unit_means(1e6, 50) == pytest.approx(np.sqrt(5.0), rel=1e-4)


def test_an_effect_out_of_reach_is_none():
    assert units_needed(0.01, 1.0) is None
