"""Blocks of a slide give the labels of the whole, whatever their size."""

import numpy as np
import pytest

from segmentation.slides.block import halo_px
from segmentation.slides.grid import blocks
from segmentation.slides.joining import pieces_in_core
from tests.segmentation.slides.fake import blobs, in_blocks, network


@pytest.fixture(scope="module")
def image():
    return blobs((330, 400), 70)


@pytest.fixture(scope="module")
def whole(image):
    labels, _ = in_blocks(image, 1000)
    return labels


def test_the_slide_has_objects_to_test_with(whole):
    assert whole.max() > 40
    assert np.bincount(whole.ravel())[1:].max() < 2000


@pytest.mark.parametrize("side", [100, 211])
def test_blocks_of_any_size_give_the_same_labels(image, whole, side):
    labels, _ = in_blocks(image, side)
    assert np.array_equal(labels, whole)


def test_every_object_has_one_owner_that_saw_it_whole(image, whole):
    _, found = in_blocks(image, 100)
    owned = np.concatenate([f.objects.key[f.objects.owned] for _, f in found])
    assert owned.size == np.unique(owned).size == whole.max()
    areas = np.concatenate([f.objects.area[f.objects.owned] for _, f in found])
    assert np.array_equal(areas[np.argsort(owned)], np.bincount(whole.ravel())[1:])
    assert not any(pieces_in_core(f).size for _, f in found)


def test_objects_on_seams_are_among_them(image, whole):
    seams = {int(i) for cut in (100, 200, 300) for i in np.intersect1d(whole[cut - 1], whole[cut])}
    assert len(seams - {0}) > 6


@pytest.mark.parametrize("diameter", [24.0, 41.0])
def test_any_scale(image, diameter):
    """The network's frame has other pixels than the slide: 1.25 and 0.73 of them."""
    one, _ = in_blocks(image, 1000, diameter_px=diameter)
    many, _ = in_blocks(image, 130, diameter_px=diameter)
    assert one.max() > 20
    assert np.array_equal(one, many)


def test_a_lattice_of_each_blocks_own_would_show(image, whole):
    """What the invariant protects from: the same network on tiles that start at the block."""
    labels = np.zeros_like(whole)
    differing = 0
    for block in blocks(image.shape, 160, halo_px(30.0)):
        alone, _ = in_blocks(image[block.window.slices], 1000)
        part = alone[block.core.seen_from(block.window).slices]
        labels[block.core.slices] = part
        differing += np.count_nonzero((part > 0) != (whole[block.core.slices] > 0))
    assert differing > 100


def test_without_halo_objects_are_cut_and_said_to_be(image):
    _, found = in_blocks(image, 160, halo=0)
    assert sum(pieces_in_core(f).size for _, f in found) > 10


def test_leaving_out_empty_tiles_changes_nothing_where_objects_are():
    image = np.random.default_rng(1).normal(0, 0.02, (400, 500)).astype(np.float32)
    image[:100, :150] = blobs((100, 150), 6, seed=2)
    run = []

    def counted(tiles):
        run.append(len(tiles))
        return network(tiles)

    # The true network knows background; the fake one leans on the tile's mean and needs a margin.
    all_run, _ = in_blocks(image, 250, skip_empty=False, net=counted, cellprob_threshold=1.0)
    n_all = len(run)
    some_run, _ = in_blocks(image, 250, net=counted, cellprob_threshold=1.0)
    assert all_run.max() > 2
    assert np.array_equal(all_run, some_run)
    assert len(run) - n_all < n_all / 3


def test_an_empty_slide():
    labels, found = in_blocks(np.zeros((90, 80), np.float32), 50)
    assert not labels.any()
    assert all(f.objects.key.size == 0 for _, f in found)


def test_not_finite_pixels_are_refused(image):
    broken = image.copy()
    broken[300, 300] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        in_blocks(broken, 1000)


@pytest.mark.parametrize(
    ("shape", "side", "halo"), [((10, 0), 5, 1), ((9, 9), 0, 1), ((9, 9), 5, -1)]
)
def test_impossible_grids(shape, side, halo):
    with pytest.raises(ValueError, match="Blocks need"):
        blocks(shape, side, halo)


def test_cores_tile_the_slide():
    covered = np.zeros((95, 130), int)
    for block in blocks(covered.shape, 40, 15):
        covered[block.core.slices] += 1
        assert block.window == block.core.grown(15, covered.shape)
    assert (covered == 1).all()
