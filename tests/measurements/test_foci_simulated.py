"""Foci on simulated nuclei that the detector was not tuned on (it was on seeds 0 to 9).

The bounds leave what single fields differ by; tests.benchmarks.foci prints the figures.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from measurements.foci_detection import find_foci
from measurements.foci_settings import FociSettings
from measurements.regions import Regions
from pipelines.simulate.foci import simulate_foci
from tests.benchmarks.foci import alone, each, senescope
from tests.benchmarks.foci_fields import SIGMA, Condition, judge


@pytest.fixture(scope="module")
def fives():
    return [Condition(snr=5).simulate(300)]


def test_foci_of_ratio_5_are_found_and_counted(fives):
    score = judge(senescope(fives), fives)
    assert score.f1 > 0.93
    assert score.f1_strict > 0.92
    assert abs(score.bias) < 0.08


def test_foci_of_ratio_3_are_found():
    threes = [Condition(snr=3).simulate(300)]
    assert judge(senescope(threes), threes).f1 > 0.75


def test_half_the_light_across_the_field_changes_little(fives):
    dim = [Condition(snr=5, falloff=0.6).simulate(300)]
    assert judge(senescope(dim), dim).f1 > judge(senescope(fives), fives).f1 - 0.05


def test_a_width_a_fifth_off_changes_little(fives):
    def off(factor):
        def detect(image, labels):
            return find_foci(image, Regions.of(labels), FociSettings(sigma=factor * SIGMA)).places

        return judge(each(detect)(fives), fives).f1

    assert min(off(0.8), off(1.25)) > 0.9


@pytest.mark.parametrize("grown", [0, 4])
def test_texture_alone_gives_few_foci(grown):
    null = Condition(count=0).simulate(301)
    labels = null.labels["nuclei"]
    if grown:
        labels = ndimage.grey_dilation(labels, 2 * grown + 1)
    assert len(alone(null.channels["gh2ax"], labels)) / labels.max() < 2


def test_fields_without_foci_are_told_apart_from_fields_with_many(fives):
    """In one batch: neither do many foci make some of texture, nor does texture hide them."""
    fields = [*fives, Condition(count=0).simulate(301)]
    many, none = senescope(fields)
    assert len(none) / fields[1].labels["nuclei"].max() < 1
    assert judge([many], fives).f1 > judge(senescope(fives), fives).f1 - 0.02


def _small_nuclei(count, snr=5.0, sigma=1.5, diameter=40, seed=0):
    """Nine even discs with a blurred edge, as a mask blurred by the optics is, and their foci.

    Half of the variance in a nucleus is texture twice as wide as foci, half is noise.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:210, :210]
    middles = np.array([(35 + 70 * i, 35 + 70 * j) for i in range(3) for j in range(3)])
    labels, light, true = np.zeros((210, 210), np.uint16), np.zeros((210, 210)), []
    for number, (y, x) in enumerate(middles, start=1):
        labels[np.hypot(rows - y, columns - x) < diameter / 2] = number
        mine: list[np.ndarray] = []
        while len(mine) < count:
            place = np.array((y, x)) + rng.uniform(-diameter / 2, diameter / 2, 2)
            inside = np.hypot(*(place - (y, x))) < diameter / 2 - sigma
            if inside and all(np.hypot(*(place - other)) > 3 * sigma for other in mine):
                mine.append(place)
        true += mine
    for y, x in true:
        bright = snr * 30 * rng.lognormal(sigma=0.3)
        light += bright * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
    texture = ndimage.gaussian_filter(rng.standard_normal(labels.shape), 2 * sigma)
    noise = rng.standard_normal(labels.shape)
    inside = ndimage.gaussian_filter((labels > 0).astype(float), 1.0)
    varied = 30 / np.sqrt(2) * (texture / texture.std() + noise)
    return 130 + inside * (300 + varied) + light, labels, np.array(true)


def _f1(image, labels, true, sigma=1.5):
    found = find_foci(image, Regions.of(labels), FociSettings(sigma=sigma)).places
    gaps = np.hypot(*(found[:, None] - true[None]).transpose(2, 0, 1))
    pairs = linear_sum_assignment(np.where(gaps > 2 * sigma, 1e6, gaps))
    right = int((gaps[pairs] <= 2 * sigma).sum())
    return 2 * right / (len(found) + len(true))


@pytest.mark.parametrize(("count", "least"), [(5, 0.93), (10, 0.9), (20, 0.8)])
def test_foci_are_found_in_small_nuclei_with_blurred_edges(count, least):
    """Neither the dark rim nor the troughs of many foci are noise that hides them."""
    assert _f1(*_small_nuclei(count)) > least


def test_stack_of_simulated_planes():
    base = Condition(snr=8, count=8)
    settings = replace(base.settings(), z_planes=7)
    settings = replace(settings, nuclei=replace(settings.nuclei, count=2, out_of_focus_fraction=0))
    made = simulate_foci(settings, 302)
    detection = FociSettings(sigma=(2.0, SIGMA, SIGMA))
    found = find_foci(made.channels["gh2ax"], Regions.of(made.labels["nuclei"]), detection)
    foci = made.truth["foci"]
    true = np.column_stack([foci["plane"], foci["y"], foci["x"]])
    gap = np.abs(found.places[:, None] - true[None])
    right = (gap[..., 0] < 1.5) & (np.hypot(gap[..., 1], gap[..., 2]) < 2.5)
    assert right.any(axis=0).mean() > 0.9
    assert right.any(axis=1).mean() > 0.75
