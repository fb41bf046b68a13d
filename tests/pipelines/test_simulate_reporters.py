from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pipelines.simulate.expression import CLASSES, Expression, express
from pipelines.simulate.nuclei import place_nuclei
from pipelines.simulate.optics import bleed_through_matrix, mix
from pipelines.simulate.reporters import (
    DYES,
    ReporterSettings,
    simulate_reporter_controls,
    simulate_reporters,
)

FULL = ReporterSettings()
SMALL = replace(
    FULL,
    scene=replace(FULL.scene, height=360, width=400, debris_per_mm2=0.0, falloff=0.0),
    nuclei=replace(FULL.nuclei, count=10, out_of_focus_fraction=0.0),
    keep_expected=True,
)


def expressing(**changes):
    return replace(SMALL, expression=replace(SMALL.expression, **changes))


def test_same_seed_same_bytes_and_other_seed_other_image():
    first, again, other = (simulate_reporters(SMALL, seed) for seed in (0, 0, 1))
    for name in DYES:
        np.testing.assert_array_equal(first.channels[name], again.channels[name])
        assert first.channels[name].dtype == np.uint16
        assert not np.array_equal(first.channels[name], other.channels[name])


def test_bleed_through_is_recovered_by_regression_of_the_pictures():
    matrix = bleed_through_matrix(4, 0.15)
    settings = replace(SMALL, bleed_through=matrix, autofluorescence_e=0.0)
    settings = replace(
        settings,
        scene=replace(settings.scene, haze=0.0),
        expression=Expression(0.3, 0.3, 0.1, bright_fraction=0.0),
        nuclei=replace(settings.nuclei, count=25, min_gap_um=3.0),
    )
    simulated = simulate_reporters(settings, 2)
    dyes = np.stack([simulated.expected[f"dye_{d}"].ravel() for d in DYES] + [np.ones(360 * 400)])
    camera = settings.camera
    electrons = np.stack(
        [(simulated.channels[d].ravel() - camera.offset_dn) * camera.electrons_per_dn for d in DYES]
    )
    found, *_ = np.linalg.lstsq(dyes.T, electrons.T, rcond=None)
    np.testing.assert_allclose(found[:4].T, matrix, atol=0.01)


def test_mix_by_hand():
    dyes = [np.full((2, 2), 100.0), np.full((2, 2), 10.0)]
    np.testing.assert_allclose(mix(dyes, ((1.0, 0.5), (0.2, 1.0)))[:, 0, 0], [105.0, 30.0])


def test_light_of_a_cell_is_its_expression():
    settings = replace(SMALL, scene=replace(SMALL.scene, haze=0.0))
    simulated = simulate_reporters(settings, 3)
    cells, labels = simulated.truth["cells"], simulated.labels["cells"]
    for dye in ("gfp", "mcherry"):
        light = ndimage.mean(simulated.expected[f"dye_{dye}"], labels, cells["label"])
        bright = cells[f"{dye}_positive"]
        np.testing.assert_allclose(light[bright], cells[f"{dye}_e"][bright], rtol=0.06)
    p21 = ndimage.mean(simulated.expected["dye_p21"], simulated.labels["nuclei"], cells["label"])
    positive = cells["p21_positive"] & ~simulated.truth["nuclei"]["at_edge"]
    np.testing.assert_allclose(p21[positive], cells["p21_e"][positive], rtol=0.05)


def crowd(expression, seed):
    """A large field's table, without painting it."""
    scene = replace(SMALL.scene, height=1400, width=1400)
    nuclei = replace(SMALL.nuclei, count=150, area_um2=60.0, min_gap_um=2.0)
    placed, labels = place_nuclei(nuclei, scene, seed)
    return express(placed, labels, expression, scene.pixel_size_um, seed)


def test_classes_agree_with_their_flags_and_fractions():
    cells = crowd(Expression(0.2, 0.25, 0.1), 0)
    n = cells["label"].size
    assert n > 100
    named = cells["reporter_class"]
    assert set(named) <= set(CLASSES)
    np.testing.assert_array_equal(np.isin(named, ["primary", "double"]), cells["mcherry_positive"])
    np.testing.assert_array_equal(np.isin(named, ["secondary", "double"]), cells["gfp_positive"])
    for name, fraction in (("primary", 0.2), ("secondary", 0.25), ("double", 0.1)):
        error = 3 * np.sqrt(fraction * (1 - fraction) / n)
        assert (named == name).mean() == pytest.approx(fraction, abs=error)


def test_expression_is_log_normal_about_its_median():
    cells = crowd(Expression(0.5, 0.0, 0.0, reporter_e=(500.0, 350.0), expression_spread=0.5), 1)
    logs = np.log(cells["mcherry_e"][cells["mcherry_positive"]] / 350.0)
    assert abs(logs.mean()) < 3 * 0.5 / np.sqrt(logs.size)
    assert logs.std() == pytest.approx(0.5, rel=0.25)


def test_secondary_cells_gather_round_primary_ones_only_when_asked():
    distance = {}
    for reach in (None, 15.0):
        cells = crowd(Expression(0.06, 0.25, 0.0, reach_um=reach), 4)
        distance[reach] = np.median(cells["to_primary_um"][cells["reporter_class"] == "secondary"])
    assert distance[15.0] < 0.75 * distance[None]


def test_controls_show_their_own_dye_alone():
    settings = replace(SMALL, bleed_through=bleed_through_matrix(4, 0.15))
    controls = simulate_reporter_controls(settings, 0)
    assert set(controls) == {"unlabelled", *(f"only_{d}" for d in DYES)}
    for name, simulated in controls.items():
        for dye in DYES:
            present = dye == "dapi" or name == f"only_{dye}"
            expected = present and name != "unlabelled"
            assert bool(simulated.expected[f"dye_{dye}"].any()) == expected
    unlabelled = controls["unlabelled"]
    inside = unlabelled.labels["cells"] > 0
    light = unlabelled.expected["gfp"]
    assert light[inside].mean() > light[~inside].mean()


def test_autofluorescent_cells_are_bright_in_every_channel():
    simulated = simulate_reporters(replace(expressing(bright_fraction=0.5), stained=()), 0)
    cells, labels = simulated.truth["cells"], simulated.labels["cells"]
    bright = cells["autofluorescent"]
    assert 0 < bright.sum() < bright.size
    for name in DYES:
        light = ndimage.mean(simulated.expected[name], labels, cells["label"])
        assert light[bright].min() > light[~bright].max()


def test_no_cells_one_cell_and_nobody_expressing():
    empty = simulate_reporters(replace(SMALL, nuclei=replace(SMALL.nuclei, count=0)), 0)
    assert empty.truth["cells"]["label"].size == 0
    one = simulate_reporters(replace(SMALL, nuclei=replace(SMALL.nuclei, count=1)), 0)
    assert np.isinf(one.truth["cells"]["to_primary_um"]).all()
    nobody = simulate_reporters(
        expressing(primary_fraction=0.0, secondary_fraction=0.0, double_fraction=0.0), 0
    )
    assert set(nobody.truth["cells"]["reporter_class"]) == {"negative"}
