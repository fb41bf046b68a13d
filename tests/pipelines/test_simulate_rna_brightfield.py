from dataclasses import replace

import numpy as np
import pytest

from pipelines.simulate.photograph import ColourCamera
from pipelines.simulate.rna_brightfield import (
    FAST_RED,
    RnaBrightfieldSettings,
    simulate_rna_brightfield,
)

BASE = RnaBrightfieldSettings()
SMALL = replace(
    BASE,
    scene=replace(BASE.scene, height=240, width=260, debris_per_mm2=0.0),
    nuclei=replace(BASE.nuclei, count=9),
)
CLEAN = replace(
    SMALL,
    scene=replace(SMALL.scene, haze=0.0, falloff=0.0),
    nuclei=replace(SMALL.nuclei, count=0),
    molecules=replace(
        SMALL.molecules, stray_per_mm2=12000.0, min_spacing_um=4.0, depth_um=0.0, snr=20.0
    ),
    camera=ColourCamera(electrons=1e7, read_noise_e=0.0, white_balance=(1.0, 1.0, 1.0)),
    grain_od=0.0,
    vector_jitter_deg=0.0,
)


def test_same_seed_same_bytes_and_other_seed_other_image():
    first, again, other = (simulate_rna_brightfield(SMALL, seed) for seed in (7, 7, 8))
    assert first.channels["rgb"].tobytes() == again.channels["rgb"].tobytes()
    assert not np.array_equal(first.channels["rgb"], other.channels["rgb"])


@pytest.mark.parametrize("asked", [4.0, 12.0])
def test_snr_is_that_of_the_median_dot_in_focus(asked):
    molecules = replace(SMALL.molecules, snr=asked, depth_um=0.0, brightness_cv=0.0)
    found = simulate_rna_brightfield(replace(SMALL, molecules=molecules), 2)
    assert np.median(found.truth["molecules"]["snr"]) == pytest.approx(asked, rel=0.1)


@pytest.mark.parametrize("chromogen", [BASE.chromogen, FAST_RED])
def test_dots_have_the_density_and_the_colour_of_their_chromogen(chromogen):
    found = simulate_rna_brightfield(replace(CLEAN, chromogen=chromogen), 3)
    table, rgb = found.truth["molecules"], found.channels["rgb"].astype(float)
    density = -np.log10(rgb / np.median(rgb, axis=(0, 1)))
    colour = np.array(chromogen) / np.linalg.norm(chromogen)
    assert table["y"].size > 20
    for y, x, peak in zip(table["y"], table["x"], table["peak"], strict=True):
        at = density[round(y), round(x)]
        # Half a pixel off the middle a dot has 0.89 of its peak; 8 bits round.
        assert 0.8 * peak - 0.02 < np.linalg.norm(at) < 1.05 * peak + 0.02
        if peak > 0.1:
            assert at @ colour / np.linalg.norm(at) > 0.99


def test_a_dense_cluster_has_less_density_in_the_picture_than_its_parts_have():
    crowd = replace(
        CLEAN.molecules, clusters_mean=3.0, cluster_size=(20, 20), cluster_sd_um=0.3, snr=900.0
    )
    settings = replace(
        CLEAN,
        nuclei=replace(BASE.nuclei, count=3),
        molecules=replace(crowd, count_mean=0.0, stray_per_mm2=0.0),
        nucleus_od=0.001,
        tissue_od=0.0,
        chromogen_haze_od=0.0,
        pigment=replace(BASE.pigment, count_mean=0.0),
    )
    found = simulate_rna_brightfield(settings, 4)
    rgb = found.channels["rgb"].astype(float)
    seen = -np.log10(np.maximum(rgb, 0.5) / np.median(rgb, axis=(0, 1)))[..., 2].sum()
    laid = found.expected["chromogen_od"].sum() * 0.776 / np.linalg.norm(settings.chromogen)
    assert found.truth["molecules"]["y"].size > 60
    assert 0.6 * laid < seen < 0.97 * laid


def test_counts_of_cells_are_those_of_the_list():
    found = simulate_rna_brightfield(SMALL, 5)
    molecules, cells = found.truth["molecules"], found.truth["cells"]
    counted = np.bincount(molecules["cell"], minlength=cells["label"].size + 1)[1:]
    np.testing.assert_array_equal(cells["count"], counted)


def test_a_field_without_anything_is_white():
    nothing = replace(CLEAN, molecules=replace(CLEAN.molecules, stray_per_mm2=0.0))
    found = simulate_rna_brightfield(nothing, 0)
    assert found.truth["molecules"]["y"].size == 0
    assert found.channels["rgb"].std() < 2
