import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from measurements.errors import MeasurementError
from measurements.regions import MAX_LABEL, Regions, divide

LABELS = np.array([[0, 5, 5, 0], [9, 5, 0, 2], [9, 9, 0, 2]])
IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def by_hand(labels, image, function, ids):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [function(image[labels == i]) if (labels == i).any() else np.nan for i in ids]


def test_gapped_ids_keep_their_pixels():
    regions = Regions.of(LABELS)
    assert regions.ids.tolist() == [2, 5, 9]
    assert regions.ids.dtype == np.uint32
    assert regions.areas.tolist() == [2, 3, 3]
    assert regions.pixels.tolist() == [7, 11, 1, 2, 5, 4, 8, 9]
    assert regions.index_image().tolist() == [[0, 2, 2, 0], [3, 2, 0, 1], [3, 3, 0, 1]]


def test_sums_known_by_hand():
    regions = Regions.of(LABELS)
    values = regions.gather(IMAGE)
    assert regions.sum(values).tolist() == [18, 8, 21]
    assert regions.minimum(values).tolist() == [7, 1, 4]
    assert regions.maximum(values).tolist() == [11, 5, 9]
    assert regions.median(values).tolist() == [9, 2, 8]
    assert regions.sd(values)[0] == 2


def test_wanted_ids_align_rows_and_mark_missing_regions():
    regions = Regions.of(LABELS, ids=np.array([1, 2, 9, 30]))
    values = regions.gather(IMAGE)
    assert regions.areas.tolist() == [0, 2, 3, 0]
    np.testing.assert_array_equal(regions.sum(values), [np.nan, 18, 21, np.nan])
    np.testing.assert_array_equal(regions.median(values), [np.nan, 9, 8, np.nan])
    np.testing.assert_array_equal(regions.sd(values)[[0, 3]], [np.nan, np.nan])


@given(
    labels=arrays(np.int64, (7, 9), elements=st.sampled_from([0, 0, 3, 4, 70, MAX_LABEL])),
    image=arrays(np.float32, (7, 9), elements=st.floats(-1e3, 1e3, width=32)),
    wanted=st.sets(st.sampled_from([1, 3, 4, 50, 70, MAX_LABEL])),
)
@settings(max_examples=60, deadline=None)
def test_equals_numpy_region_by_region(labels, image, wanted):
    ids = np.array(sorted(wanted), dtype=np.int64)
    regions = Regions.of(labels, ids)
    values = regions.gather(image)
    exact = image.astype(np.float64)
    for result, function in (
        (regions.sum(values), np.sum),
        (regions.mean(values), np.mean),
        (regions.sd(values), np.std),
        (regions.minimum(values), np.min),
        (regions.maximum(values), np.max),
        (regions.median(values), np.median),
        (regions.quantiles(values, (0.95,))[0], lambda v: np.quantile(v, 0.95)),
    ):
        expected = by_hand(labels, exact, function, ids)
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.float32])
def test_same_sum_whatever_the_type_of_the_pixels(dtype):
    labels = np.ones((40, 40), dtype=np.int32)
    image = np.ones((40, 40), dtype=dtype)
    if dtype is not bool:
        image *= 100
    regions = Regions.of(labels)
    assert regions.sum(regions.gather(image))[0] == 1600 * (1 if dtype is bool else 100)


def test_bool_labels_are_one_region():
    assert Regions.of(LABELS > 0).ids.tolist() == [1]


def test_empty_image_has_no_regions():
    regions = Regions.of(np.zeros((4, 4), dtype=np.int32))
    values = regions.gather(np.ones((4, 4)))
    assert len(regions) == 0
    assert regions.mean(values).shape == (0,)
    assert regions.quantiles(values, (0.5, 0.9)).shape == (2, 0)


def test_largest_label_costs_no_more_memory():
    labels = np.array([[0, MAX_LABEL], [MAX_LABEL - 1, 0]], dtype=np.uint32)
    assert Regions.of(labels).ids.tolist() == [MAX_LABEL - 1, MAX_LABEL]


def test_nan_pixel_makes_only_its_region_nan():
    image = IMAGE.astype(np.float32)
    image[0, 1] = np.nan
    regions = Regions.of(LABELS)
    for values in (
        regions.mean(regions.gather(image)),
        regions.median(regions.gather(image)),
        regions.maximum(regions.gather(image)),
    ):
        assert np.isnan(values).tolist() == [False, True, False]


def test_sd_keeps_its_digits_on_a_large_offset():
    image = np.array([[1e9, 1e9 + 1]])
    regions = Regions.of(np.array([[1, 1]]))
    assert regions.sd(regions.gather(image))[0] == 0.5


def test_callers_arrays_are_untouched():
    labels, image = LABELS.copy(), IMAGE.copy()
    regions = Regions.of(labels)
    regions.median(regions.gather(image))
    assert (labels == LABELS).all()
    assert (image == IMAGE).all()


@pytest.mark.parametrize(
    ("labels", "ids", "message"),
    [
        (np.array([[1.0]]), None, "integers"),
        (np.array([[-1]]), None, "between 0 and"),
        (np.array([[2**32]]), None, "between 0 and"),
        (LABELS, np.array([2, 2]), "increase strictly"),
        (LABELS, np.array([0, 2]), "increase strictly"),
    ],
)
def test_refuses_what_are_no_labels(labels, ids, message):
    with pytest.raises(MeasurementError, match=message):
        Regions.of(labels, ids)


def test_refuses_an_image_of_another_shape():
    with pytest.raises(MeasurementError, match=r"\(3, 4\)"):
        Regions.of(LABELS).gather(np.zeros((4, 3)))


def test_refuses_values_of_another_order():
    with pytest.raises(MeasurementError, match="gather"):
        Regions.of(LABELS).sum(np.zeros(3))


def test_divide_is_nan_where_the_denominator_is_not_positive():
    result = divide(np.array([1.0, 1.0, 1.0]), np.array([2.0, 0.0, -1.0]))
    np.testing.assert_array_equal(result, [0.5, np.nan, np.nan])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int32, np.float16, np.float64])
def test_quantiles_of_every_type_and_size(dtype):
    rng = np.random.default_rng(1)
    sizes = np.array([1, 1, 2, 3, 50, 51, 52, 400, 2000])
    labels = np.repeat(np.arange(sizes.size) + 1, sizes)[rng.permutation(sizes.sum())]
    limits = (0, 1) if dtype is bool else (-128, 127) if np.dtype(dtype).kind != "u" else (0, 255)
    image = rng.integers(*limits, labels.size, endpoint=True).astype(dtype)
    regions = Regions.of(labels)
    fractions = (0, 0.05, 0.5, 0.95, 1)
    found = regions.quantiles(regions.read(image), fractions)
    for row, region in enumerate(regions.ids):
        exact = np.quantile(image[labels == region].astype(np.float64), fractions)
        np.testing.assert_allclose(found[:, row], exact, rtol=1e-12)


def test_infinite_pixels_are_sorted_as_numbers():
    regions = Regions.of(np.array([1, 1, 1, 2, 2, 2]))
    values = np.array([np.inf, 1, np.inf, -np.inf, np.nan, 0])
    np.testing.assert_array_equal(regions.median(values), [np.inf, np.nan])


def test_runs_do_not_go_on_into_the_next_row():
    regions = Regions.of(np.ones((3, 4), dtype=np.uint8))
    assert regions.runs.start.tolist() == [0, 4, 8]
    assert regions.runs.length.tolist() == [4, 4, 4]


def test_a_cut_out_sums_to_the_same_bits():
    rng = np.random.default_rng(2)
    labels = np.zeros((90, 120), dtype=np.uint32)
    labels[31:70, 41:103] = rng.choice([0, 7, 9], (39, 62))
    image = rng.lognormal(3, 2, labels.shape)
    cut = slice(29, 77), slice(40, 111)
    whole, part = Regions.of(labels), Regions.of(labels[cut], origin=(29, 40))
    for of in (Regions.sum, Regions.sd, Regions.median):
        np.testing.assert_array_equal(
            of(whole, whole.gather(image)), of(part, part.gather(image[cut]))
        )
