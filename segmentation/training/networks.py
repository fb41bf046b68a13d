"""Networks to train, by the names that users give models, and as models to segment with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segmentation.catalogue import STOCK, ModelError, weights_file
from segmentation.download import download_stock
from segmentation.engine import models
from segmentation.masks import segment
from segmentation.models import Model, compact_as_cellpose
from segmentation.network import CompactNet
from segmentation.scores import score
from segmentation.state import Architecture, architecture, check_state, read_state
from segmentation.training.loop import State, Validate

Truth = tuple[NDArray[np.generic], NDArray[np.integer], float]
"""Pixels (y, x), labels (y, x) and the diameter to segment with, in px."""


class CellposeAdapter(nn.Module):
    """A network of Cellpose behind the interface that training expects."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Predict flows and logit of (N, 1, Y, X), without the style that Cellpose adds."""
        predicted: Tensor = self.inner(x)[0]
        return predicted


@dataclass(frozen=True, slots=True)
class Trainable:
    """A network to train.

    Attributes:
        network: (N, 1, Y, X) -> (N, 3, Y, X), float32, on its device.
        kind: what it is.
        cellpose: Cellpose's model of it, None for the compact network.
    """

    network: nn.Module
    kind: Architecture
    cellpose: models.CellposeModel | None = None


def new_network(seed: int, device: torch.device) -> Trainable:
    """Make a compact network of random weights."""
    torch.manual_seed(seed)
    return Trainable(CompactNet().to(device).to(memory_format=torch.channels_last), "compact")


def architecture_of(name: str) -> Architecture:
    """Tell what kind of network a model is, without loading or downloading it.

    Args:
        name: as for `segmentation.models.load_model`.

    Raises:
        ModelError: no such model, or a file that is none.
    """
    path = weights_file(name)
    if path is None:
        return "dino" if name.startswith("cpdino") else "sam"
    return architecture(read_state(path), path)


def known_network(name: str, device: torch.device) -> Trainable:
    """Load a model's weights to train them further.

    Args:
        name: as for `segmentation.models.load_model`.
        device: where to train.

    Raises:
        ModelError: no such model, or weights that do not fit.
    """
    path = weights_file(name) or download_stock(name)
    state = read_state(path)
    kind = architecture(state, path)
    check_state(state, kind, path, spare_keys=name in STOCK)
    if kind == "compact":
        network = CompactNet()
        network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        )
        return Trainable(network.to(device).to(memory_format=torch.channels_last), kind)
    cellpose = models.CellposeModel(pretrained_model=str(path), device=device, use_bfloat16=False)
    return Trainable(CellposeAdapter(cellpose.net), kind, cellpose)


def weights_to_save(trained: State, kind: Architecture) -> State:
    """Weights as `segmentation.models.load_model` reads them; the compact network's by halves.

    Raises:
        ModelError: a weight is too large for half precision.
    """
    if kind != "compact":
        return {name.removeprefix("inner."): value for name, value in trained.items()}
    halves = {k: v.half() if v.is_floating_point() else v for k, v in trained.items()}
    if not all(bool(torch.isfinite(value).all()) for value in halves.values()):
        raise ModelError("A trained weight is too large to store: take a lower learning rate.")
    return halves


def as_model(trainable: Trainable, network: nn.Module, device: torch.device) -> Model:
    """Make a model of a network in training, to segment with."""
    if trainable.cellpose is None:
        assert isinstance(network, CompactNet)
        cellpose = compact_as_cellpose(network, Path("in training"), device, "float32")
    else:
        assert isinstance(network, CellposeAdapter)
        cellpose = trainable.cellpose
        cellpose.net = network.inner
    return Model(
        "in training", "", str(device), "float32", cellpose, any_tile=trainable.kind == "compact"
    )


def mean_precision(trainable: Trainable, truths: Sequence[Truth], device: torch.device) -> Validate:
    """Make the score that training is judged by: mean over images of AP at 0.5 and 0.75.

    Both thresholds count, so that a network that finds all objects is still rewarded for better
    outlines.
    """

    def validate(network: nn.Module) -> float:
        model = as_model(trainable, network, device)
        found = [
            score(labels, segment(pixels, model, diameter)) for pixels, labels, diameter in truths
        ]
        return float(np.mean([s.average_precision for scores in found for s in scores]))

    return validate
