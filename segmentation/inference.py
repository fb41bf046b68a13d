"""A model as images and slides run it: what it answers to tiles, which ones, how many at a time."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from segmentation.models import Model
from segmentation.slides.flows import Flows, Inference, Network, flows_of
from segmentation.slides.grid import Box
from segmentation.slides.lattice import Lattice, Tiling, cellpose_tiles, even_tiles

# Tiles that a GPU is given at a time. A CPU is no faster with more than one. [measured]
_GPU_BATCH = 32
# Side of the tiles of Cellpose's networks, by their backbone, as in CellposeModel._run_net.
_SAM, _SAM_TILE_PX, _DINO_TILE_PX = "sam_vitl", 256, 384


def network_of(model: Model) -> Network:
    """The model's network as a function of tiles, which is all that a lattice asks of it."""
    network = model.cellpose.net.eval()

    def run(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        # Cellpose's transformers read three channels, and take one as the first of them.
        given = torch.from_numpy(np.ascontiguousarray(tiles))[:, None]
        with torch.inference_mode():
            answer = network(given.to(network.device, network.dtype))[0]
        numbers: NDArray[np.float32] = answer.float().cpu().numpy()
        return numbers

    return run


def tiling_of(model: Model) -> Tiling:
    """How the model's tiles lie."""
    if model.any_tile:
        return even_tiles
    tile = _SAM_TILE_PX if model.cellpose.backbone == _SAM else _DINO_TILE_PX
    return partial(cellpose_tiles, tile=tile)


def tiles_at_a_time(model: Model) -> int:
    """Tiles in a batch."""
    return 1 if model.device == "cpu" else _GPU_BATCH


def predict(image: NDArray[np.float32], model: Model, scale: float) -> Flows:
    """Run a model over an image in one piece.

    Args:
        image: (y, x), scaled so that its 1st and 99th percentiles are 0 and 1.
        model: from `segmentation.models.load_model`.
        scale: factor that brings the objects to the network's diameter.
    """
    rows, columns = image.shape
    lattice = Lattice((rows, columns), scale, tiling_of(model))
    tiles = sum(1 for _ in lattice.tiles_over(Box(0, 0, *lattice.scaled_shape)))
    batch = min(tiles, tiles_at_a_time(model))
    how = Inference(lattice, (0.0, 1.0), batch, skip_empty=False)
    return flows_of(lambda box: image[box.slices], network_of(model), how, Box(0, 0, rows, columns))
