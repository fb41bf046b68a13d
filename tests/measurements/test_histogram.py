import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from measurements.background import mode, robust_sd
from measurements.histogram import MANTISSA, Histogram
from measurements.quality import clipping_level, saturation_level

TYPES = [bool, np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64]


def image(dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(60, 15, (50, 40))
    return (values > 60) if dtype is bool else np.clip(values, 0, 127).astype(dtype)


def same(a, b):
    return np.array_equal(a.values, b.values) and np.array_equal(a.counts, b.counts)


@pytest.mark.parametrize("dtype", TYPES)
def test_parts_add_up_to_the_whole_whatever_they_are(dtype):
    pixels = image(dtype)
    whole = Histogram.of(pixels)
    a, b, c = (Histogram.of(pixels[rows]) for rows in (slice(7), slice(7, 31), slice(31, None)))
    assert same(a + b + c, whole)
    assert same(c + (b + a), whole)
    assert whole.total == pixels.size


@given(arrays(np.int16, st.integers(1, 40), elements=st.integers(-9, 9)), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_quantiles_are_numpys(values, fraction):
    histogram = Histogram.of(values)
    assert histogram.quantile(fraction) == pytest.approx(np.quantile(values, fraction), abs=1e-12)
    assert histogram.robust_sd() == pytest.approx(robust_sd(values.astype(float)), abs=1e-12)


def test_floats_are_known_to_a_part_of_themselves():
    values = np.random.default_rng(0).lognormal(0, 8, 1000) * np.array([-1, 1] * 500)
    found = Histogram.of(values)
    exact = np.sort(values)
    np.testing.assert_allclose(np.repeat(found.values, found.counts), exact, rtol=2.0**-MANTISSA)
    assert (np.abs(np.repeat(found.values, found.counts)) <= np.abs(exact)).all()


def test_sixteen_bits_scaled_to_one_stay_apart():
    assert Histogram.of(np.arange(65536) / 65535).values.size == 65536


def test_nan_is_left_out_and_zeros_are_one():
    found = Histogram.of(np.array([np.nan, 0.0, -0.0, np.inf, np.inf, -np.inf]))
    assert found.values.tolist() == [-np.inf, 0, np.inf]
    assert found.counts.tolist() == [1, 2, 2]
    assert found.finite().total == 2


def test_nothing_has_no_quantile():
    assert np.isnan(Histogram.of(np.zeros(0, dtype=np.uint16)).median())
    assert np.isnan(Histogram.of(np.zeros(0)).robust_sd())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_a_slide_is_known_by_is_what_the_whole_image_gives(dtype):
    pixels = image(dtype, seed=1)
    pixels[:2] = 127
    parts = [Histogram.of(part) for part in np.array_split(pixels, 6)]
    total = sum(parts[1:], parts[0])
    assert mode(total) == mode(Histogram.of(pixels))
    assert clipping_level(total, pixels.dtype) == saturation_level(pixels) == 127


def test_a_limit_that_floats_cannot_hold_is_still_reached():
    pixels = np.random.default_rng(0).random((40, 40))
    pixels[:3] = top = 1 - 1e-9
    level = saturation_level(pixels)
    assert level <= top
    assert np.count_nonzero(pixels >= level) >= 120
