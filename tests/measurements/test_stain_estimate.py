"""The colour of a stain from pictures of stained cells whose colour is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from measurements.beta_gal import BetaGalSettings
from measurements.errors import MeasurementError
from measurements.stain_estimate import estimate_stain, stained_densities
from measurements.stains import X_GAL, unit
from pipelines.simulate import BetaGalSettings as Simulation
from pipelines.simulate import simulate_beta_gal
from tests.measurements.label_images import disc

SHAPE = (300, 360)
SETTINGS = BetaGalSettings()
TRUTH = np.array(unit((0.80, 0.52, 0.30)))


def cells():
    return sum(disc(SHAPE, y, x, 40) for y in (75, 220) for x in (80, 200, 300)).astype(bool)


def picture(stain=TRUTH, grey=0.0, seed=4):
    """Granular stain over grey bodies in light that falls off."""
    rng = np.random.default_rng(seed)
    amount = np.where(cells(), ndimage.gaussian_filter(rng.gamma(1, 0.3, SHAPE), 1.5), 0)
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    light = (1 - 0.3 * (y**2 + x**2) / 2)[..., None] * np.array([215.0, 205.0, 180.0])
    density = amount[..., None] * stain + (np.where(cells(), 0.03, 0) + grey)[..., None]
    noisy = light * 10**-density * (1 + 0.008 * rng.standard_normal((*SHAPE, 3)))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def degrees(a, b):
    return np.degrees(np.arccos(min(1.0, np.dot(unit(a), unit(b)))))


def estimate(*pictures, **options):
    return estimate_stain([stained_densities(p, SETTINGS, **options) for p in pictures], SETTINGS)


@pytest.mark.parametrize("outlined", [True, False])
def test_nearer_to_the_truth_than_the_default(outlined):
    found = estimate(picture(), background=~cells() if outlined else None)
    assert degrees(found.vector, TRUTH) < 2
    assert degrees(X_GAL, TRUTH) > 8
    assert found.n_images == 1
    assert np.isnan(found.spread_deg)


def test_edges_debris_and_overexposed_pixels_have_no_voice():
    inside = ndimage.distance_transform_edt(cells())
    edges = np.where((inside > 0) & (inside < 3), 0.25, 0) - 0.06 * ((inside >= 3) & (inside < 6))
    debris = 0.9 * disc(SHAPE, 150, 150, 9) + 2.0 * disc(SHAPE, 100, 90, 6)
    rgb = picture(grey=edges + debris)
    rgb[disc(SHAPE, 150, 250, 20)] = (60, 60, 255)
    assert degrees(estimate(rgb).vector, TRUTH) < 3


def test_one_odd_image_among_several():
    odd = picture()
    odd[disc(SHAPE, 150, 180, 25)] = (40, 60, 200)
    pictures = [picture(seed=seed) for seed in range(3)]
    found = estimate(*pictures, odd)
    assert degrees(found.vector, TRUTH) < 2.5
    assert found.n_images == 4
    assert found.spread_deg < 15


def test_an_image_of_another_stain_shows_in_the_spread():
    found = estimate(picture(), picture(stain=np.array(unit((0.9, 0.42, 0.1)))))
    assert found.spread_deg > 5


def test_images_without_stain_are_passed_over():
    bare = picture(stain=np.zeros(3))
    assert len(stained_densities(bare, SETTINGS)) < 50
    assert degrees(estimate(bare, picture()).vector, TRUTH) < 2
    with pytest.raises(MeasurementError, match="stained pixels"):
        estimate(bare)
    with pytest.raises(MeasurementError, match="stained pixels"):
        estimate_stain([], SETTINGS)


def test_a_blank_field_gives_the_light():
    y, x = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    blank = (1 - 0.3 * (y**2 + x**2) / 2)[..., None] * np.array([215.0, 205.0, 180.0])
    found = estimate(picture(), blank=np.rint(blank).astype(np.uint8))
    assert degrees(found.vector, TRUTH) < 2


@pytest.mark.parametrize("jpeg_quality", [None, 75])
def test_simulated_fields_full_of_what_is_no_stain(jpeg_quality):
    """Droplets, dead cells, dirt and strong edges in tinted light; cells are not outlined."""
    plain = Simulation(
        white_balance=(1.0, 0.9, 0.72), stained_fraction=0.5, jpeg_quality=jpeg_quality
    )
    spoilt = replace(
        plain,
        scene=replace(plain.scene, height=600, width=600, falloff=0.4),
        nuclei=replace(plain.nuclei, count=12),
        contrast=replace(plain.contrast, refraction=2.0),
        inclusions=replace(
            plain.inclusions, adipogenic_fraction=0.5, dead_per_mm2=60.0, specks_per_mm2=200.0
        ),
    )
    field = simulate_beta_gal(spoilt, seed=21)
    truth = [field.truth["colour"][c][0] for c in ("red", "green", "blue")]
    assert degrees(estimate(field.channels["rgb"]).vector, truth) < 4
    assert degrees(X_GAL, truth) > degrees(estimate(field.channels["rgb"]).vector, truth)
