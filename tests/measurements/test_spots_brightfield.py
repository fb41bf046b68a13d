"""Dots of a chromogen, found as RNA spots are, in what is unmixed from simulated pictures."""

from dataclasses import replace

import numpy as np
import pytest

from measurements.spots.detection import find_spots
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
    plane = stain_plane(field.channels["rgb"], weights)
    return find_spots(plane, SpotSettings(sigma=dot_sigma_px(BASE)))


def places(field):
    return np.column_stack([field.truth["molecules"][c] for c in "yx"])


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
