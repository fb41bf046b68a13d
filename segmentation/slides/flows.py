"""What the network says of every pixel of a box: its tiles run whole, averaged and resampled."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from segmentation.slides.emptiness import is_empty
from segmentation.slides.grid import Box, Shape
from segmentation.slides.lattice import NETWORK_DIAMETER_PX, Lattice
from segmentation.slides.resample import resampled

Read = Callable[[Box], NDArray[np.generic]]
"""Reads a box of the slide: (y, x), any real type."""
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(n, y, x) scaled grey values of tiles -> (n, 3, y, x): 5 x flow in y, in x, logit."""

# Logit of a tile that was not run because nothing is in it: no threshold in use reaches it.
EMPTY_LOGIT = -20.0
# Weight of a tile near its end: a logistic of this width, its middle so far inside, as in
# cellpose.transforms._taper_mask.
_TAPER_WIDTH_PX, _TAPER_MIDDLE_PX = 7.5, 19.5


@dataclass(frozen=True, slots=True)
class Flows:
    """The network's answer for a box of the slide, at full resolution.

    Attributes:
        flow: (2, y, x) float32, 5 x flow in y and in x.
        logit: (y, x) float32, logit of belonging to an object.
    """

    flow: NDArray[np.float32]
    logit: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inference:
    """How the network is run over a slide.

    Attributes:
        lattice: where its tiles lie.
        grey_range: grey values of the slide that become 0 and 1.
        batch: tiles run at a time; every batch has this size, so that the arithmetic of a tile
            does not depend on how many a block has.
        skip_empty: leave out tiles in which there is nothing but noise.
    """

    lattice: Lattice
    grey_range: tuple[float, float]
    batch: int = 1
    skip_empty: bool = True


def flows_of(read: Read, network: Network, how: Inference, box: Box) -> Flows:
    """Run all tiles that a box needs.

    Args:
        read: the slide's pixels.
        network: the network, on a stack of tiles.
        how: lattice and grey range of the slide.
        box: part of the slide, at full resolution.

    Returns:
        Flows and logit of the box: the same numbers for a pixel, whatever the box around it.

    Raises:
        ValueError: pixels are NaN or infinite.
    """
    rows, columns = how.lattice.to_slide(box)
    span = Box(rows.span[0], columns.span[0], rows.span[1], columns.span[1])
    tiles = list(how.lattice.tiles_over(span))
    averaged = _averaged(_answers(_cut(read, how, tiles), network, how), span, how.lattice.tile)
    full = resampled(averaged, (span.top, span.left), rows, columns)
    return Flows(full[:2], full[2])


def _cut(
    read: Read, how: Inference, tiles: Sequence[Box]
) -> Iterator[tuple[Box, NDArray[np.float32] | None]]:
    """Each tile with its scaled pixels, zeros beyond the slide; None where it is left out."""
    frame = how.lattice.scaled_shape
    union = Box(tiles[0].top, tiles[0].left, tiles[-1].bottom, tiles[-1].right).within(frame)
    source = _source(how.lattice, union)
    pixels = _grey(read, how, source)
    scaled = resampled(pixels, (source.top, source.left), *how.lattice.to_network(union))
    for tile in tiles:
        inside = tile.within(frame)
        # Asked of the pixels as they were taken, whose noise is not smeared by resampling.
        own = pixels[_source(how.lattice, inside).seen_from(source).slices]
        if how.skip_empty and is_empty(own, NETWORK_DIAMETER_PX / how.lattice.scale):
            yield tile, None
            continue
        cut = np.zeros(tile.shape, np.float32)
        cut[inside.seen_from(tile).slices] = scaled[inside.seen_from(union).slices]
        yield tile, cut


def _source(lattice: Lattice, box: Box) -> Box:
    """Pixels of the slide that a box of the network's frame is sampled from."""
    rows, columns = lattice.to_network(box)
    return Box(rows.span[0], columns.span[0], rows.span[1], columns.span[1])


def _grey(read: Read, how: Inference, box: Box) -> NDArray[np.float32]:
    """Grey values from 0 to 1 for a box of the slide."""
    pixels = np.array(read(box), dtype=np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError(
            f"Pixels between rows {box.top} and {box.bottom}, columns {box.left} and {box.right}, "
            "are NaN or infinite: fill them before segmenting."
        )
    low, high = how.grey_range
    pixels -= np.float32(low)
    pixels /= np.float32(high - low)
    return pixels


def _answers(
    cut: Iterator[tuple[Box, NDArray[np.float32] | None]], network: Network, how: Inference
) -> Iterator[tuple[Box, NDArray[np.float32] | None]]:
    """What the network answers for each tile, in the order of the tiles."""
    while some := list(islice(cut, how.batch)):
        run = [pixels for _, pixels in some if pixels is not None]
        answers = iter(())
        if run:
            stack = np.zeros((how.batch, *run[0].shape), np.float32)
            stack[: len(run)] = run
            answers = iter(network(stack))
        for tile, pixels in some:
            yield tile, None if pixels is None else next(answers)


def _averaged(
    answers: Iterator[tuple[Box, NDArray[np.float32] | None]], span: Box, tile_shape: Shape
) -> NDArray[np.float32]:
    """Average overlapping tiles with tapered weights, as cellpose.transforms.average_tiles does.

    Returns:
        (3, y, x) for the span, a box of the network's frame.
    """
    taper = _taper(tile_shape[0])[:, np.newaxis] * _taper(tile_shape[1])
    total = np.zeros((3, *span.shape), np.float32)
    weight = np.zeros(span.shape)
    empty = np.array([0, 0, EMPTY_LOGIT], np.float32)[:, np.newaxis, np.newaxis]
    for tile, answer in answers:
        shared = tile.shared_with(span)
        here, there = shared.seen_from(span).slices, shared.seen_from(tile).slices
        total[:, *here] += (empty if answer is None else answer[:, *there]) * taper[there]
        weight[here] += taper[there]
    total /= weight
    return total


def _taper(length: int) -> NDArray[np.float64]:
    """Weight of a tile's pixels along a side."""
    inside = np.minimum(np.arange(length), np.arange(length)[::-1])
    weight: NDArray[np.float64] = 1 / (1 + np.exp((_TAPER_MIDDLE_PX - inside) / _TAPER_WIDTH_PX))
    return weight
