"""Lattice, resampling, emptiness, grey range and dynamics, each against what defines it."""

from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from segmentation.inference import network_of
from segmentation.network import SIDE_MULTIPLE
from segmentation.slides.block import scale_of
from segmentation.slides.emptiness import is_empty
from segmentation.slides.flows import Inference, flows_of
from segmentation.slides.grey import grey_range
from segmentation.slides.grid import Box
from segmentation.slides.lattice import Lattice, cellpose_tiles, even_tiles
from segmentation.slides.resample import resampled, taps
from tests.segmentation.slides.fake import blobs, reader


@pytest.mark.parametrize("target", [(75, 60), (150, 121), (210, 333)])
def test_resampling_is_opencvs(target):
    image = np.random.default_rng(0).random((150, 121)).astype(np.float32)
    rows, columns = taps(0, target[0], target[0], 150), taps(0, target[1], target[1], 121)
    expected = cv2.resize(image, target[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(resampled(image, (0, 0), rows, columns) - expected).max() < 1e-5


def test_a_part_resampled_is_that_part_of_the_whole():
    image = np.random.default_rng(0).random((150, 121)).astype(np.float32)
    whole = resampled(image, (0, 0), taps(0, 210, 210, 150), taps(0, 170, 170, 121))
    rows, columns = taps(60, 130, 210, 150), taps(33, 100, 170, 121)
    part = image[slice(*rows.span), slice(*columns.span)]
    found = resampled(part, (rows.span[0], columns.span[0]), rows, columns)
    assert np.array_equal(found, whole[60:130, 33:100])


def test_flows_are_stock_cellposes(compact, nuclei):
    """Cellpose's tiles on the slide-wide lattice are those that it cuts from the whole image."""
    image, diameter = nuclei("stardist")[0], 23.1
    low, high = np.percentile(image, (1, 99))
    scaled = ((image - low) / (high - low)).astype(np.float32)[np.newaxis, ..., np.newaxis]
    flow, logit, _ = compact.cellpose._run_net(scaled, rescale=30 / diameter)
    lattice = Lattice(image.shape, scale_of(diameter), partial(cellpose_tiles, tile=256))
    how = Inference(lattice, (low, high), skip_empty=False)
    found = flows_of(reader(image), network_of(compact), how, Box(0, 0, *image.shape))
    assert np.abs(found.flow - flow[:, 0]).max() < 1e-4
    assert np.abs(found.logit - logit[0]).max() < 1e-4


@pytest.mark.parametrize("length", [1, 17, 256, 272, 368, 369, 720, 1024, 4096])
def test_even_tiles_cover_an_axis_and_its_margin(length):
    starts, tile = even_tiles(length)
    assert starts[0] == -8
    assert starts[-1] + tile >= length + 8
    assert tile % SIDE_MULTIPLE == 0
    assert tile <= 384
    assert all(first + tile - 32 >= second for first, second in pairwise(starts))
    assert len(starts) * tile < 1.2 * (length + 16) + 2 * SIDE_MULTIPLE * len(starts)


@pytest.mark.parametrize("shape", [(40, 60), (500, 30), (800, 1000)])
def test_blended_tiles_are_the_image(shape):
    """A network that answers with what it is shown."""
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    shown = []

    def echo(tiles):
        shown.append(tiles.shape)
        return tiles[:, np.newaxis] * np.array([1, 2, 3], np.float32)[:, np.newaxis, np.newaxis]

    how = Inference(Lattice(shape, 1.0, even_tiles), (0.0, 1.0), skip_empty=False)
    found = flows_of(reader(image), echo, how, Box(0, 0, *shape))
    assert np.allclose(found.flow, [image, 2 * image], atol=1e-6)
    assert np.allclose(found.logit, 3 * image, atol=1e-6)
    assert len(set(shown)) == 1
    assert len(shown) == {(40, 60): 1, (500, 30): 2, (800, 1000): 9}[shape]


def test_noise_is_empty_and_the_faintest_cells_are_not():
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 10, (20, 256, 256))
    assert sum(is_empty(tile, 30) for tile in noise) > 17
    y, x = np.indices((256, 256))
    cell = (y - 90) ** 2 + (x - 160) ** 2 < 15**2
    # Half the noise of a pixel: fainter than anyone would see.
    assert not any(is_empty(tile + 5 * cell, 30) for tile in noise)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_constant_is_empty(dtype):
    assert is_empty(np.full((256, 256), 7, dtype), 30)


def test_what_is_not_white_noise_is_not_empty():
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 10, (256, 256))
    assert not is_empty(gaussian_filter(noise, 3), 30)  # resampled or compressed
    assert not is_empty(noise + np.linspace(0, 20, 256), 30)  # uneven light
    assert not is_empty(blobs((256, 256), 60), 30)


def test_grey_range_is_that_of_tissue_not_of_background():
    image = np.random.default_rng(0).normal(10, 1, (4096, 4096)).astype(np.float32)
    image[:1024, :1024] += 100 * blobs((1024, 1024), 800)
    found = grey_range(reader(image), image.shape, 18)
    expected = np.percentile(image[:1024, :1024], (1, 99))
    assert found == pytest.approx(expected, rel=0.1)
    # Of the whole slide, which is nearly all background, it is another one.
    assert np.percentile(image, 99) < 0.8 * found[1]


def test_grey_range_of_a_small_image_is_its_percentiles():
    image = (1000 * blobs((300, 400), 60)).astype(np.uint16)
    expected = np.percentile(image, (1, 99))
    assert grey_range(reader(image), image.shape, 18) == pytest.approx(expected, rel=0.05)


def test_grey_range_of_a_constant_slide():
    assert grey_range(reader(np.full((600, 600), 5, np.uint8)), (600, 600), 20) is None
