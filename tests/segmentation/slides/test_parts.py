"""Lattice, resampling, emptiness, grey range and dynamics, each against what defines it."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from segmentation.dynamics import masks_of
from segmentation.masks import segment
from segmentation.scores import score
from segmentation.slides.block import scale_of
from segmentation.slides.emptiness import is_empty
from segmentation.slides.flows import Inference, flows_of
from segmentation.slides.grey import grey_range
from segmentation.slides.grid import Box
from segmentation.slides.lattice import Lattice
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
    """The slide-wide lattice is the one that Cellpose cuts from the whole image."""
    image, diameter = nuclei("stardist")[0], 23.1
    low, high = np.percentile(image, (1, 99))
    scaled = ((image - low) / (high - low)).astype(np.float32)[np.newaxis, ..., np.newaxis]
    flow, logit, _ = compact.cellpose._run_net(scaled, rescale=30 / diameter)
    how = Inference(Lattice(image.shape, scale_of(diameter), 256), (low, high), skip_empty=False)

    def network(tiles):
        from cellpose.core import _forward

        return _forward(compact.cellpose.net, tiles[:, np.newaxis])[0]

    found = flows_of(reader(image), network, how, Box(0, 0, *image.shape))
    assert np.abs(found.flow - flow[:, 0]).max() < 1e-4
    assert np.abs(found.logit - logit[0]).max() < 1e-4
    labels = masks_of(found.flow, found.logit, steps=int(200 * diameter / 30))
    # An image that is no slide is cut into larger tiles.
    (same,) = score(segment(image, compact, diameter), labels, (0.75,))
    assert same.average_precision > 0.9


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
