from dataclasses import replace

import numpy as np
import pytest

from pipelines.simulate.molecules import ALONE
from pipelines.simulate.rna import RnaSettings, simulate_rna, spot_sigma_px
from pipelines.simulate.scene import Field

BASE = RnaSettings()
SMALL = replace(
    BASE,
    scene=Field(height=320, width=300, pixel_size_um=0.1625, debris_per_mm2=0.0, haze=0.0),
    nuclei=replace(BASE.nuclei, count=9),
    keep_expected=True,
)


def with_molecules(**changes):
    return replace(SMALL, molecules=replace(SMALL.molecules, **changes))


def as_bytes(simulated):
    parts = [*simulated.channels.values(), *simulated.labels.values()]
    parts += [c for table in simulated.truth.values() for c in table.values()]
    return b"".join(np.ascontiguousarray(p).tobytes() for p in parts)


def test_same_seed_same_bytes_and_other_seed_other_image():
    first, again, other = (simulate_rna(SMALL, seed) for seed in (7, 7, 8))
    assert as_bytes(first) == as_bytes(again)
    assert not np.array_equal(first.channels["rna"], other.channels["rna"])


def test_the_ratio_leaves_places_and_other_channels_as_they_were():
    low, high = (simulate_rna(with_molecules(snr=s), 1) for s in (3.0, 20.0))
    np.testing.assert_array_equal(low.truth["molecules"]["y"], high.truth["molecules"]["y"])
    np.testing.assert_array_equal(low.channels["dapi"], high.channels["dapi"])


@pytest.mark.parametrize("asked", [3.0, 12.0])
def test_snr_is_that_of_the_median_molecule_in_focus(asked):
    simulated = simulate_rna(with_molecules(snr=asked, depth_um=0.0, brightness_cv=0.0), 2)
    assert np.median(simulated.truth["molecules"]["snr"]) == pytest.approx(asked, rel=0.1)


def test_light_lies_where_the_truth_says_and_sums_to_what_it_says():
    settings = replace(
        with_molecules(min_spacing_um=2.5, clusters_mean=0.0, count_mean=3.0),
        granules=replace(SMALL.granules, count_mean=0.0),
    )
    simulated = simulate_rna(settings, 3)
    light = simulated.expected["rna"] - simulated.expected["rna_background"]
    table, sigma = simulated.truth["molecules"], spot_sigma_px(settings)
    seen = 0
    for y, x, peak, own in zip(*(table[c] for c in ("y", "x", "peak", "sigma_px")), strict=True):
        window = light[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6]
        if window.shape == (11, 11):
            rows, columns = np.indices(window.shape) - 5
            assert (window * rows).sum() / window.sum() + round(y) == pytest.approx(y, abs=0.1)
            assert (window * columns).sum() / window.sum() + round(x) == pytest.approx(x, abs=0.1)
            whole = 2 * np.pi * own**2 * peak
            assert 0.8 < window.sum() / whole < 1.15  # uneven light takes up to 15 %
            assert own >= sigma * 0.999
            seen += 1
    assert seen > 10


def test_counts_of_cells_are_those_of_the_list():
    simulated = simulate_rna(SMALL, 4)
    molecules, cells = simulated.truth["molecules"], simulated.truth["cells"]
    for label, count, nuclear in zip(
        cells["label"], cells["count"], cells["nucleus_count"], strict=True
    ):
        own = molecules["cell"] == label
        assert count == own.sum()
        assert nuclear == (own & molecules["in_nucleus"]).sum()
    sizes = np.bincount(molecules["cluster"][molecules["cluster"] != ALONE])
    assert sizes[sizes > 0].max() <= SMALL.molecules.cluster_size[1]


def test_granules_are_in_the_unused_channel_and_molecules_are_not():
    simulated = simulate_rna(replace(SMALL, bleed=0.0, chromatic_um=(0.0, 0.0)), 5)
    blank = simulated.expected["blank"].astype(float)

    def rises(table):
        # Against the ring four to five pixels away.
        found = []
        for y, x in zip(np.rint(table["y"]), np.rint(table["x"]), strict=True):
            window = blank[int(y) - 5 : int(y) + 6, int(x) - 5 : int(x) + 6]
            if window.shape == (11, 11):
                found.append(window[5, 5] - np.median(window[[0, -1]]))
        return np.array(found)

    assert np.median(rises(simulated.truth["granules"])) > 50
    assert abs(np.median(rises(simulated.truth["molecules"]))) < 5


def test_a_field_without_cells_or_molecules_is_written_too():
    empty = replace(SMALL, nuclei=replace(SMALL.nuclei, count=0))
    bare = replace(empty, molecules=replace(empty.molecules, stray_per_mm2=0.0))
    simulated = simulate_rna(bare, 0)
    assert simulated.truth["molecules"]["y"].size == 0
    assert simulated.channels["rna"].shape == (320, 300)
