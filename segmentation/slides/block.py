"""One block of a slide: pixels to labels and the objects they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.dynamics import STEPS, masks_of
from segmentation.slides.flows import Inference, Network, Read, flows_of
from segmentation.slides.grid import Block, Box
from segmentation.slides.lattice import NETWORK_DIAMETER_PX
from segmentation.slides.objects import Objects, objects_of

# [judgement] Diameters of the largest object that a halo holds. Nuclei of senescent cells are two
# to three times as wide as their neighbours'.
_LARGEST = 3.0
# Beyond that: the reach of a seed, on both sides of an object's edge.
_MARGIN_PX = 20


@dataclass(frozen=True, slots=True)
class Outlining:
    """How objects are found in a slide.

    Attributes:
        inference: how the network is run.
        flow_threshold: see `segmentation.masks.segment`.
        cellprob_threshold: the same.
        min_size_px: the same.
    """

    inference: Inference
    flow_threshold: float = 0.4
    cellprob_threshold: float = 0.0
    min_size_px: int = 15


@dataclass(frozen=True, slots=True)
class BlockLabels:
    """What a block found.

    Attributes:
        box: the core with a rim, cut at the slide's edge: the part of the window that is kept.
        labels: (y, x) uint32 of the box, ids of `objects`.
        objects: all objects of the window, those outside the box too.
    """

    box: Box
    labels: NDArray[np.uint32]
    objects: Objects


def halo_px(diameter_px: float) -> int:
    """Width of a halo, px, that holds objects three times as wide as the typical one."""
    return int(np.ceil(_LARGEST * diameter_px)) + _MARGIN_PX


def segment_block(
    read: Read, network: Network, how: Outlining, block: Block, rim: int
) -> BlockLabels:
    """Find the objects of one block.

    Args:
        read: the slide's pixels.
        network: the network, on a stack of tiles.
        how: settings of the slide, the same for all its blocks.
        block: the block.
        rim: pixels around the core whose labels are kept too, at most the halo.
    """
    lattice = how.inference.lattice
    flows = flows_of(read, network, how.inference, block.window)
    labels = masks_of(
        flows.flow,
        flows.logit,
        steps=int(STEPS / lattice.scale),
        flow_threshold=how.flow_threshold,
        cellprob_threshold=how.cellprob_threshold,
        min_size_px=how.min_size_px,
        max_size_px=np.inf,
    )
    box = block.core.grown(rim, lattice.shape)
    kept = labels[box.seen_from(block.window).slices]
    return BlockLabels(box, kept.copy(), objects_of(labels, block, lattice.shape))


def scale_of(diameter_px: float) -> float:
    """Factor that brings objects to the network's diameter.

    Raises:
        ValueError: the diameter is not positive.
    """
    if not (np.isfinite(diameter_px) and diameter_px > 0):
        raise ValueError(f"The diameter must be a positive number of pixels, not {diameter_px}.")
    return NETWORK_DIAMETER_PX / float(diameter_px)
