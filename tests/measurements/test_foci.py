import numpy as np
import pytest
from scipy import ndimage

from measurements.errors import MeasurementError
from measurements.foci import FociRule, NucleusValues, PeakValues, count_foci, measure_peaks
from measurements.foci_detection import find_foci
from measurements.foci_settings import FociSettings
from measurements.regions import Regions
from tests.measurements.label_images import disc, spot

SHAPE = (120, 240)
SETTINGS = FociSettings()
CENTRES = ((60, 60), (60, 170))


def nuclei(radius=35, ids=(4, 900)):
    labels = np.zeros(SHAPE, dtype=np.uint32)
    for (y, x), number in zip(CENTRES, ids, strict=True):
        labels[disc(SHAPE, y, x, radius)] = number
    return labels


def image(foci=(), noise=0.0, level=300.0, seed=0):
    """Two nuclei on a background of 50 with foci (y, x, height), camera noise added."""
    picture = 50 + level * ndimage.gaussian_filter((nuclei() > 0).astype(float), 1)
    picture = picture + sum(height * spot(SHAPE, y, x, 1.8) for y, x, height in foci)
    return picture + noise * np.random.default_rng(seed).standard_normal(SHAPE)


def by_name(columns, prefix=""):
    return {column.name.removeprefix(prefix): values for column, values in columns.items()}


def judged(candidates, threshold=None, usual=np.nan, where="in the image"):
    """Columns of nuclei and of foci at a threshold; by default that of the image alone."""
    peaks, nuclei = by_name(candidates.peaks), by_name(candidates.nuclei)
    row = np.searchsorted(nuclei["cell_id"], peaks["cell_id"])
    numbers = PeakValues(
        row, *(peaks[name] for name in ("height", "area", "contrast", "integrated"))
    )
    of_nuclei = NucleusValues(
        *(nuclei[name] for name in ("nucleus_area", "noise", "level", "variation"))
    )
    rule = FociRule(candidates.threshold if threshold is None else threshold, usual)
    columns, is_focus = count_foci("gh2ax", where, numbers, of_nuclei, rule)
    foci = {name: values[is_focus] for name, values in peaks.items()}
    labels = np.where(np.isin(candidates.labels, foci["focus_id"]), candidates.labels, 0)
    return by_name(columns, "gh2ax_"), foci, labels


def measured(picture, labels=None, settings=SETTINGS, **rule):
    regions = Regions.of(nuclei() if labels is None else labels)
    return judged(measure_peaks(picture, regions, np.full(len(regions), 50.0), settings), **rule)


FOCI = ((50.3, 55.6, 300), (70.0, 72.2, 200), (60.4, 40.1, 250), (62.0, 170.5, 300))


def test_finds_the_foci_of_each_nucleus_to_a_tenth_of_a_pixel():
    per_nucleus, foci, labels = measured(image(FOCI, noise=3))
    assert per_nucleus["foci_count"].tolist() == [3, 1]
    assert sorted(foci["cell_id"].tolist()) == [4, 4, 4, 900]
    truth = np.array(sorted(FOCI))
    found = np.stack([foci["y"], foci["x"]], axis=1)[np.argsort(foci["y"])]
    np.testing.assert_allclose(found, truth[:, :2], atol=0.12)
    np.testing.assert_allclose(foci["contrast"][np.argsort(foci["y"])], truth[:, 2], rtol=0.12)
    assert np.unique(labels).tolist() == [0, *foci["focus_id"]]


def test_nothing_where_nothing_is_and_zeros_are_kept():
    per_nucleus, foci, _ = measured(image(noise=15))
    assert per_nucleus["foci_count"].tolist() == [0, 0]
    assert per_nucleus["foci_integrated"].tolist() == [0, 0]
    assert per_nucleus["foci_area_fraction"].tolist() == [0, 0]
    assert np.isnan(per_nucleus["foci_mean_contrast"]).all()
    assert foci["y"].shape == (0,)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_even_nuclei_without_noise_have_no_foci(dtype):
    assert measured(image(level=150).astype(dtype))[0]["foci_count"].tolist() == [0, 0]


@pytest.mark.parametrize("radius", [32, 35, 38])
def test_rim_of_a_mask_too_small_or_too_large_is_no_focus(radius):
    assert measured(image(noise=15), nuclei(radius))[0]["foci_count"].tolist() == [0, 0]


def test_touching_bright_neighbour_makes_no_foci():
    labels = nuclei()
    bright = disc(SHAPE, 60, 115, 22) & (labels == 0)
    labels[bright] = 77
    picture = image(noise=15) + 600 * ndimage.gaussian_filter(bright.astype(float), 1)
    assert measured(picture, labels)[0]["foci_count"][[0, 2]].tolist() == [0, 0]


@pytest.mark.parametrize("shift", [0, 2])
def test_bright_cytoplasm_makes_no_foci_in_dark_nuclei(shift):
    """Nor where the channels are not quite in register."""
    hole = 1 - ndimage.gaussian_filter((nuclei() > 0).astype(float), 2)
    uneven = 1 + ndimage.gaussian_filter(np.random.default_rng(2).normal(0, 4, SHAPE), 8)
    picture = 100 + 600 * np.roll(hole * uneven, shift, axis=1)
    noisy = np.random.default_rng(3).poisson(picture).astype(float)
    assert measured(noisy)[0]["foci_count"].sum() <= 1
    focus = noisy + 250 * spot(SHAPE, 60, 70, 1.8)
    assert measured(focus)[0]["foci_count"][0] - measured(noisy)[0]["foci_count"][0] == 1


def test_dome_has_no_foci():
    height = np.zeros(SHAPE)
    for y, x in CENTRES:
        rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
        height += np.sqrt(np.clip(1 - ((rows - y) ** 2 + (columns - x) ** 2) / 35**2, 0, 1))
    picture = np.random.default_rng(1).poisson(50 + 400 * height)
    assert measured(picture)[0]["foci_count"].sum() <= 1


def test_foci_outside_nuclei_are_not_seen():
    per_nucleus, _, labels = measured(
        image([(10, 10, 900), (60, 115, 900), (60, 60, 300)], noise=3)
    )
    assert per_nucleus["foci_count"].tolist() == [1, 0]
    assert (nuclei()[labels > 0] == 4).all()


def test_focus_at_the_rim_is_found():
    assert measured(image([(60, 60 - 32, 300)], noise=3))[0]["foci_count"].tolist() == [1, 0]


def test_line_is_no_focus():
    picture = image(noise=3)
    picture[59:62, 40:80] += 200
    assert measured(picture)[0]["foci_count"][0] <= 2


def test_touching_foci_are_split():
    _, foci, labels = measured(image([(60, 57, 300), (60, 63, 300)], noise=3))
    assert foci["y"].size == 2
    assert labels[60, 57] != labels[60, 63]


def test_dim_foci_are_found_among_many():
    rng = np.random.default_rng(3)
    grid = [(y, x) for y in range(36, 88, 12) for x in range(36, 88, 12)]
    grid = [p for p in grid if np.hypot(p[0] - 60, p[1] - 60) < 28]
    many = [(y, x, 150 if i % 2 else 600) for i, (y, x) in enumerate(grid)]
    found = measured(image(many, noise=4, seed=int(rng.integers(9))))[0]["foci_count"][0]
    assert found == len(many)


def test_offset_and_gain_change_no_count():
    picture = image(FOCI, noise=3)
    counts = measured(picture)[0]["foci_count"]
    for changed in (picture + 1000, 7 * picture, picture / 65535):
        assert (measured(changed)[0]["foci_count"] == counts).all()


@pytest.mark.parametrize("gain", [1 / 65535, 1e4])
def test_noise_is_in_units_of_the_image(gain):
    """A float image in 0..1 has the foci of the same image in grey values."""
    picture = image(FOCI, noise=15).astype(np.float32)
    settings = FociSettings(threshold=3.0)
    one = find_foci(picture, Regions.of(nuclei()), settings)
    other = find_foci(np.float32(gain) * picture, Regions.of(nuclei()), settings)
    np.testing.assert_allclose(other.height, one.height, rtol=1e-3)


def test_eight_bits_are_not_wrapped():
    picture = np.clip(np.round(image([(60, 60, 90)], noise=2, level=100)), 0, 255)
    whole = measured(picture.astype(np.uint8))[1]
    exact = measured(picture)[1]
    np.testing.assert_array_equal(whole["contrast"], exact["contrast"])


def test_integrated_grows_with_height_and_area_fraction_adds_up():
    low = measured(image([(60, 60, 200)], noise=1))
    high = measured(image([(60, 60, 400)], noise=1))
    assert high[0]["foci_integrated"][0] == pytest.approx(2 * low[0]["foci_integrated"][0], rel=0.1)
    share = high[1]["area"].sum() / (nuclei() == 4).sum()
    assert high[0]["foci_area_fraction"][0] == pytest.approx(share)


def test_snr_is_contrast_over_the_noise_around():
    _, foci, _ = measured(image([(60, 60, 300)], noise=10))
    assert foci["snr"][0] == pytest.approx(30, rel=0.35)


def test_foci_exceed_the_threshold_in_units_of_the_noise():
    per_nucleus, foci, _ = measured(image(FOCI, noise=3), threshold=20.0)
    assert (foci["height"] > 20).all()
    noise = per_nucleus["foci_threshold"] / 20
    found = find_foci(image(FOCI, noise=3), Regions.of(nuclei()), FociSettings(threshold=20.0))
    assert len(found.row) == foci["y"].size
    lower = measured(image(FOCI, noise=3), threshold=10.0)[0]["foci_threshold"]
    np.testing.assert_allclose(lower, 10 * noise)
    assert measured(image(FOCI, noise=3), threshold=1e4)[1]["y"].size == 0


def test_extents_do_not_depend_on_the_threshold():
    low, high = (measured(image(FOCI, noise=70), threshold=k)[1] for k in (3.0, 8.0))
    kept = np.isin(low["focus_id"], high["focus_id"])
    assert 0 < kept.sum() < kept.size
    for name in ("area", "integrated", "contrast", "snr"):
        np.testing.assert_array_equal(low[name][kept], high[name])


def test_pan_nuclear_needs_bright_and_even():
    even = image(noise=5)
    even[nuclei() == 4] += 2000
    assert measured(even, usual=300.0)[0]["pan_nuclear"].tolist() == [True, False]
    assert measured(even)[0]["pan_nuclear"].tolist() == [False, False]
    speckled = even.copy()
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3)
    speckled += 1200 * texture / texture.std() * (nuclei() == 4)
    assert measured(speckled, usual=300.0)[0]["pan_nuclear"].tolist() == [False, False]


def test_a_nucleus_stained_all_over_has_no_count_and_does_not_move_the_mean():
    picture = image([*FOCI, (60, 170, 600), (70, 160, 600)], noise=3)
    picture[nuclei() == 900] += 2000
    per_nucleus, foci, _ = measured(picture, usual=300.0)
    assert per_nucleus["foci_count"].tolist() == [3, None]
    assert per_nucleus["foci_count"].mean() == 3
    assert per_nucleus["foci_ge3"].tolist() == [True, None]
    for name in ("foci_integrated", "foci_area_fraction", "foci_mean_contrast"):
        assert np.isnan(per_nucleus[name]).tolist() == [False, True], name
    assert set(foci["cell_id"]) == {4}


def test_nuclei_with_3_5_and_10_foci_or_more():
    grid = [(y, x) for y in (45, 60, 75) for x in (45, 60, 75)]
    for n, expected in ((2, (0, 0, 0)), (3, (1, 0, 0)), (5, (1, 1, 0)), (9, (1, 1, 0))):
        per_nucleus = measured(image([(y, x, 300) for y, x in grid[:n]], noise=3))[0]
        assert per_nucleus["foci_count"].tolist() == [n, 0]
        assert tuple(per_nucleus[f"foci_ge{m}"][0] for m in (3, 5, 10)) == expected
        assert not any(per_nucleus[f"foci_ge{m}"][1] for m in (3, 5, 10))


def test_without_a_threshold_nothing_is_counted():
    """NaN stands for a batch whose controls are missing: no count, rather than a count of 0."""
    per_nucleus, foci, _ = measured(image(FOCI, noise=3), threshold=np.nan)
    assert per_nucleus["foci_count"].tolist() == [None, None]
    assert foci["y"].size == 0


def test_absent_nucleus_is_missing_and_no_nuclei_are_no_rows():
    regions = Regions.of(nuclei(), ids=np.array([4, 5, 900]))
    values = judged(measure_peaks(image(FOCI, noise=3), regions, np.zeros(3), SETTINGS))[0]
    assert values["foci_count"].tolist() == [3, None, 1]
    assert np.isnan(values["foci_integrated"]).tolist() == [False, True, False]
    per_nucleus, table, _ = measured(image(), np.zeros(SHAPE, dtype=int))
    assert per_nucleus["foci_count"].shape == table["y"].shape == (0,)


def test_callers_image_is_untouched():
    picture = image(FOCI)
    before = picture.copy()
    find_foci(picture, Regions.of(nuclei()), SETTINGS)
    assert (picture == before).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"sigma": 0},
        {"fine": 2.0},
        {"ridge_ratio": 0.5},
        {"threshold": -1.0},
        {"sigma": (2.0, 0.0)},
    ],
)
def test_refuses_settings_that_cannot_be(wrong):
    with pytest.raises(MeasurementError, match="Foci need"):
        FociSettings(**wrong)


def test_refuses_what_does_not_fit():
    stack = np.ones((2, 4, 4))
    with pytest.raises(MeasurementError, match="one sigma for each axis"):
        find_foci(stack, Regions.of(stack.astype(int)), FociSettings(sigma=(2.0, 2.0)))
    with pytest.raises(MeasurementError, match="was segmented"):
        find_foci(stack, Regions.of(np.ones((5, 5), dtype=int)), SETTINGS)
    with pytest.raises(MeasurementError, match="one background"):
        measure_peaks(image(), Regions.of(nuclei()), np.zeros(5), SETTINGS)


def test_definitions_say_what_was_looked_at():
    candidates = measure_peaks(image(FOCI), Regions.of(nuclei()), np.zeros(2), SETTINGS)
    peaks, sizes = by_name(candidates.peaks), by_name(candidates.nuclei)
    of_peaks = PeakValues(np.zeros(0, dtype=int), *[np.zeros(0)] * 4)
    of_nuclei = NucleusValues(sizes["nucleus_area"], *[np.ones(2)] * 3)
    columns, _ = count_foci("gh2ax", "in the stack", of_peaks, of_nuclei, FociRule(4.0, np.nan))
    count = next(column for column in columns if column.name == "gh2ax_foci_count")
    assert "Foci of gh2ax in the nucleus, in the stack." in count.meaning
    assert not any("{" in column.name + column.meaning for column in columns)
    assert peaks["focus_id"].tolist() == list(range(1, peaks["y"].size + 1))


def stack_of(foci, noise=2.0):
    """Nine planes of one nucleus; foci (plane, y, x, height), 1.5 planes and 2 px wide (SD)."""
    z, y, x = np.mgrid[:9, :80, :80].astype(float)
    picture = 300.0 + noise * np.random.default_rng(0).standard_normal(z.shape)
    for plane, row, column, height in foci:
        distance = ((z - plane) / 1.5) ** 2 + ((y - row) / 2) ** 2 + ((x - column) / 2) ** 2
        picture += height * np.exp(-distance / 2)
    return picture


def test_stack_parts_foci_that_a_projection_merges():
    labels = disc((80, 80), 40, 40, 32).astype(int)
    foci = [(1.8, 40.2, 30.0, 90), (6.3, 40.2, 31.0, 90), (4.0, 55.4, 50.3, 60)]
    stack = stack_of(foci)
    settings = FociSettings(sigma=(1.5, 2.0, 2.0))
    flat = find_foci(stack, Regions.of(labels), settings)
    deep = find_foci(stack, Regions.of(np.repeat(labels[None], 9, axis=0)), settings)
    np.testing.assert_array_equal(flat.places, deep.places)
    places = flat.places[np.argsort(flat.places[:, 0])]
    np.testing.assert_allclose(places, [foci[0][:3], foci[2][:3], foci[1][:3]], atol=0.3)
    columns = judged(measure_peaks(stack, Regions.of(labels), np.zeros(1), settings))[1]
    np.testing.assert_allclose(np.sort(columns["plane"]), [1.8, 4.0, 6.3], atol=0.3)
    assert (columns["area"] < 40).all()
    projected = find_foci(stack.max(axis=0), Regions.of(labels), FociSettings(sigma=2.0))
    assert len(projected.places) == 2


def test_lost_pixels_are_no_foci():
    picture = image(FOCI, noise=3)
    picture[30:34, 50:54] = np.nan
    assert measured(picture)[0]["foci_count"][1] == 1


def test_columns_have_one_type_whether_there_are_foci_nuclei_or_neither():
    def types(picture, labels):
        regions = Regions.of(labels)
        found = measure_peaks(picture, regions, np.full(len(regions), 50.0), SETTINGS)
        values = judged(found, 4.0)[0]
        named = (by_name(found.peaks), by_name(found.nuclei), values)
        return [{name: column.dtype for name, column in table.items()} for table in named]

    full = types(image(FOCI), nuclei())
    assert types(image(), nuclei()) == full
    assert types(image(FOCI), np.zeros(SHAPE, dtype=np.uint32)) == full
