"""Foci on simulated nuclei that the detector was not tuned on (it was on seeds below 1000).

The bounds leave what single fields differ by; tests.benchmarks.foci prints the figures.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from measurements.foci_detection import find_foci
from measurements.foci_response import band_pass, mean_noise
from measurements.foci_settings import FociSettings
from measurements.regions import Regions
from pipelines.simulate.foci import simulate_foci
from tests.benchmarks.foci import alone, each, senescope
from tests.benchmarks.foci_fields import SIGMA, Condition, judge
from tests.benchmarks.small_nuclei import SmallNuclei, f1_and_bias
from tests.measurements.label_images import spot


@pytest.fixture(scope="module")
def fives():
    return [Condition(snr=5).simulate(1300)]


def test_foci_of_ratio_5_are_found_and_counted(fives):
    score = judge(senescope(fives), fives)
    assert score.f1 > 0.93
    assert score.f1_strict > 0.92
    assert abs(score.bias) < 0.08


def test_foci_of_ratio_3_are_found():
    threes = [Condition(snr=3).simulate(1300)]
    assert judge(senescope(threes), threes).f1 > 0.75


def test_half_the_light_across_the_field_changes_little(fives):
    dim = [Condition(snr=5, falloff=0.6).simulate(1300)]
    assert judge(senescope(dim), dim).f1 > judge(senescope(fives), fives).f1 - 0.05


def test_a_width_a_fifth_off_changes_little(fives):
    def off(factor):
        def detect(image, labels):
            return find_foci(image, Regions.of(labels), FociSettings(sigma=factor * SIGMA)).places

        return judge(each(detect)(fives), fives).f1

    assert min(off(0.8), off(1.25)) > 0.9


@pytest.mark.parametrize("grown", [0, 4])
def test_texture_alone_gives_few_foci(grown):
    null = Condition(count=0).simulate(1301)
    labels = null.labels["nuclei"]
    if grown:
        labels = ndimage.grey_dilation(labels, 2 * grown + 1)
    assert len(alone(null.channels["gh2ax"], labels)) / labels.max() < 2


def test_fields_without_foci_are_told_apart_from_fields_with_many(fives):
    """In one batch: neither do many foci make some of texture, nor does texture hide them."""
    fields = [*fives, Condition(count=0).simulate(1301)]
    many, none = senescope(fields)
    assert len(none) / fields[1].labels["nuclei"].max() < 1
    assert judge([many], fives).f1 > judge(senescope(fives), fives).f1 - 0.02


def with_debris(field, width, times):
    """The field with a speck on every other nucleus; width in px (SD), brightness in theirs."""
    labels, image = field.labels["nuclei"], field.channels["gh2ax"].astype(float)
    rng = np.random.default_rng(0)
    for label in range(1, labels.max() + 1, 2):
        place = rng.choice(np.argwhere(labels == label))
        level = np.median(image[labels == label]) - image.min()
        image += times * level * spot(labels.shape, *place, width)
    return replace(field, channels={**field.channels, "gh2ax": np.minimum(image, 65535)})


def test_a_speck_of_debris_does_not_hide_the_foci_of_its_nucleus(fives):
    dirty = [with_debris(fives[0], 5, 50)]
    score = judge(senescope(dirty), dirty)
    assert score.right > 0.85 * judge(senescope(fives), fives).right
    # Each of three specks is a focus or two, and so may be what is beside it.
    assert score.found - score.right < 12


def test_a_far_brighter_point_makes_no_foci_around_itself():
    null = Condition(count=0).simulate(1301)
    dirty = [with_debris(null, SIGMA, 30)]
    assert len(senescope(dirty)[0]) <= len(senescope([null])[0]) + 4


@pytest.mark.parametrize(("snr", "limit"), [(3, 0.1), (8, 0.25)])
def test_dense_foci_are_no_noise(snr, limit):
    """The noise is nearly what it is without them: 1.13 and 1.44 of it with bells of one width."""
    noise = {}
    for count in (0, 40):
        field = Condition(snr=snr, count=count).simulate(1303)
        nuclei = Regions.of(field.labels["nuclei"])
        settings = FociSettings(sigma=SIGMA)
        noise[count] = mean_noise(band_pass(field.channels["gh2ax"], nuclei, settings))
    assert np.median(noise[40] / noise[0]) == pytest.approx(1, abs=limit)


@pytest.mark.parametrize(("count", "least"), [(5, 0.93), (10, 0.9), (20, 0.8)])
def test_foci_are_found_in_small_nuclei_with_blurred_edges(count, least):
    """Neither the dark rim nor the troughs of many foci are noise that hides them."""
    assert f1_and_bias(SmallNuclei(count), [0])[0] > least


def test_stack_of_simulated_planes():
    base = Condition(snr=8, count=8)
    settings = replace(base.settings(), z_planes=7)
    settings = replace(settings, nuclei=replace(settings.nuclei, count=2, out_of_focus_fraction=0))
    made = simulate_foci(settings, 1302)
    detection = FociSettings(sigma=(2.0, SIGMA, SIGMA))
    found = find_foci(made.channels["gh2ax"], Regions.of(made.labels["nuclei"]), detection)
    foci = made.truth["foci"]
    true = np.column_stack([foci["plane"], foci["y"], foci["x"]])
    gap = np.abs(found.places[:, None] - true[None])
    right = (gap[..., 0] < 1.5) & (np.hypot(gap[..., 1], gap[..., 2]) < 2.5)
    assert right.any(axis=0).mean() > 0.9
    assert right.any(axis=1).mean() > 0.75
