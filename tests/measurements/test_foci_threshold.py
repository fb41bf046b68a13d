import numpy as np
import pytest

from measurements.foci_threshold import HIGHEST, LOWEST, START, USUAL, parting_height


def texture(n, seed=0):
    return START + np.random.default_rng(seed).exponential(0.45, n)


def foci(n, middle, seed=1):
    return np.random.default_rng(seed).lognormal(np.log(middle), 0.18, n)


@pytest.mark.parametrize("middle", [6.0, 9.0])
@pytest.mark.parametrize("n_foci", [40, 400])
def test_misses_and_false_foci_balance(middle, n_foci):
    heights = np.concatenate([texture(300), foci(n_foci, middle)])
    found = (heights > parting_height(heights)).sum()
    assert found == pytest.approx(n_foci, rel=0.1)


def test_denser_foci_lower_the_threshold():
    few, many = (parting_height(np.concatenate([texture(300), foci(n, 5.0)])) for n in (40, 600))
    assert LOWEST <= many < few <= HIGHEST


@pytest.mark.parametrize("seed", range(5))
def test_texture_alone_keeps_the_usual_threshold(seed):
    assert parting_height(texture(300, seed)) >= USUAL


def test_few_or_unusable_heights_keep_the_usual_threshold():
    assert parting_height(np.array([])) == USUAL
    assert parting_height(np.array([np.nan, np.inf, 5.0, 1.0])) == USUAL


def test_low_summits_and_order_do_not_matter():
    heights = np.concatenate([texture(300), foci(100, 7.0)])
    shuffled = np.random.default_rng(2).permutation(np.concatenate([heights, np.full(900, 1.0)]))
    assert parting_height(shuffled) == pytest.approx(parting_height(heights), abs=1e-6)
