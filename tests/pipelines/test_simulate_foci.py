from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pipelines.simulate.camera import Camera, expose, to_grey
from pipelines.simulate.foci import FociSettings, simulate_foci
from pipelines.simulate.nuclei import NucleiSettings
from pipelines.simulate.optics import Optics, defocused_sigma_um, psf_sigma_um, rayleigh_length_um
from pipelines.simulate.scene import Field
from pipelines.simulate.spots import FocusSettings, imaged_width_um

SMALL = FociSettings(
    scene=Field(height=320, width=360, debris_per_mm2=0.0),
    nuclei=NucleiSettings(count=3, out_of_focus_fraction=0.0),
    foci=FocusSettings(exact_count=6, depth_fraction=0.0),
    pan_nuclear_fraction=0.0,
    keep_expected=True,
)


def with_foci(**changes):
    return replace(SMALL, foci=replace(SMALL.foci, **changes))


def with_nuclei(**changes):
    return replace(SMALL, nuclei=replace(SMALL.nuclei, **changes))


def as_bytes(simulated):
    parts = [*simulated.channels.values(), *simulated.labels.values()]
    parts += [c for table in simulated.truth.values() for c in table.values()]
    return b"".join(np.ascontiguousarray(p).tobytes() for p in parts)


def test_same_seed_same_bytes_and_other_seed_other_image():
    first, again, other = (simulate_foci(SMALL, seed) for seed in (7, 7, 8))
    assert as_bytes(first) == as_bytes(again)
    assert not np.array_equal(first.channels["gh2ax"], other.channels["gh2ax"])
    assert not np.array_equal(first.labels["nuclei"], other.labels["nuclei"])


def test_a_knob_leaves_the_other_parts_where_they_were():
    low = simulate_foci(with_foci(snr=(3.0, 3.0)), 1)
    high = simulate_foci(with_foci(snr=(20.0, 20.0)), 1)
    np.testing.assert_array_equal(low.labels["nuclei"], high.labels["nuclei"])
    np.testing.assert_array_equal(low.truth["foci"]["y"], high.truth["foci"]["y"])
    np.testing.assert_array_equal(low.channels["dapi"], high.channels["dapi"])
    np.testing.assert_allclose(low.expected["gh2ax_background"], high.expected["gh2ax_background"])


@pytest.mark.parametrize("asked", [2.0, 6.0, 20.0])
def test_snr_is_realised_in_the_pictures(asked):
    """Measured without the truth's own amplitudes: from many pictures of one field."""
    settings = with_foci(snr=(asked, asked), exact_count=5, min_spacing_widths=4.0)
    simulated = simulate_foci(settings, 3)
    foci, labels = simulated.truth["foci"], simulated.labels["nuclei"]
    camera, expected = settings.camera, simulated.expected
    rng = np.random.default_rng(0)

    def photograph(name):
        electrons = (expected[name] - camera.offset_dn) * camera.electrons_per_dn
        return np.stack([expose(electrons, camera, rng) for _ in range(60)]).astype(float)

    stained, plain = photograph("gh2ax"), photograph("gh2ax_background")
    radius = settings.foci.surroundings_um / simulated.pixel_size_um
    y, x = np.indices(labels.shape)
    ratios = []
    for row, column, nucleus in zip(foci["y"], foci["x"], foci["nucleus"], strict=True):
        disc = (np.hypot(y - row, x - column) <= radius) & (labels == nucleus)
        contrast = (stained - plain).mean(0)
        near = np.hypot(y - row, x - column) <= 2.5
        ratios.append(contrast[near].max() / plain[:, disc].std(axis=1).mean())
    assert np.median(ratios) == pytest.approx(asked, rel=0.1)
    np.testing.assert_allclose(foci["snr"], asked, rtol=1e-6)


def test_truth_positions_are_where_the_light_is():
    simulated = simulate_foci(with_foci(snr=(30.0, 30.0), elongation=0.0, min_spacing_widths=6), 2)
    light = simulated.expected["gh2ax"] - simulated.expected["gh2ax_background"]
    for row, column in zip(simulated.truth["foci"]["y"], simulated.truth["foci"]["x"], strict=True):
        r, c = round(row), round(column)
        window = light[r - 10 : r + 11, c - 10 : c + 11]
        if window.shape == (21, 21):
            weight = np.array(ndimage.center_of_mass(window)) - 10 + [r, c]
            np.testing.assert_allclose(weight, [row, column], atol=0.1)


def test_counts_match_the_list_of_foci_and_stay_within_nuclei():
    settings = replace(SMALL, foci=FocusSettings(count_mean=20), pan_nuclear_fraction=0.4)
    for seed in range(4):
        simulated = simulate_foci(settings, seed)
        nuclei, foci = simulated.truth["nuclei"], simulated.truth["foci"]
        listed = np.bincount(foci["nucleus"], minlength=len(nuclei["label"]) + 1)[1:]
        np.testing.assert_array_equal(nuclei["count"], listed)
        assert (nuclei["count"] <= 60).all()
        assert (nuclei["count"][nuclei["pan_nuclear"]] == 0).all()
        at = simulated.labels["nuclei"][
            np.rint(foci["y"]).astype(int), np.rint(foci["x"]).astype(int)
        ]
        np.testing.assert_array_equal(at, foci["nucleus"])


def test_counts_follow_their_distribution():
    settings = replace(
        SMALL,
        scene=Field(height=900, width=900, debris_per_mm2=0, pixel_size_um=0.33),
        nuclei=NucleiSettings(count=60, height_um=2.4),
        foci=FocusSettings(count_mean=8, count_dispersion=0.3, min_spacing_widths=0.0),
        keep_expected=False,
    )
    table = simulate_foci(settings, 0).truth["nuclei"]
    counts = table["count"][~table["at_edge"]].astype(float)
    assert counts.size > 30
    assert counts.mean() == pytest.approx(8, abs=3 * np.sqrt((8 + 0.3 * 64) / counts.size))
    assert counts.var() > 8


def test_spacing_and_pairs():
    width = imaged_width_um(SMALL.foci, SMALL.optics, 519.0)
    apart = simulate_foci(with_foci(exact_count=15, min_spacing_widths=2.0), 1).truth["foci"]
    same = apart["nucleus"][:, None] == apart["nucleus"]
    d = np.hypot(apart["y"][:, None] - apart["y"], apart["x"][:, None] - apart["x"]) * 0.107
    assert d[same & (d > 0)].min() >= 2.0 * width
    paired = simulate_foci(
        with_foci(exact_count=8, min_spacing_widths=4.0, pair_fraction=0.5, pair_widths=0.8), 1
    ).truth["foci"]
    close = paired["nearest_widths"] < 1.0
    assert close.sum() >= 4
    np.testing.assert_allclose(paired["nearest_widths"][close], 0.8, rtol=1e-6)


def test_defocus_spreads_light_without_losing_it():
    optics = Optics()
    z = rayleigh_length_um(optics, 519.0)
    ratio = defocused_sigma_um(optics, 519.0, z) / psf_sigma_um(optics, 519.0)
    assert ratio**2 == pytest.approx(2.0)
    assert psf_sigma_um(optics, 519.0) == pytest.approx(0.21 * 0.519 / 1.4)
    flat = simulate_foci(SMALL, 4)
    deep = simulate_foci(with_foci(depth_fraction=1.0), 4)
    assert (deep.truth["foci"]["snr"] < flat.truth["foci"]["snr"]).mean() > 0.8
    light = [(s.expected["gh2ax"] - s.expected["gh2ax_background"]).sum() for s in (flat, deep)]
    assert light[1] == pytest.approx(light[0], rel=0.02)


def test_out_of_focus_nuclei_are_said_to_be_and_are_blurred():
    sharp, soft = (simulate_foci(with_nuclei(out_of_focus_fraction=f), 5) for f in (0.0, 1.0))
    assert sharp.truth["nuclei"]["in_focus"].all()
    assert not soft.truth["nuclei"]["in_focus"].any()
    gradient = [ndimage.gaussian_gradient_magnitude(s.expected["dapi"], 1) for s in (sharp, soft)]
    assert gradient[1].max() < 0.5 * gradient[0].max()


def test_stack_has_each_focus_sharpest_in_its_plane():
    settings = replace(
        with_foci(depth_fraction=0.9, snr=(20.0, 20.0), min_spacing_widths=4.0),
        z_planes=9,
        z_step_um=0.4,
    )
    simulated = simulate_foci(settings, 1)
    light = simulated.expected["gh2ax"] - simulated.expected["gh2ax_background"]
    assert simulated.channels["gh2ax"].shape == (9, 320, 360)
    assert simulated.z_step_um == 0.4
    foci = simulated.truth["foci"]
    inside = np.abs(foci["z_um"]) <= 1.6
    y, x = np.rint(foci["y"]).astype(int), np.rint(foci["x"]).astype(int)
    brightest = light[:, y, x].argmax(axis=0)
    assert (np.abs(brightest - foci["plane"])[inside] <= 1).all()
    assert len(set(foci["plane"])) > 3


def test_nuclei_do_not_overlap_and_touch_when_asked():
    settings = with_nuclei(count=12, area_um2=60.0, touching_fraction=0.8)
    simulated = simulate_foci(settings, 2)
    labels = simulated.labels["nuclei"]
    table = simulated.truth["nuclei"]
    np.testing.assert_array_equal(np.unique(labels)[1:], table["label"])
    for label in table["label"]:
        assert ndimage.label(labels == label)[1] == 1
    grown = ndimage.grey_dilation(labels, 3)
    assert ((grown != labels) & (labels > 0) & (grown > 0)).any()
    whole = ~table["at_edge"]
    assert table["area_um2"][whole].mean() == pytest.approx(60.0, rel=0.3)


def test_dna_light_follows_dna_content():
    settings = replace(
        with_nuclei(count=10, area_um2=80.0, g2_fraction=0.5, s_fraction=0.0, touching_fraction=0),
        staining_cv=0.0,
        scene=replace(SMALL.scene, haze=0.0, falloff=0.0, cytoplasm_e=0.0, height=500, width=500),
    )
    settings = replace(settings, nuclei=replace(settings.nuclei, area_cv=0.0))
    simulated = simulate_foci(settings, 6)
    light = simulated.expected["dapi"] - to_grey(np.array(settings.scene.background_e), Camera())
    table = simulated.truth["nuclei"]
    sums = ndimage.sum_labels(light, simulated.labels["nuclei"], table["label"])
    whole = ~table["at_edge"]
    g1, g2 = (sums[whole & (table["dna_content"] == n)] for n in (2.0, 4.0))
    assert len(g1)
    assert len(g2)
    assert g2.mean() / g1.mean() == pytest.approx(2.0, rel=0.08)


def test_no_foci_no_nuclei_one_nucleus_and_a_full_field():
    none = simulate_foci(with_foci(exact_count=0), 0)
    assert all(c.size == 0 for c in none.truth["foci"].values())
    np.testing.assert_array_equal(none.expected["gh2ax"], none.expected["gh2ax_background"])
    empty = simulate_foci(with_nuclei(count=0), 0)
    assert not empty.labels["nuclei"].any()
    assert empty.truth["nuclei"]["count"].size == 0
    one = simulate_foci(with_nuclei(count=1), 0)
    np.testing.assert_array_equal(np.unique(one.labels["nuclei"]), [0, 1])
    full = simulate_foci(with_nuclei(count=60, area_um2=40.0), 0)
    assert 10 < full.labels["nuclei"].max() < 60


def test_saturation_when_asked():
    camera = Camera(bits=12, full_well_e=1500.0)
    simulated = simulate_foci(replace(SMALL, camera=camera), 0)
    assert simulated.channels["dapi"].max() == 3360  # 1500 / 0.46 + 100
    assert (simulated.channels["dapi"] == simulated.channels["dapi"].max()).sum() > 1000


def test_bleed_through_of_dna_into_the_marker():
    clean = simulate_foci(SMALL, 0)
    leaky = simulate_foci(replace(SMALL, bleed_through=((1.0, 0.0), (0.15, 1.0))), 0)
    extra = leaky.expected["gh2ax_background"] - clean.expected["gh2ax_background"]
    dna = clean.expected["dapi"] - 100.0
    nuclear = clean.labels["nuclei"] > 0
    slope = (extra * dna)[nuclear].sum() / (dna * dna)[nuclear].sum()
    assert slope == pytest.approx(0.15, rel=0.1)
