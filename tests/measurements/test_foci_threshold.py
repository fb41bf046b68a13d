"""Thresholds from heights drawn from the distributions that texture and foci are known to have."""

import numpy as np
import pytest

from measurements.foci_threshold import (
    HIGHEST,
    LOWEST,
    START,
    control_height,
    count_heights,
    parting_height,
    parting_heights,
)

NORMAL, T_FIELD = (1.2, 1e9), (1.0, 15.0)


def texture(n, seed=0, kind=NORMAL):
    """Heights whose number above h goes with h (1 + h²/ν)^(-(ν-1)/2), as in a t field."""
    scale, freedom = kind
    grid = np.linspace(START, 15, 4000)
    above = grid / scale * (1 + (grid / scale) ** 2 / freedom) ** (-(freedom - 1) / 2)
    return np.interp(np.random.default_rng(seed).random(n) * above[0], above[::-1], grid[::-1])


def foci(n, middle, seed=1):
    return np.random.default_rng(seed).lognormal(np.log(middle), 0.25, n)


def image(n_foci, middle=7.0, n_texture=300, seed=0, kind=NORMAL):
    return np.concatenate([texture(n_texture, seed, kind), foci(n_foci, middle, seed + 100)])


def found(images, thresholds):
    return [int((heights > k).sum()) for heights, k in zip(images, thresholds, strict=True)]


@pytest.mark.parametrize(("n_foci", "middle"), [(40, 7.0), (40, 9.0), (400, 6.0), (400, 9.0)])
def test_misses_and_false_foci_balance(n_foci, middle):
    images = [image(n_foci, middle, seed=seed) for seed in range(12)]
    counts = found(images, [parting_height(heights) for heights in images])
    assert np.mean(counts) == pytest.approx(n_foci, rel=0.1)


def test_of_few_weak_foci_more_are_missed_than_false_ones_found():
    """At five SDs of their texture a tenth of them have less than three and a half."""
    images = [image(40, 6.0, seed=seed) for seed in range(12)]
    counts = found(images, [parting_height(heights) for heights in images])
    assert 32 < np.mean(counts) < 38


def test_denser_foci_lower_the_threshold():
    few, many = (parting_height(image(n, 5.0)) for n in (40, 600))
    assert LOWEST <= many < few <= HIGHEST


@pytest.mark.parametrize("middle", [4.9, 6.0])
def test_foci_all_alike_are_not_lost_under_the_tail_of_the_texture(middle):
    """Their narrow distribution ends at heights where a heavy tail still has a summit or two."""
    alike = np.random.default_rng(1).lognormal(np.log(middle), 0.1, 400)
    heights = np.concatenate([texture(1500, kind=T_FIELD), alike])
    threshold = parting_height(heights)
    assert threshold < middle
    assert (heights > threshold).sum() == pytest.approx(400, rel=0.25)


@pytest.mark.parametrize("seed", range(5))
def test_texture_alone_has_next_to_no_foci(seed):
    heights = texture(300, seed)
    assert (heights > parting_height(heights)).sum() <= 2


def test_an_image_without_foci_beside_one_with_many():
    """One threshold for both would find false foci in the one or miss foci in the other."""
    images = [image(n, 5.5, seed=i) for i, n in enumerate((0, 0, 400, 400))]
    parting = parting_heights([count_heights(heights) for heights in images])
    counts = found(images, parting.thresholds)
    assert max(counts[:2]) <= 3
    assert counts[2:] == [pytest.approx(400, rel=0.05)] * 2
    assert parting.thresholds[:2].min() > parting.thresholds[2:].max() + 0.5
    shared = parting_height(np.concatenate(images))
    assert found(images, [shared] * 4)[0] > 3 * max(counts[:2])


def test_the_long_tail_of_a_texture_makes_few_foci():
    """A normal field's tail, fitted to these heights, would give images without foci 2 each."""
    images = [image(n, seed=i, kind=T_FIELD) for i, n in enumerate((0, 80) * 10)]
    counts = found(images, parting_heights([count_heights(h) for h in images]).thresholds)
    assert np.mean(counts[::2]) < 1
    assert np.mean(counts[1::2]) == pytest.approx(80, rel=0.05)


def test_the_batch_steadies_its_images():
    """Small images of the same kind get nearly the same threshold, which alone they would not."""
    images = [image(10, 7.0, n_texture=60, seed=i) for i in range(20)]
    together = parting_heights([count_heights(heights) for heights in images]).thresholds
    alone = np.array([parting_height(heights) for heights in images])
    assert together.std() < 0.7 * alone.std()
    assert np.mean(found(images, together)) == pytest.approx(10, abs=1.5)


def test_the_order_of_images_and_heights_does_not_matter():
    images = [image(n, seed=n) for n in (0, 50, 200)]
    counts = [count_heights(heights) for heights in images]
    forward, backward = parting_heights(counts), parting_heights(counts[::-1])
    np.testing.assert_allclose(forward.thresholds, backward.thresholds[::-1])
    low = np.concatenate([images[1], np.full(900, 1.0), [np.nan, np.inf]])
    assert parting_height(np.random.default_rng(2).permutation(low)) == parting_height(images[1])


@pytest.mark.parametrize("kind", [NORMAL, T_FIELD])
def test_shapes_are_those_that_were_drawn(kind):
    images = [image(300, 7.0, 3000, seed, kind) for seed in range(3)]
    parting = parting_heights([count_heights(heights) for heights in images])
    assert parting.texture_scale == pytest.approx(kind[0], abs=0.02)
    assert parting.texture_freedom == min(kind[1], 1000)
    assert parting.focus_height == pytest.approx(7.0, rel=0.03)
    assert parting.focus_width == pytest.approx(0.25, abs=0.03)
    np.testing.assert_allclose(parting.shares, 1 / 11, rtol=0.1)


@pytest.mark.parametrize("kind", [NORMAL, T_FIELD])
def test_false_foci_are_as_many_as_expected(kind):
    """Of foci as weak as texture's summits, where there are any false ones to speak of."""
    images = [image(n, 5.5, 2000, seed, kind) for seed, n in enumerate((100, 400) * 5)]
    parting = parting_heights([count_heights(heights) for heights in images])
    of_texture = [heights[:2000] for heights in images]
    false = np.array(found(of_texture, parting.thresholds))
    assert false.sum() == pytest.approx(parting.false_foci.sum(), rel=0.25)
    assert parting.false_foci[1::2].min() > parting.false_foci[::2].max()


def test_no_heights_and_no_images():
    assert LOWEST <= parting_height(np.array([])) <= HIGHEST
    assert parting_heights([]).thresholds.shape == (0,)


@pytest.mark.parametrize("kind", [NORMAL, T_FIELD])
@pytest.mark.parametrize("basal", [0, 60])
def test_control_texture_is_let_through_as_often_as_allowed(basal, kind):
    """Foci that control nuclei have do not raise the threshold."""
    n_nuclei = 60
    images = [image(basal // 3, 9.0, 500, seed, kind) for seed in range(3)]
    counts = [count_heights(heights) for heights in images]
    others = texture(50_000, 9, kind)  # 25 a nucleus, as in the controls
    for allowed in (0.2, 1.0):
        height = control_height(counts, n_nuclei, allowed)
        assert (others > height).sum() / 2000 == pytest.approx(allowed, rel=0.25)


def test_without_control_nuclei_there_is_no_threshold():
    assert np.isnan(control_height([], 0, 0.5))
