"""Dots of a chromogen, found as RNA spots are, in what is unmixed from simulated pictures."""

from dataclasses import replace

import numpy as np
import pytest

from measurements.spots.detection import find_spots
from measurements.spots.faint import DENSITY, without_faint
from measurements.spots.molecules import count_molecules, single_intensity
from measurements.spots.settings import SpotSettings
from measurements.stains import KNOWN_STAINS, stain_plane, stain_weights
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
    found = find_spots(
        stain_plane(field.channels["rgb"], weights), SpotSettings(sigma=dot_sigma_px(BASE))
    )
    return found, without_faint(found, DENSITY)


def places(field):
    return np.column_stack([field.truth["molecules"][c] for c in "yx"])


@pytest.mark.parametrize(("name", "chromogen"), [("dab", DAB), ("fast_red", FAST_RED)])
@pytest.mark.parametrize("quality", [None, 85])
def test_dots_are_found_whatever_the_chromogen_and_the_file(name, chromogen, quality):
    camera = replace(BASE.camera, jpeg_quality=quality)
    settings = replace(SMALL, molecules=SINGLE, chromogen=chromogen, camera=camera)
    field = simulate_rna_brightfield(settings, 21)
    _, found = spots_of(field, name)
    right = matches(places(field), found.places, 2.0)
    assert 2 * right / (len(places(field)) + len(found.places)) > 0.86


def test_a_picture_without_dots_has_hardly_any_where_jpeg_makes_hundreds():
    nothing = replace(SINGLE, count_mean=0.0, stray_per_mm2=0.0)
    field = simulate_rna_brightfield(replace(SMALL, molecules=nothing), 22)
    found, kept = spots_of(field)
    assert len(found.places) > 100
    assert len(kept.places) < 0.7 * field.labels["nuclei"].max()


def test_molecules_of_clusters_are_counted_by_density():
    molecules = replace(
        BASE.molecules, count_mean=6.0, clusters_mean=1.0, cluster_size=(5, 5), snr=40.0
    )
    field = simulate_rna_brightfield(replace(SMALL, molecules=molecules), 23)
    _, found = spots_of(field)
    single = single_intensity(found.integrated[found.isolated])
    counted = count_molecules(found.integrated, found.clump, single)
    assert 0.75 < counted.sum() / len(places(field)) < 1.15


def test_what_is_left_out_leaves_the_others_as_they_were():
    field = simulate_rna_brightfield(replace(SMALL, molecules=SINGLE), 24)
    found, kept = spots_of(field)
    chosen = found.contrast >= DENSITY
    assert 0 < chosen.sum() < chosen.size
    for name in ("places", "height", "contrast", "integrated", "clump", "isolated"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(found, name)[chosen])
    assert kept.threshold == found.threshold
    assert kept.pixels[0].size == chosen.sum()
