from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pipelines.simulate.beta_gal import BetaGalSettings, simulate_beta_gal
from pipelines.simulate.brightfield import Contrast
from pipelines.simulate.inclusions import Inclusions
from pipelines.simulate.optics import illumination
from pipelines.simulate.photograph import as_jpeg, shaded
from pipelines.simulate.randomness import part_rng
from pipelines.simulate.x_gal import indigo_vector, tilted

NOTHING = Inclusions(adipogenic_fraction=0, dead_per_mm2=0, specks_per_mm2=0)
FULL = BetaGalSettings()
SMALL = replace(
    FULL,
    scene=replace(FULL.scene, height=360, width=400),
    nuclei=replace(FULL.nuclei, count=5),
    stained_fraction=0.6,
)
PLAIN = replace(
    SMALL,
    scene=replace(SMALL.scene, falloff=0.0),
    inclusions=NOTHING,
    contrast=Contrast(refraction=0, halo=0),
    body_od=0.0,
    white_balance=(1.0, 1.0, 1.0),
)


def density_of(simulated, white):
    return -np.log10(simulated.channels["rgb"].astype(float) / white)


def test_same_seed_same_bytes_and_other_seed_other_image():
    first, again, other = (simulate_beta_gal(SMALL, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.channels["rgb"], again.channels["rgb"])
    for name, table in first.truth.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, again.truth[name][column])
    assert not np.array_equal(first.channels["rgb"], other.channels["rgb"])
    assert first.channels["rgb"].dtype == np.uint8
    assert first.channels["rgb"].shape == (360, 400, 3)


def test_beer_lambert_gives_back_the_stain_and_its_colour():
    """An independent way back: optical density of the picture, projected on the stain's vector."""
    simulated = simulate_beta_gal(replace(PLAIN, stain_od=0.08, electrons=1e6), 2)
    colour = simulated.truth["colour"]
    vector = np.array([colour[c][0] for c in ("red", "green", "blue")])
    measured = density_of(simulated, 215.0) @ vector
    cells = simulated.truth["cells"]
    per_cell = ndimage.mean(measured, simulated.labels["cells"], cells["label"])
    stained = cells["stained"] & (cells["mean_od"] > 0.02)
    assert stained.sum() >= 2
    np.testing.assert_allclose(per_cell[stained], cells["mean_od"][stained], rtol=0.05)
    stain = simulated.expected["stain_od"] > 0.2
    found = density_of(simulated, 215.0)[stain].mean(axis=0)
    np.testing.assert_allclose(found / np.linalg.norm(found), vector, atol=0.02)


def test_truth_adds_up():
    simulated = simulate_beta_gal(SMALL, 1)
    cells, labels = simulated.truth["cells"], simulated.labels["cells"]
    np.testing.assert_allclose(cells["integrated_od"], cells["mean_od"] * cells["area_um2"])
    counts = np.bincount(labels.ravel(), minlength=cells["label"].size + 1)[1:]
    np.testing.assert_allclose(cells["area_um2"], counts * 0.65**2)
    assert cells["mean_od"][cells["stained"]].min() > cells["mean_od"][~cells["stained"]].max()


def test_fraction_and_strength_of_stain_follow_the_settings():
    many = replace(
        PLAIN,
        scene=replace(FULL.scene, height=800, width=800, pixel_size_um=1.3),
        nuclei=replace(FULL.nuclei, count=100),
        stained_fraction=0.5,
        stained_size=1.0,
    )
    weak = simulate_beta_gal(replace(many, stain_od=0.05), 0).truth["cells"]
    strong = simulate_beta_gal(replace(many, stain_od=0.10), 0).truth["cells"]
    np.testing.assert_array_equal(weak["stained"], strong["stained"])
    n = weak["stained"].size
    assert n > 50
    assert weak["stained"].mean() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(n))
    chosen = weak["stained"]
    ratio = strong["mean_od"][chosen] / weak["mean_od"][chosen]
    assert np.median(ratio) == pytest.approx(2.0, rel=0.1)
    assert strong["mean_od"][chosen].mean() == pytest.approx(0.10, rel=0.3)


def test_every_stained_cell_gets_the_amount_asked_for():
    settings = replace(PLAIN, stained_fraction=1.0, stain_od=0.12, stain_cv=0.0)
    cells = simulate_beta_gal(settings, 8).truth["cells"]
    # Blur carries a little over the border of the cell.
    np.testing.assert_allclose(cells["mean_od"], 0.12, rtol=0.05)


@pytest.mark.parametrize("fraction", [0.0, 0.9])
def test_edges_of_the_stained_fraction(fraction):
    simulated = simulate_beta_gal(replace(SMALL, stained_fraction=fraction, background_od=0.0), 5)
    cells = simulated.truth["cells"]
    if fraction == 0.0:
        assert not cells["stained"].any()
        assert not simulated.expected["stain_od"].any()
    else:
        assert cells["stained"].mean() >= 0.6


def test_cells_do_not_overlap_and_hold_their_nucleus_in_one_piece():
    crowded = replace(
        SMALL, nuclei=replace(SMALL.nuclei, count=40, min_gap_um=4.0, touching_fraction=0.2)
    )
    for settings in (SMALL, crowded):
        simulated = simulate_beta_gal(settings, 6)
        cells, nuclei = simulated.labels["cells"], simulated.labels["nuclei"]
        np.testing.assert_array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
        for label in simulated.truth["cells"]["label"]:
            assert ndimage.label(cells == label)[1] == 1
    assert len(simulated.truth["cells"]["label"]) > 12


def test_no_cells_and_one_cell():
    empty = simulate_beta_gal(replace(SMALL, nuclei=replace(SMALL.nuclei, count=0)), 0)
    assert not empty.labels["cells"].any()
    assert empty.truth["cells"]["label"].size == 0
    one = simulate_beta_gal(replace(SMALL, nuclei=replace(SMALL.nuclei, count=1)), 0)
    np.testing.assert_array_equal(np.unique(one.labels["cells"]), [0, 1])


@pytest.mark.parametrize("falloff", [0.0, 0.4])
def test_falloff_is_realised(falloff):
    empty = replace(
        PLAIN,
        scene=replace(PLAIN.scene, falloff=falloff),
        nuclei=replace(PLAIN.nuclei, count=0),
        electrons=1e6,
    )
    picture = simulate_beta_gal(empty, 0).channels["rgb"][..., 1].astype(float)
    smooth = ndimage.gaussian_filter(picture, 4)
    assert 1 - smooth.min() / smooth.max() == pytest.approx(falloff, abs=0.02)
    field = illumination((50, 70), falloff, part_rng(0, "x"))
    assert field.max() == 1.0
    assert field.min() == pytest.approx(1 - falloff)


def test_unstained_things_are_not_blue():
    """Droplets, dead cells, specks and edges change the light, but all colours alike."""
    dirty = replace(
        SMALL,
        inclusions=Inclusions(1.0, dead_per_mm2=80, specks_per_mm2=300, clumps=1),
        stained_fraction=0.0,
        background_od=0.0,
        contrast=Contrast(colour_shift=0.0),
        body_od=0.0,
        white_balance=(1.0, 1.0, 1.0),
    )
    simulated = simulate_beta_gal(dirty, 1)
    density = ndimage.gaussian_filter(density_of(simulated, 215.0), (2, 2, 0))
    assert density.std() > 0.02
    assert np.abs(density[..., 0] - density[..., 2]).max() < 0.12
    assert np.abs((density[..., 0] - density[..., 2]).mean()) < 0.002
    assert simulated.truth["droplets"]["y"].size > 20
    assert simulated.labels["clumps"].any()
    assert set(simulated.truth["debris"]["kind"]) == {"dead_cell", "speck"}


def test_white_balance_gamma_and_compression():
    gains = replace(PLAIN, nuclei=replace(PLAIN.nuclei, count=0), white_balance=(1.0, 0.9, 0.7))
    red, green, blue = simulate_beta_gal(gains, 0).channels["rgb"].reshape(-1, 3).mean(axis=0)
    assert green / red == pytest.approx(0.9, rel=0.01)
    assert blue / red == pytest.approx(0.7, rel=0.01)
    bright = simulate_beta_gal(replace(gains, gamma=2.2), 0).channels["rgb"].reshape(-1, 3)
    assert bright.mean(axis=0)[2] / bright.mean(axis=0)[0] == pytest.approx(
        0.7 ** (1 / 2.2), rel=0.01
    )
    assert bright.mean(axis=0)[0] == pytest.approx(215, rel=0.02)
    picture = simulate_beta_gal(SMALL, 0).channels["rgb"]
    packed = simulate_beta_gal(replace(SMALL, jpeg_quality=60), 0).channels["rgb"]
    np.testing.assert_array_equal(packed, as_jpeg(picture, 60))
    difference = np.abs(packed.astype(float) - picture)
    assert 0 < difference.mean() < 6


def test_noise_falls_with_electrons():
    empty = replace(PLAIN, nuclei=replace(PLAIN.nuclei, count=0))
    few, many = (
        simulate_beta_gal(replace(empty, electrons=e), 0).channels["rgb"][..., 0].std()
        for e in (1000.0, 16000.0)
    )
    assert few == pytest.approx(255 * np.sqrt(215 / 255 / 1000), rel=0.15)
    assert many < 0.4 * few


def test_counterstain_and_dapi_show_the_nuclei():
    plain = simulate_beta_gal(SMALL, 0)
    both = simulate_beta_gal(replace(SMALL, counterstain_od=0.4, dapi_e=800.0), 0)
    inside = plain.labels["nuclei"] > 0
    change = plain.channels["rgb"].astype(float) - both.channels["rgb"]
    assert change[inside].mean(axis=0)[1] > 2 * change[inside].mean(axis=0)[0] > 0
    assert np.abs(change[~inside]).mean() < 2
    assert "dapi" not in plain.channels
    dapi = both.channels["dapi"].astype(float)
    assert dapi[inside].mean() > 3 * np.median(dapi[~inside])


def test_stain_vectors():
    vector = np.array(indigo_vector())
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert vector[0] > vector[1] > vector[2] > 0
    redder = np.array(indigo_vector(peak_nm=660.0))
    assert redder[1] < vector[1]
    rng = np.random.default_rng(0)
    angles = [
        np.rad2deg(np.arccos(np.clip(tilted(vector, 5.0, rng) @ vector, -1, 1))) for _ in range(300)
    ]
    assert np.sqrt(np.mean(np.square(angles))) == pytest.approx(5.0, rel=0.15)
    np.testing.assert_allclose(tilted(vector, 0.0, rng), vector)


def test_images_of_one_microscope_are_lit_alike():
    scene = replace(SMALL.scene, falloff=0.4)
    own, other = (shaded(scene, replace(SMALL, scene=scene).camera, seed) for seed in (1, 2))
    assert not np.array_equal(own, other)
    camera = replace(SMALL, scene=scene, light_seed=7).camera
    assert np.array_equal(shaded(scene, camera, 1), shaded(scene, camera, 2))
