"""A model as a function of tiles, which is all that a slide asks of it."""

import numpy as np
import torch
from numpy.typing import NDArray

from segmentation.catalogue import COMPACT
from segmentation.models import Model
from segmentation.slides.flows import Network

# Channels that Cellpose's own networks read: a grey image is the first, the others are zero.
_STOCK_CHANNELS = 3


def on_tiles(model: Model) -> Network:
    """The model's network on stacks of tiles, (n, side, side) -> (n, 3, side, side) float32."""
    network = model.cellpose.net
    channels = 1 if model.name == COMPACT or hasattr(network, "network") else _STOCK_CHANNELS

    def run(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        stack = torch.zeros((len(tiles), channels, *tiles.shape[1:]))
        stack[:, 0] = torch.from_numpy(tiles)
        with torch.no_grad():
            answer = network(stack.to(device=model.cellpose.device, dtype=network.dtype))[0]
        numbers: NDArray[np.float32] = answer.float().cpu().numpy()
        return numbers

    return run


def tiles_at_a_time(model: Model) -> int:
    """Tiles in a batch: one on a CPU, where more gain nothing; enough to fill a GPU."""
    return 1 if model.cellpose.device.type == "cpu" else 32
