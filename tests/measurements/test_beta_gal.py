import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from measurements.background import BackgroundSettings, background_pixels
from measurements.beta_gal import BetaGalSettings, measure_beta_gal, stain_image
from measurements.beta_gal_columns import IMAGE_COLUMNS
from measurements.colour_index import log_csi_bsi
from measurements.errors import MeasurementError
from measurements.optical_density import LightSettings
from measurements.regions import Regions
from measurements.stains import X_GAL
from tests.measurements.label_images import disc

SHAPE = (300, 360)
PLACES = {3: (75, 80), 8: (75, 240), 9: (220, 100), 40: (215, 270)}
RADIUS = 40
SETTINGS = BetaGalSettings()


def labels():
    """Four round cells whose ids have gaps."""
    image = np.zeros(SHAPE, dtype=np.uint32)
    for label, (y, x) in PLACES.items():
        image[disc(SHAPE, y, x, RADIUS)] = label
    return image


def densities(*stains, grey=0.0):
    """Red, green and blue densities of cells that hold this much stain, and of something grey."""
    amounts = np.zeros(SHAPE)
    for label, stain in zip(PLACES, stains, strict=True):
        amounts[labels() == label] = stain
    return amounts[..., None] * np.array(X_GAL) + np.asarray(grey)[..., None]


def picture(density, light=(215.0, 212.0, 205.0), dtype=np.uint8, noise=0.008, seed=1):
    """What a camera makes of it."""
    rng = np.random.default_rng(seed)
    transmitted = np.asarray(light) * 10**-density
    noisy = transmitted * (1 + noise * rng.standard_normal(density.shape))
    if np.dtype(dtype).kind == "f":
        return noisy.astype(dtype)
    return np.clip(np.rint(noisy), 0, np.iinfo(dtype).max).astype(dtype)


def falling_off(loss, gains=(215.0, 212.0, 205.0)):
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    return (1 - loss * (y**2 + x**2) / 2)[..., None] * np.array(gains)


def measured(rgb, settings=SETTINGS, label_image=None, **others):
    image = labels() if label_image is None else label_image
    cells = Regions.of(image)
    around = background_pixels(image, cells.ids, settings.background)
    found = measure_beta_gal(rgb, cells, around, settings, **others)
    table = {**found.cells, **found.image}
    return {column.name.removeprefix("beta_gal_"): values for column, values in table.items()}


def test_known_cells():
    table = measured(picture(densities(0.0, 0.05, 0.2, 0.6)))
    assert table["mean_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.002)
    area = np.count_nonzero(labels() == 9)
    assert table["integrated_od"][2] == pytest.approx(0.2 * area, rel=0.02)
    assert table["p95_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.015)
    assert table["stained_fraction"] == pytest.approx([0, 1, 1, 1], abs=0.03)
    assert table["background"] == pytest.approx(np.zeros(4), abs=0.002)
    assert table["clipped_fraction"] == pytest.approx(np.zeros(4))


def test_half_a_cell_stained():
    density = densities(0, 0.3, 0, 0)
    density[75:] = 0
    table = measured(picture(density))
    assert table["stained_fraction"][1] == pytest.approx(0.5, abs=0.03)
    assert table["mean_od"][1] == pytest.approx(0.15, abs=0.005)


def test_score_rises_with_stain_up_to_black_in_8_bit():
    """A published tool adds two 8-bit channels: 256 is 0, and bluer cells score lower."""
    means, shares = [], []
    for stain in np.linspace(0, 2, 21):
        table = measured(picture(densities(stain, 0, 0, 0), light=(250.0, 250.0, 250.0)))
        means.append(table["mean_od"][0])
        shares.append(table["log_csi_bsi"][0])
    assert (np.diff(means) > 0.05).all()
    assert (np.diff(shares) > 0).all()


@pytest.mark.parametrize(
    "light",
    [
        falling_off(0.4),
        falling_off(0.2, (215.0, 150.0, 90.0)),
        falling_off(0.2, (120.0, 180.0, 240.0)),
        np.array([60.0, 60.0, 60.0]),
    ],
    ids=["falls off", "warm", "cold", "dim"],
)
def test_light_and_white_balance_cancel(light):
    table = measured(picture(densities(0.0, 0.05, 0.2, 0.6), light=light))
    # A dark pixel of a dim picture is few grey levels, whose logarithm is skewed.
    assert table["mean_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.002, rel=0.01)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_types_agree(dtype):
    light = np.array([215.0, 212.0, 205.0])
    density = densities(0.0, 0.05, 0.2, 0.6)
    scale = 16 if dtype == np.uint16 else 1
    table = measured(picture(density, light * scale, dtype))
    expected = measured(picture(density, light))
    for name in ("mean_od", "stained_fraction", "p95_od", "log_csi_bsi"):
        assert table[name] == pytest.approx(expected[name], abs=0.01)


def test_jpeg():
    rgb = picture(densities(0.0, 0.05, 0.2, 0.6), light=falling_off(0.3))
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=75)
    table = measured(np.asarray(Image.open(file)))
    # Coarse steps of colour, and colour smeared over the edges, take a few percent.
    assert table["mean_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.006, rel=0.05)


def droplets():
    """Bright discs with dark rims: lipid droplets."""
    grey = np.zeros(SHAPE)
    for y in range(50, 110, 14):
        for x in range(52, 112, 14):
            grey[disc(SHAPE, y, x, 5)] = 0.3
            grey[disc(SHAPE, y, x, 3)] = -0.06
    return grey


def refractile_edge():
    inside = ndimage.distance_transform_edt(labels() == 3)
    return np.where(inside > 6, 0, np.where(inside > 3, 0.25, -0.06)) * (inside > 0)


def debris():
    grey = np.zeros(SHAPE)
    grey[disc(SHAPE, 70, 80, 9)] = 0.9
    grey[disc(SHAPE, 95, 90, 6)] = 2.0
    return grey


def clump():
    return np.where(labels() == 3, 0.5, 0) + 0.2 * disc(SHAPE, 80, 85, 25)


@pytest.mark.parametrize("spoiler", [droplets, refractile_edge, debris, clump])
@pytest.mark.parametrize("stain", [0.0, 0.2])
def test_what_is_grey_is_no_stain(spoiler, stain):
    grey = spoiler()
    table = measured(picture(densities(stain, 0, 0, 0, grey=grey), light=falling_off(0.3)))
    # Dark pixels of an 8-bit picture are few grey levels: their colour is uncertain.
    assert table["mean_od"][0] == pytest.approx(stain, abs=0.01)
    assert table["stained_fraction"][0] == pytest.approx(float(stain > 0), abs=0.1)


def test_a_colour_at_the_limit_is_no_stain():
    """Red is clipped first by white balance; what is left of the colours would be blue-green."""
    halo = np.where(labels() == 3, -0.1, 0)
    rgb = picture(densities(0, 0, 0, 0, grey=halo), light=(245.0, 200.0, 190.0))
    table = measured(rgb)
    assert table["clipped_fraction"][0] > 0.9
    assert table["mean_od"][0] == pytest.approx(0, abs=0.003)
    assert table["surroundings_clipped_fraction"][0] < 0.01


def test_overexposure_shows_and_is_no_stain():
    grey = 0.05 * (labels() == 3)
    light = (300.0, 280.0, 260.0)
    table = measured(picture(densities(0, 0.1, 0.2, 0.4, grey=grey), light=light))
    assert (table["surroundings_clipped_fraction"] > 0.99).all()
    assert table["image_clipped_fraction"] > 0.99
    assert table["mean_od"][0] == pytest.approx(0, abs=0.01)
    assert table["stained_fraction"][0] < 0.1
    assert (np.diff(table["mean_od"]) >= 0).all()


def coloured_fringes():
    """Edges that red and blue show at different places, as a lens does that is not corrected."""
    inside = ndimage.distance_transform_edt(labels() == 3)
    lines = [0.15 * np.exp(-(((inside - at) / 2) ** 2)) * (inside > 0) for at in (5.2, 5.0, 4.8)]
    return np.stack(lines, axis=-1)


def test_coloured_fringes_cancel_and_lie_under_a_fixed_level():
    rgb = picture(densities(0, 0, 0, 0) + coloured_fringes())
    assert measured(rgb)["mean_od"][0] == pytest.approx(0, abs=0.003)
    table = measured(rgb, BetaGalSettings(stained_od=0.04))
    assert table["stained_fraction"][0] < 0.02


def test_the_whole_image():
    table = measured(picture(densities(0.0, 0.05, 0.2, 0.6), light=falling_off(0.3)))
    share = np.count_nonzero(labels() == 3) / labels().size
    assert table["image_mean_od"] == pytest.approx([0.85 * share], abs=0.002)
    assert table["image_integrated_od"] == table["image_mean_od"] * labels().size
    assert table["image_stained_fraction"] == pytest.approx([3 * share], abs=0.02)
    assert table["image_clipped_fraction"] == [0]
    assert [table[f"stain_{c}"][0] for c in ("red", "green", "blue")] == pytest.approx(X_GAL)


def test_local_background_takes_off_a_stained_haze():
    haze = np.zeros((*SHAPE, 3))
    haze[disc(SHAPE, 75, 80, 70)] = 0.1 * np.array(X_GAL)
    rgb = picture(densities(0.2, 0, 0, 0) + haze)
    local = BetaGalSettings(background=BackgroundSettings(method="local"))
    table = measured(rgb, local)
    assert table["mean_od"][0] == pytest.approx(0.2, abs=0.01)
    assert table["p95_od"][0] == pytest.approx(0.2, abs=0.02)
    without = BetaGalSettings(background=BackgroundSettings(method="none"))
    assert measured(rgb, without)["mean_od"][0] == pytest.approx(0.3, abs=0.01)


def test_blank_field():
    light = falling_off(0.4)
    rgb = picture(densities(0.0, 0.05, 0.2, 0.6), light=light)
    blank = picture(densities(0, 0, 0, 0), light=light, seed=2)
    table = measured(rgb, blank=blank)
    assert table["mean_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.003)


def test_a_few_blurred_pixels_between_cells_are_no_background():
    """The gaps of a crowded field lie in the blur and the edges of the cells beside them."""
    haze = np.zeros((*SHAPE, 3))
    haze[:, 180:182] = 0.02 * np.array(X_GAL)
    rgb, blank = picture(densities(0.0, 0.05, 0.2, 0.6) + haze), picture(densities(0, 0, 0, 0))
    everywhere = np.where(labels() == 0, 1, labels())
    everywhere[:, 180:182] = 0
    gapless = BetaGalSettings(background=BackgroundSettings(method="field", gap=0))
    table = measured(rgb, gapless, everywhere, blank=blank)
    assert 0 < table["image_background_fraction"][0] < 0.01
    assert table["mean_od"][1:] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.003)


def test_dark_level():
    rgb = picture(densities(0.0, 0.05, 0.2, 0.6), light=(180.0, 180.0, 180.0)) + np.uint8(25)
    settings = BetaGalSettings(light=LightSettings(dark=(25.0, 25.0, 25.0)))
    assert measured(rgb, settings)["mean_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.003)
    assert measured(rgb)["mean_od"][3] < 0.52


@pytest.mark.parametrize("gamma", [2.2, "srgb"])
def test_encoded_light_is_decoded(gamma):
    light = np.array([0.7, 0.68, 0.66])
    linear = light * 10 ** -densities(0.0, 0.05, 0.2, 0.6)
    if gamma == "srgb":
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    else:
        encoded = linear ** (1 / gamma)
    noisy = 255 * encoded + np.random.default_rng(3).normal(0, 1, encoded.shape)
    rgb = np.rint(noisy).astype(np.uint8)
    settings = BetaGalSettings(light=LightSettings(gamma=gamma))
    assert measured(rgb, settings)["mean_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.005)
    assert measured(rgb)["mean_od"][3] < 0.35


def test_a_red_counterstain_as_residual():
    """Nuclear fast red (ImageJ's list of stains) takes red least: against grey it reads as less."""
    fast_red = (0.213, 0.851, 0.478)
    red = 0.3 * (labels() > 0)[..., None] * np.array(fast_red)
    rgb = picture(densities(0.0, 0.05, 0.2, 0.6) + red)
    assert measured(rgb)["mean_od"][0] < -0.1
    settings = BetaGalSettings(residual=fast_red)
    assert measured(rgb, settings)["mean_od"] == pytest.approx([0, 0.05, 0.2, 0.6], abs=0.004)


def test_nucleus_ring():
    image = labels()
    nucleus = np.zeros_like(image)
    for label, (y, x) in PLACES.items():
        nucleus[disc(SHAPE, y, x, 20)] = label
    nucleus[image == 40] = 0
    density = densities(0.1, 0.2, 0.1, 0.1)
    density[nucleus == 8] = 0.5 * np.array(X_GAL)
    ring = Regions.of(nucleus, Regions.of(image).ids)
    table = measured(picture(density), nuclei_ring=ring)
    assert table["ring_mean_od"][:3] == pytest.approx([0.1, 0.5, 0.1], abs=0.003)
    assert np.isnan(table["ring_mean_od"][3])
    assert table["mean_od"][1] == pytest.approx(0.2 + 0.3 * 20**2 / RADIUS**2, abs=0.01)
    assert {"ring_integrated_od", "ring_p95_od", "ring_stained_fraction"} <= table.keys()


def test_log_csi_bsi_by_hand():
    rgb = np.zeros((2, 4, 3), dtype=np.uint8)
    rgb[:, :2] = (50, 100, 250)
    rgb[:, 2:] = (200, 200, 200)
    cells = Regions.of(np.array([[5, 5, 0, 0]] * 2))
    around = Regions.of(np.array([[0, 0, 5, 5]] * 2))
    expected = np.log((350 / 400) / (400 / 600))
    assert log_csi_bsi(rgb, cells, around) == pytest.approx([expected])
    rgb[0, 0] = 0
    with_black = np.log(((350 / 400) * 3 / 4 + (2 / 3) / 4) / (2 / 3))
    assert log_csi_bsi(rgb, cells, around) == pytest.approx([with_black])
    nothing = Regions.of(np.zeros((2, 4), dtype=int), np.array([5]))
    assert np.isnan(log_csi_bsi(rgb, cells, nothing))


def test_no_cell_one_cell_and_cells_everywhere():
    rgb = picture(densities(0.1, 0, 0, 0))
    assert measured(rgb, label_image=np.zeros(SHAPE, np.uint32))["mean_od"].shape == (0,)
    one = np.where(labels() == 3, 1, 0)
    assert measured(rgb, label_image=one)["mean_od"] == pytest.approx([0.1], abs=0.01)
    full = np.where(labels() == 0, 1, labels())
    table = measured(rgb, label_image=full)
    by_id = dict(zip(np.unique(full), table["mean_od"], strict=True))
    assert by_id[3] - by_id[8] == pytest.approx(0.1, abs=0.01)
    assert by_id[8] == pytest.approx(0, abs=0.01)


def test_missing_values_stay_in_their_cell():
    rgb = picture(densities(0.1, 0.1, 0.1, 0.1), dtype=np.float32)
    rgb[75, 80] = rgb[150, 5] = np.nan
    table = measured(rgb)
    for name in ("mean_od", "p95_od", "stained_fraction", "log_csi_bsi"):
        assert np.isnan(table[name][0])
        assert np.isfinite(table[name][1:]).all()
    assert table["mean_od"][1:] == pytest.approx([0.1, 0.1, 0.1], abs=0.003)
    assert table["stained_fraction"][1:] == pytest.approx([1, 1, 1], abs=0.03)


def test_fixed_level_of_a_stained_pixel():
    rgb = picture(densities(0.0, 0.05, 0.2, 0.6))
    table = measured(rgb, BetaGalSettings(stained_od=0.3))
    assert table["stained_fraction"] == pytest.approx([0, 0, 0, 1], abs=0.05)


def test_columns_and_caller():
    rgb = picture(densities(0.0, 0.05, 0.2, 0.6))
    before = rgb.copy()
    image = labels()
    cells = Regions.of(image)
    around = background_pixels(image, cells.ids, SETTINGS.background)
    found = measure_beta_gal(rgb, cells, around, SETTINGS, nuclei_ring=cells)
    table = found.cells
    assert np.array_equal(rgb, before)
    assert all(values.shape == (4,) for values in table.values())
    assert not any("{" in column.name + column.meaning for column in {**table, **found.image})
    assert set(found.image) == set(IMAGE_COLUMNS)
    assert len({column.name for column in table}) == len(table)
    integrated = next(c for c in table if c.name == "beta_gal_integrated_od")
    assert integrated.length_power == 2
    assert stain_image(rgb, around.field, SETTINGS).shape == SHAPE


def test_regions_of_other_cells_are_refused():
    image = labels()
    cells = Regions.of(image)
    around = background_pixels(image, cells.ids, SETTINGS.background)
    rgb = picture(densities(0, 0, 0, 0))
    with pytest.raises(MeasurementError, match="nucleus ring"):
        measure_beta_gal(rgb, cells, around, SETTINGS, nuclei_ring=Regions.of(image == 3))
    with pytest.raises(MeasurementError, match="surroundings"):
        measure_beta_gal(rgb, Regions.of(image == 3), around, SETTINGS)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(MeasurementError, match="noise_sd"):
        BetaGalSettings(noise_sd=0)
