import numpy as np
import pytest
from scipy import ndimage

from measurements.errors import MeasurementError
from measurements.foci import measure_foci
from measurements.foci_detection import find_foci
from measurements.foci_pan_nuclear import PanNuclearSettings
from measurements.foci_response import response_noise
from measurements.foci_settings import FociSettings
from measurements.regions import Regions
from tests.measurements.label_images import disc, spot

SHAPE = (120, 240)
SETTINGS = FociSettings()
PAN = PanNuclearSettings()
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


def measured(picture, labels=None, settings=SETTINGS, pan=PAN):
    regions = Regions.of(nuclei() if labels is None else labels)
    foci = measure_foci(picture, "gh2ax", regions, np.full(len(regions), 50.0), settings, pan)
    per_nucleus = {c.name.removeprefix("gh2ax_"): v for c, v in foci.nuclei.items()}
    return per_nucleus, {c.name: v for c, v in foci.foci.items()}, foci.labels


FOCI = ((50.3, 55.6, 300), (70.0, 72.2, 200), (60.4, 40.1, 250), (62.0, 170.5, 300))


def test_finds_the_foci_of_each_nucleus_to_a_tenth_of_a_pixel():
    per_nucleus, foci, labels = measured(image(FOCI, noise=3))
    assert per_nucleus["foci_count"].tolist() == [3, 1]
    assert sorted(foci["cell_id"].tolist()) == [4, 4, 4, 900]
    truth = np.array(sorted(FOCI))
    found = np.stack([foci["y"], foci["x"]], axis=1)[np.argsort(foci["y"])]
    np.testing.assert_allclose(found, truth[:, :2], atol=0.12)
    np.testing.assert_allclose(foci["contrast"][np.argsort(foci["y"])], truth[:, 2], rtol=0.12)
    assert np.unique(labels).tolist() == [0, 1, 2, 3, 4]


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
    for changed in (picture + 1000, 7 * picture):
        assert (measured(changed)[0]["foci_count"] == counts).all()


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


def test_noise_from_controls_sets_the_threshold():
    control = image(noise=10, seed=5)
    noise = response_noise(control, Regions.of(nuclei()), SETTINGS)
    fixed = FociSettings(noise=noise)
    assert measured(control, settings=fixed)[0]["foci_count"].tolist() == [0, 0]
    threshold = measured(image(FOCI, noise=3), settings=fixed)[0]["foci_threshold"]
    np.testing.assert_allclose(threshold, 4.5 * noise, rtol=0.05)
    assert measured(image(FOCI), settings=FociSettings(noise=1e4))[1]["y"].size == 0


def test_pan_nuclear_needs_bright_and_even():
    even = image(noise=5)
    even[nuclei() == 4] += 2000
    pan = PanNuclearSettings(level=300)
    assert measured(even, pan=pan)[0]["pan_nuclear"].tolist() == [True, False]
    speckled = even.copy()
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3)
    speckled += 1200 * texture / texture.std() * (nuclei() == 4)
    assert measured(speckled, pan=pan)[0]["pan_nuclear"].tolist() == [False, False]


def test_absent_nucleus_is_nan_and_no_nuclei_are_no_rows():
    regions = Regions.of(nuclei(), ids=np.array([4, 5, 900]))
    foci = measure_foci(
        image(FOCI, noise=3), "c", regions, np.zeros(3), SETTINGS, PanNuclearSettings()
    )
    values = {c.name: v for c, v in foci.nuclei.items()}
    assert values["c_foci_count"].tolist() == [3, 0, 1]
    assert np.isnan(values["c_foci_integrated"]).tolist() == [False, True, False]
    per_nucleus, table, _ = measured(image(), np.zeros(SHAPE, dtype=int))
    assert per_nucleus["foci_count"].shape == table["y"].shape == (0,)
    assert np.isnan(response_noise(image(), Regions.of(np.zeros(SHAPE, dtype=int)), SETTINGS))


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
        {"noise": -1.0},
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
        measure_foci(
            image(), "c", Regions.of(nuclei()), np.zeros(5), SETTINGS, PanNuclearSettings()
        )


def test_foci_of_two_channels_can_be_stacked():
    regions = Regions.of(nuclei())
    tables = [
        measure_foci(image(FOCI, noise=3), name, regions, np.zeros(2), SETTINGS, PAN).foci
        for name in ("gh2ax", "p53bp1")
    ]
    assert list(tables[0]) == list(tables[1])
    first = next(iter(tables[0]))
    assert (first.name, first.unit, first.dtype) == ("channel", "key", "str")
    stacked = np.concatenate([table[first] for table in tables])
    assert stacked.tolist() == ["gh2ax"] * 4 + ["p53bp1"] * 4


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
    measured_stack = measure_foci(
        stack, "c", Regions.of(labels), np.zeros(1), settings, PanNuclearSettings()
    )
    columns = {c.name: v for c, v in measured_stack.foci.items()}
    np.testing.assert_allclose(np.sort(columns["plane"]), [1.8, 4.0, 6.3], atol=0.3)
    assert (columns["area"] < 40).all()
    projected = find_foci(stack.max(axis=0), Regions.of(labels), FociSettings(sigma=2.0))
    assert len(projected.places) == 2


def test_lost_pixels_are_no_foci():
    picture = image(FOCI, noise=3)
    picture[30:34, 50:54] = np.nan
    assert measured(picture)[0]["foci_count"][1] == 1
