"""What a model answers to tiles and images, and that larger tiles find the same nuclei."""

import dataclasses

import numpy as np
import pytest

from segmentation.dynamics import masks_of
from segmentation.inference import network_of, predict, tiling_of
from segmentation.masks import segment
from segmentation.scores import score
from segmentation.slides.block import Outlining, scale_of, segment_block
from segmentation.slides.flows import Inference
from segmentation.slides.grid import blocks
from segmentation.slides.joining import Numbering, renumbered
from segmentation.slides.lattice import Lattice, even_tiles


def _scaled(image):
    low, high = np.percentile(image, [1, 99])
    return ((image - low) / (high - low)).astype(np.float32)


def test_answers_to_tiles(compact):
    tiles = np.random.default_rng(0).random((3, 48, 64)).astype(np.float32)
    together = network_of(compact)(tiles)
    assert together.shape == (3, 3, 48, 64)
    assert together.dtype == np.float32
    assert np.allclose(together[1], network_of(compact)(tiles[1:2])[0], atol=1e-3)


@pytest.mark.parametrize(("backbone", "side"), [("sam_vitl", 256), ("dino_vitl", 384)])
def test_cellposes_networks_get_the_tiles_that_they_take(compact, backbone, side):
    cellpose = type("Stock", (), {"backbone": backbone})()
    assert (
        tiling_of(dataclasses.replace(compact, any_tile=False, cellpose=cellpose))(1000)[1] == side
    )
    assert tiling_of(compact) is even_tiles


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_the_answer_has_the_images_size(compact, nuclei, scale):
    flows = predict(_scaled(nuclei("dsb_dim")[0])[:120, :150], compact, scale)
    assert flows.flow.shape == (2, 120, 150)
    assert flows.logit.shape == (120, 150)


@pytest.mark.parametrize(
    ("name", "diameter"), [("stardist", 23.1), ("dsb_sparse", 11.1), ("dsb_dim", 19.6)]
)
def test_even_tiles_find_what_cellposes_find(compact, nuclei, name, diameter):
    """Scaled to 332, 691 and 391 px: 4, 16 and 4 tiles of Cellpose's, 1, 4 and 4 of ours."""
    image, scale = _scaled(nuclei(name)[0]), scale_of(diameter)
    flows, logit, _ = compact.cellpose._run_net(image[np.newaxis, ..., np.newaxis], rescale=scale)
    stock = masks_of(flows[:, 0], logit[0], steps=int(200 / scale))
    even = predict(image, compact, scale)
    ours = masks_of(even.flow, even.logit, steps=int(200 / scale))
    (same,) = score(stock, ours, (0.5,))
    assert same.average_precision > 0.9


def test_an_image_in_blocks_has_the_labels_of_the_image(compact, nuclei):
    image, diameter = nuclei("stardist")[0], 23.1
    low, high = np.percentile(image, [1, 99])
    whole = segment(image, compact, diameter, grey_range=(low, high), max_size_px=np.inf)
    lattice = Lattice(image.shape, scale_of(diameter), even_tiles)
    how = Outlining(Inference(lattice, (low, high), skip_empty=False))
    found = [
        (block, segment_block(lambda box: image[box.slices], network_of(compact), how, block, 0))
        for block in blocks(image.shape, 150, 110)
    ]
    numbering = Numbering.of(one.objects.key[one.objects.owned] for _, one in found)
    labels = np.zeros_like(whole)
    for block, one in found:
        labels[block.core.slices] = renumbered(one, block.core, numbering, {})
    assert len(found) > 3
    assert np.array_equal(labels, whole)
