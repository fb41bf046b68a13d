"""A slide of blobs and a network that answers at once, for tests of everything around the network.

The network's answer depends on the whole tile, as that of networks that pool over it: a tile that
starts elsewhere gives another answer for the same pixel, so an error of the lattice shows.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from segmentation.slides.block import Outlining, halo_px, scale_of, segment_block
from segmentation.slides.flows import Inference
from segmentation.slides.grid import Block, Box, blocks
from segmentation.slides.joining import Numbering, renumbered
from segmentation.slides.lattice import Lattice, cellpose_tiles

TILING = partial(cellpose_tiles, tile=64)


def blobs(shape, n, *, radius=11.0, seed=0, noise=0.02):
    """Bright bumps on noise; some touch, some lie on the edge."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, noise, shape)
    for y, x in rng.uniform((0, 0), shape, (n, 2)):
        wide = radius * rng.uniform(0.7, 1.3)
        reach = int(3 * wide)
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        part = image[top : int(y) + reach, left : int(x) + reach]
        rows, columns = np.indices(part.shape)
        bump = np.exp(-((rows + top - y) ** 2 + (columns + left - x) ** 2) / (2 * (wide / 2) ** 2))
        np.maximum(part, bump, out=part)
    return image.astype(np.float32)


def network(tiles):
    """Flows uphill, logit by brightness; both lean on the mean of the tile."""
    mean = tiles.mean(axis=(1, 2), keepdims=True)
    blurred = tiles
    for axis in (1, 2):
        blurred = sum(np.roll(blurred, k, axis) for k in range(-2, 3)) / 5
    slope = np.stack(np.gradient(blurred, axis=(1, 2)), 1)
    unit = slope / (1e-3 + np.sqrt((slope**2).sum(axis=1, keepdims=True)))
    logit = 20 * (blurred - 0.3 + 0.5 * (mean - 0.15))
    return np.concatenate([5 * unit, logit[:, np.newaxis]], 1).astype(np.float32)


def reader(image) -> Callable[[Box], np.ndarray]:
    return lambda box: image[box.slices]


def outlining(shape, diameter_px, *, skip_empty=True, **thresholds) -> Outlining:
    lattice = Lattice(shape, scale_of(diameter_px), TILING)
    inference = Inference(lattice, (0.0, 1.0), batch=1, skip_empty=skip_empty)
    return Outlining(inference, **{"flow_threshold": 0.4, **thresholds})


def in_blocks(image, side, *, halo=None, diameter_px=30.0, net=network, **settings):
    """Labels of a whole slide, block by block, and what every block found."""
    how = outlining(image.shape, diameter_px, **settings)
    halo = halo_px(diameter_px) if halo is None else halo
    found: list[tuple[Block, object]] = [
        (block, segment_block(reader(image), net, how, block, min(8, halo)))
        for block in blocks(image.shape, side, halo)
    ]
    numbering = Numbering.of(f.objects.key[f.objects.owned] for _, f in found)
    labels = np.zeros(image.shape, np.uint32)
    for block, one in found:
        labels[block.core.slices] = renumbered(one, block.core, numbering, {})
    return labels, found
