"""Dots of a chromogen, found as RNA spots are, in what is unmixed from simulated pictures."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.data import immunohistochemistry

from measurements.spots.detection import find_spots, is_autofluorescent
from measurements.spots.molecules import count_molecules, single_intensity
from measurements.spots.settings import SpotSettings, UnusedChannel
from measurements.stains import KNOWN_STAINS, stain_plane, stain_weights, unexplained_share
from pipelines.field.pixels import MOST_UNEXPLAINED
from pipelines.simulate.rna_brightfield import (
    DAB,
    FAST_RED,
    RnaBrightfieldSettings,
    dot_sigma_px,
    simulate_rna_brightfield,
)
from tests.benchmarks.foci_fields import matches

BASE = RnaBrightfieldSettings()
SMALL = replace(
    BASE,
    scene=replace(BASE.scene, height=400, width=400),
    nuclei=replace(BASE.nuclei, count=26),
    pigment=replace(BASE.pigment, count_mean=0.0),
)
SINGLE = replace(BASE.molecules, clusters_mean=0.0, snr=40.0)


def spots_of(field, name="dab"):
    weights = stain_weights(KNOWN_STAINS[name], KNOWN_STAINS["haematoxylin"])
    plane = stain_plane(field.channels["rgb"], weights)
    return find_spots(plane, SpotSettings(sigma=dot_sigma_px(BASE)))


def places(field, table="molecules"):
    return np.column_stack([field.truth[table][c] for c in "yx"])


@pytest.mark.parametrize(("name", "chromogen"), [("dab", DAB), ("fast_red", FAST_RED)])
@pytest.mark.parametrize(("quality", "least"), [(None, 0.86), (85, 0.82)])
def test_dots_are_found_whatever_the_chromogen_and_the_file(name, chromogen, quality, least):
    """JPEG halves the colour's detail, and no threshold finds in it what a TIFF shows."""
    camera = replace(BASE.camera, jpeg_quality=quality)
    settings = replace(SMALL, molecules=SINGLE, chromogen=chromogen, camera=camera)
    field = simulate_rna_brightfield(settings, 21)
    found = spots_of(field, name)
    right = matches(places(field), found.places, 2.0)
    assert 2 * right / (len(places(field)) + len(found.places)) > least


@pytest.mark.parametrize("quality", [None, 85])
def test_a_picture_without_dots_has_hardly_any(quality):
    """JPEG's blocks of haematoxylin are noise of the picture, however small densities are."""
    nothing = replace(SINGLE, count_mean=0.0, stray_per_mm2=0.0)
    camera = replace(BASE.camera, jpeg_quality=quality)
    field = simulate_rna_brightfield(replace(SMALL, molecules=nothing, camera=camera), 22)
    assert len(spots_of(field).places) < 0.2 * field.labels["nuclei"].max()


def test_molecules_of_clusters_are_counted_by_density():
    molecules = replace(
        BASE.molecules, count_mean=6.0, clusters_mean=1.0, cluster_size=(5, 5), snr=40.0
    )
    field = simulate_rna_brightfield(replace(SMALL, molecules=molecules), 23)
    found = spots_of(field)
    single = single_intensity(found.integrated[found.isolated])
    counted = count_molecules(found.integrated, found.clump, single)
    assert 0.75 < counted.sum() / len(places(field)) < 1.15


@pytest.mark.parametrize(
    ("name", "chromogen", "left"), [("dab", DAB, 0.5), ("fast_red", FAST_RED, 0.1)]
)
def test_lipofuscin_is_told_from_the_chromogen_by_its_colour(name, chromogen, left):
    """Granules that are as golden as their surroundings allow to say are left out, dots are not."""
    granules = replace(BASE.pigment, count_mean=3.0)
    camera = replace(BASE.camera, jpeg_quality=None)
    settings = replace(
        SMALL, molecules=SINGLE, pigment=granules, chromogen=chromogen, camera=camera
    )
    kept, counted, of_granules, missed, of_dots = spots_of_fields(settings, name)
    assert counted > 0.7 * of_granules
    assert kept < left * of_granules
    assert missed < 0.03 * of_dots


def spots_of_fields(settings, name):
    """Granules that count as dots with and without the rule, of how many, and the dots lost."""
    sums = np.zeros(5)
    for seed in (31, 32, 33, 34):
        field = simulate_rna_brightfield(settings, seed)
        found = spots_of(field, name)
        weights = stain_weights(KNOWN_STAINS["lipofuscin"], KNOWN_STAINS[name])
        rule = UnusedChannel(ratio=0.5, height=2.0)
        golden = is_autofluorescent(
            found, stain_plane(field.channels["rgb"], weights),
            SpotSettings(sigma=dot_sigma_px(BASE)), rule,
        )  # fmt: skip
        granules, dots = places(field, "pigment"), places(field)
        kept = found.places[~golden]
        lost = matches(dots, found.places, 2.0) - matches(dots, kept, 2.0)
        sums += [
            matches(granules, kept, 2.0), matches(granules, found.places, 2.0), len(granules),
            lost, len(dots),
        ]  # fmt: skip
    return sums


@pytest.mark.parametrize(("name", "chromogen"), [("dab", DAB), ("fast_red", FAST_RED)])
def test_wrong_stains_leave_more_of_a_picture_unexplained(name, chromogen):
    """Batches tilt stains by 3 degrees: no right pair warns, and it always explains the most."""
    for seed in (41, 42, 43):
        field = simulate_rna_brightfield(
            replace(SMALL, molecules=SINGLE, chromogen=chromogen), seed
        )
        left = {
            second: unexplained_share(
                field.channels["rgb"], [KNOWN_STAINS["haematoxylin"], KNOWN_STAINS[second]]
            )
            for second in ("dab", "fast_red", "eosin")
        }
        right = left.pop(name)
        assert right < min(MOST_UNEXPLAINED, *left.values())


def test_a_real_field_is_explained_by_its_stains_and_glass_by_none():
    real, blue = immunohistochemistry(), KNOWN_STAINS["haematoxylin"]
    assert unexplained_share(real, [blue, KNOWN_STAINS["dab"]]) < 0.02
    assert unexplained_share(real, [blue, KNOWN_STAINS["eosin"]]) > 0.3
    assert unexplained_share(real, [KNOWN_STAINS["eosin"]]) > MOST_UNEXPLAINED
    noise = np.random.default_rng(0).normal(230, 3, (200, 200, 3))
    glass = np.clip(noise, 0, 255).astype(np.uint8)
    assert np.isnan(unexplained_share(glass, [blue, KNOWN_STAINS["dab"]]))
    assert np.isnan(unexplained_share(real, list(KNOWN_STAINS.values())[:3]))
    assert np.isnan(unexplained_share(real[:3], [blue, KNOWN_STAINS["dab"]]))


def test_what_is_left_over_by_hand():
    """Densities that vary along the stains leave nothing over, across them everything."""
    rng = np.random.default_rng(1)
    amounts = np.kron(rng.uniform(0, 1, (40, 40, 2)), np.ones((4, 4, 1)))
    stains = [(0.6, 0.8, 0.0), (0.0, 0.6, 0.8)]
    light = 0.8 * 10.0 ** -(amounts @ np.array(stains))
    assert unexplained_share(light, stains) == pytest.approx(0, abs=1e-6)
    across = np.cross(*stains) / np.linalg.norm(np.cross(*stains))
    light = 0.8 * 10.0 ** (-1.0 - (amounts[..., :1] - 0.5) * across)
    assert unexplained_share(light, stains) == pytest.approx(1, abs=1e-6)
