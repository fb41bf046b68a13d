"""RNA spots against simulated molecules, and counts, scores and rejection by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from measurements.errors import MeasurementError
from measurements.spots.cells import SpotValues, count_in_cells, molecules_of, sums_in_cells
from measurements.spots.detection import find_spots, is_autofluorescent
from measurements.spots.molecules import ClumpTotals, count_molecules, single_intensity
from measurements.spots.score import ScoreTable, score_cells
from measurements.spots.settings import SpotSettings, UnusedChannel
from pipelines.simulate.rna import RnaSettings, simulate_rna, spot_sigma_px
from tests.measurements.label_images import spot

BASE = RnaSettings()
SCENE = replace(BASE.scene, height=400, width=400)
NUCLEI = replace(BASE.nuclei, count=14)
SIGMA = SpotSettings(sigma=1.5)


def simulated(seed, granules=0.0, **molecules):
    settings = replace(
        BASE,
        scene=SCENE,
        nuclei=NUCLEI,
        molecules=replace(BASE.molecules, **molecules),
        granules=replace(BASE.granules, count_mean=granules),
    )
    return simulate_rna(settings, seed), SpotSettings(sigma=spot_sigma_px(settings))


def picture(places, light=100.0, shape=(80, 90), level=50.0, seed=0, noise=3.0):
    image = np.random.default_rng(seed).normal(level, noise, shape)
    for y, x in places:
        image += light * spot(shape, y, x, 1.5)
    return image


def test_places_are_sub_pixel_and_light_is_that_of_a_gaussian():
    places = [(20.3, 20.7), (20.0, 60.4), (60.5, 30.1), (55.8, 70.2)]
    found = find_spots(picture(places), SpotSettings(sigma=1.5, threshold=8))
    away, _ = KDTree(places).query(found.places)
    assert len(found.places) == 4
    assert away.max() < 0.15
    np.testing.assert_allclose(found.integrated, 2 * np.pi * 1.5**2 * 100, rtol=0.06)
    assert found.isolated.all()


def test_two_dots_that_touch_are_one_clump_with_the_light_of_both():
    found = find_spots(picture([(40, 40), (40, 45), (20, 70)]), SpotSettings(1.5, 8))
    clumps, counts = np.unique(found.clump, return_counts=True)
    assert sorted(counts.tolist()) == [1, 2]
    pair = found.integrated[found.clump == clumps[counts == 2][0]].sum()
    assert pair == pytest.approx(2 * 2 * np.pi * 1.5**2 * 100, rel=0.06)


def test_molecules_are_found_at_a_ratio_of_five():
    field, settings = simulated(
        1, snr=5, brightness_cv=0, depth_um=0, min_spacing_um=0.8, clusters_mean=0
    )
    truth = np.column_stack([field.truth["molecules"][c] for c in "yx"])
    found = find_spots(field.channels["rna"], settings).places
    right = (KDTree(found).query(truth)[0] < 2).sum()
    assert right / len(truth) > 0.95
    assert right / len(found) > 0.95


def test_clusters_are_counted_by_their_light():
    field, settings = simulated(3, snr=10, clusters_mean=1.0, cluster_size=(12, 12))
    found = find_spots(field.channels["rna"], settings)
    molecules = count_molecules(
        found.integrated, found.clump, single_intensity(found.integrated[found.isolated])
    )
    cells, ids = field.labels["cells"], field.truth["cells"]["label"]
    own = np.bincount(cells[found.pixels], molecules, minlength=ids.max() + 1)[ids]
    truth = field.truth["cells"]["count"].astype(float)
    assert own.sum() == pytest.approx(truth.sum(), rel=0.15)
    resolved = np.bincount(cells[found.pixels], minlength=ids.max() + 1)[ids]
    assert resolved.sum() < 0.8 * truth.sum()  # else there were no clusters to resolve


def test_granules_are_rejected_and_molecules_are_not():
    field, settings = simulated(5, granules=3.0, clusters_mean=0)
    found = find_spots(field.channels["rna"], settings)
    rejected = is_autofluorescent(found, field.channels["blank"], settings, UnusedChannel())
    tables = [field.truth[name] for name in ("granules", "molecules")]
    granule, molecule = (
        KDTree(np.column_stack([t["y"], t["x"]])).query(found.places)[0] for t in tables
    )
    assert rejected[(granule < 1.5) & (molecule > 4)].mean() > 0.9
    assert rejected[(granule > 6) & (molecule < 1.5)].mean() < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int32])
def test_the_type_of_the_pixels_does_not_matter(dtype):
    image = np.clip(picture([(20, 20), (50, 60)]), 0, 255).astype(np.uint8)
    found = find_spots(image.astype(dtype), SpotSettings(1.5, 8))
    np.testing.assert_allclose(found.places, find_spots(image, SpotSettings(1.5, 8)).places)
    assert image.max() < 256


def test_a_picture_without_spots_or_of_one_value_has_none():
    assert len(find_spots(np.full((50, 60), 7, dtype=np.uint16), SIGMA).places) == 0
    assert len(find_spots(picture([]), SIGMA).places) <= 3
    none = find_spots(np.zeros((50, 60)), SIGMA)
    assert none.integrated.shape == (0,)
    assert is_autofluorescent(none, np.ones((50, 60)), SIGMA, UnusedChannel()).shape == (0,)


def test_nan_and_the_callers_picture_are_left_alone():
    image = picture([(20, 20), (50, 60)])
    image[5:8, 5:8] = np.nan
    before = image.copy()
    assert len(find_spots(image, SpotSettings(1.5, 10)).places) >= 2
    np.testing.assert_array_equal(image, before)


def test_the_light_of_one_molecule_is_its_mean_whatever_pairs_and_clusters_there_are():
    rng = np.random.default_rng(0)
    single = rng.lognormal(np.log(1000), 0.3, 400)
    pairs = rng.lognormal(np.log(1000), 0.3, (60, 2)).sum(axis=1)
    clusters = rng.uniform(5000, 30000, 40)
    found = single_intensity(np.concatenate([single, pairs, clusters]))
    assert found == pytest.approx(single.mean(), rel=0.05)
    assert np.isnan(single_intensity(single[:29]))


def test_molecules_by_hand():
    light = np.array([100.0, 90, 260, 430, 60])
    clump = np.array([0, 1, 2, 3, 3])
    # Alone 1, 1 and 3; the last clump has 490 / 100 -> 5, the excess at its bright spot.
    expected = [1, 1, 3, 4, 1]
    np.testing.assert_allclose(count_molecules(light, clump, 100.0), expected)
    assert np.isnan(count_molecules(light, clump, float("nan"))).all()
    with pytest.raises(MeasurementError, match="above 0"):
        count_molecules(light, clump, 0.0)


def test_a_clump_in_two_blocks_has_the_molecules_that_it_has_in_one():
    light = np.array([100.0, 260, 430, 60, 120])
    clump = np.array([0, 2, 3, 3, 2])
    whole = count_molecules(light, clump, 100.0)
    blocks = (slice(0, 3), slice(3, 5))
    across = [ClumpTotals.of(light[b], clump[b], 100.0) for b in blocks]
    across = (across[0] + across[1]).where(np.array([False, True, True]))
    parts = [count_molecules(light[b], clump[b], 100.0, across) for b in blocks]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-15)
    assert not np.allclose(count_molecules(light[3:], clump[3:], 100.0), whole[3:])


@pytest.mark.parametrize(
    ("molecules", "clustered", "score"),
    [(0, 0, 0), (0.4, 0, 0), (1, 0, 1), (3, 0, 1), (4, 0, 2), (9, 0.5, 2), (10, 0.05, 3),
     (15, 0.1, 3), (12, 0.11, 4), (16, 0, 4), (90, 1, 4)],
)  # fmt: skip
def test_scores_are_those_of_acd(molecules, clustered, score):
    found = score_cells(np.array([molecules]), np.array([clustered]), ScoreTable())
    assert found.tolist() == [score]


def test_a_table_of_ones_own_and_one_that_does_not_rise():
    table = ScoreTable((2, 5), None)
    assert score_cells(np.array([1, 2, 5.0]), np.full(3, np.nan), table).tolist() == [0, 1, 2]
    with pytest.raises(MeasurementError, match="rise"):
        ScoreTable((1, 4, 4))


def test_cells_are_counted_by_hand():
    spots = SpotValues(
        cell=np.array([7, 7, 7, 3, 0, 9], dtype=np.uint32),
        in_nucleus=np.array([True, False, False, False, False, False]),
        integrated=np.array([100.0, 300, 500, 100, 100, 100]),
        clump=np.arange(6),
        autofluorescent=np.array([False, False, True, False, False, False]),
    )
    molecules = molecules_of(spots, 100.0)
    assert molecules.tolist() == [1, 3, 0, 1, 1, 1]
    ids = np.array([3, 5, 7], dtype=np.uint32)
    found = count_in_cells("rna", sums_in_cells(spots, molecules, ids), ScoreTable())
    by_name = {c.name: v.tolist() for c, v in found.items()}
    assert by_name["rna_spot_count"] == [1, 0, 2]
    assert by_name["rna_molecules"] == [1, 0, 4]
    assert by_name["rna_nucleus_molecules"] == [0, 0, 1]
    assert by_name["rna_cytoplasm_molecules"] == [1, 0, 3]
    np.testing.assert_array_equal(by_name["rna_clustered_share"], [0, np.nan, 0.75])
    assert by_name["rna_autofluorescent_count"] == [0, 0, 1]
    assert by_name["rna_score"] == [1, 0, 2]
    # H-score: 100 x (1/3 x 1 + 1/3 x 0 + 1/3 x 2) = 100.
    assert np.mean(by_name["rna_h_score"]) == pytest.approx(100)
    assert molecules_of(spots, float("nan")).tolist() == [1, 1, 0, 1, 1, 1]
