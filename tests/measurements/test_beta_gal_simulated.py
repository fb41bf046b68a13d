"""A whole simulated field: faint cells, droplets, debris, heaps, uneven and tinted light."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from measurements.background import background_pixels
from measurements.beta_gal import BetaGalSettings, measure_beta_gal
from measurements.regions import Regions
from measurements.stains import X_GAL
from pipelines.simulate import BetaGalSettings as Simulation
from pipelines.simulate import simulate_beta_gal

SETTINGS = BetaGalSettings()


@pytest.fixture(scope="module")
def field():
    plain = Simulation(white_balance=(1.0, 0.9, 0.72), stained_fraction=0.5)
    return simulate_beta_gal(replace(plain, scene=replace(plain.scene, falloff=0.4)), seed=11)


@pytest.fixture(scope="module")
def around(field):
    labels = field.labels["cells"]
    return background_pixels(labels, Regions.of(labels).ids, SETTINGS.background)


def test_stain_of_every_cell(field, around):
    cells, truth = Regions.of(field.labels["cells"]), field.truth["cells"]
    measured = measure_beta_gal(field.channels["rgb"], cells, around, SETTINGS).cells
    table = {column.name: values for column, values in measured.items()}
    score, stained = table["beta_gal_mean_od"], np.asarray(truth["stained"])
    assert np.array_equal(cells.ids, truth["label"])
    assert spearmanr(score, truth["mean_od"]).statistic > 0.95
    assert score[stained].min() > 1.5 * score[~stained].max()
    assert np.abs(score[~stained]).max() < 0.02
    assert score[stained] == pytest.approx(truth["mean_od"][stained], rel=0.15)
    amount = table["beta_gal_integrated_od"] * field.pixel_size_um**2
    assert amount[stained] == pytest.approx(truth["integrated_od"][stained], rel=0.15)
