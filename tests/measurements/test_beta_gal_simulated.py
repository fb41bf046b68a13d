"""A whole simulated field: faint cells, droplets, debris, heaps, uneven and tinted light."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from measurements.background import background_pixels
from measurements.beta_gal import BetaGalSettings, measure_beta_gal
from measurements.regions import Regions
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


UNSTAINED = Simulation(stained_fraction=0.0, background_od=0.0)
UNSTAINED = replace(
    UNSTAINED,
    scene=replace(UNSTAINED.scene, height=600, width=600),
    nuclei=replace(UNSTAINED.nuclei, count=12),
)


def holding(**inclusions):
    return replace(UNSTAINED, inclusions=replace(UNSTAINED.inclusions, **inclusions))


UNEVEN = replace(UNSTAINED, scene=replace(UNSTAINED.scene, falloff=0.4))
TINT = (1.0, 0.9, 0.72)
NO_STAIN = {
    "refractile edges": replace(UNSTAINED, contrast=replace(UNSTAINED.contrast, refraction=3.0)),
    "lipid droplets": holding(adipogenic_fraction=1.0, droplets=(60, 120)),
    "debris": holding(dead_per_mm2=150.0, specks_per_mm2=600.0),
    "dense clumps": holding(clumps=4),
    "light falls off by 40 %": UNEVEN,
    "warm light": replace(UNSTAINED, white_balance=TINT),
    "cold light": replace(UNSTAINED, white_balance=(0.75, 0.9, 1.0)),
    "JPEG": replace(UNSTAINED, jpeg_quality=75),
    "light, tint and JPEG": replace(UNEVEN, white_balance=TINT, jpeg_quality=75),
    "overexposed": replace(UNSTAINED, white_level=300.0),
}


@pytest.mark.parametrize("name", NO_STAIN)
def test_what_is_no_stain_reads_as_none(name):
    """A weakly stained cell holds 0.02; the yellow of cell bodies reads as a little less than 0."""
    field = simulate_beta_gal(NO_STAIN[name], seed=31)
    labels = field.labels["cells"]
    cells = Regions.of(labels)
    around = background_pixels(labels, cells.ids, SETTINGS.background)
    found = measure_beta_gal(field.channels["rgb"], cells, around, SETTINGS)
    table = {column.name: values for column, values in {**found.cells, **found.image}.items()}
    assert table["beta_gal_mean_od"].max() < 0.003
    assert table["beta_gal_p95_od"].max() < 0.04
    assert table["beta_gal_stained_fraction"].max() < 0.25
    assert abs(table["beta_gal_image_mean_od"][0]) < 0.003
    if name != "overexposed":
        assert table["beta_gal_mean_od"].min() > -0.01
    assert (table["beta_gal_image_clipped_fraction"][0] > 0.5) == (name == "overexposed")
    assert bool(table["beta_gal_image_jpeg"][0]) == ("JPEG" in name)
