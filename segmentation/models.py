"""Segmentation models by name.

`compact` (shipped, `segmentation/weights/compact.md`), Cellpose's own models under Cellpose's
names, and the user's fine-tuned weights by path become a `Model`; `segmentation.masks` runs it.
A name is never answered with another model.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from segmentation.catalogue import STOCK, ModelError, weights_file, weights_sha256
from segmentation.download import download_stock
from segmentation.engine import models, vit
from segmentation.network import CompactNet, without_batch_norm
from segmentation.state import State, architecture, check_state, read_state

Precision = Literal["float32", "bfloat16"]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is ready to run.

    Attributes:
        name: what was asked for: a known name or the path of a weights file.
        sha256: hash of its weights file.
        device: torch's name of where it runs, e.g. ``cpu`` or ``cuda:0``.
        precision: the arithmetic it really runs in.
        cellpose: Cellpose's model object.
        any_tile: whether the network takes tiles of any size; Cellpose's own take one.
    """

    name: str
    sha256: str
    device: str
    precision: Precision
    cellpose: models.CellposeModel
    any_tile: bool


class _CompactAsCellpose(vit.BaseModel):  # type: ignore[misc]
    """The compact network behind the interface of Cellpose's networks."""

    def __init__(self, network: CompactNet, dtype: torch.dtype) -> None:
        super().__init__(dtype=dtype)
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run the first channel of (N, C, Y, X): (N, 3, Y, X), and zeros in the style's place."""
        return self.network(x[:, :1]), torch.zeros((len(x), 256), device=x.device)


class _CompactModel(models.CellposeModel):  # type: ignore[misc]
    """Cellpose's model around the compact network.

    The parent's constructor, which would download weights for a network of its own, is not called:
    what follows is all that it leaves behind.
    """

    def __init__(self, network: _CompactAsCellpose, device: torch.device, weights: Path) -> None:
        self.net = network
        self.device = device
        self.gpu = device.type != "cpu"
        self.backbone = "sam_vitl"  # makes Cellpose cut tiles of 256 pixels
        self.pretrained_model = str(weights)


def load_model(
    name: str, *, gpu: bool | None = None, precision: Precision | Literal["auto"] = "auto"
) -> Model:
    """Load a model, once per process and setting.

    Args:
        name: ``compact``, one of Cellpose's own names (`segmentation.catalogue.known_model_names`),
            whose weights are downloaded where they are not on this machine, or the path of a
            weights file.
        gpu: None takes a GPU where there is one; True insists on it; False takes the CPU.
        precision: ``auto`` is bfloat16 where the processor has it in hardware, else float32.

    Returns:
        The model, on its device.

    Raises:
        ModelError: no such model, weights that cannot be had or that do not fit their network, or
            no GPU where one was insisted on.
    """
    weights = weights_file(name)
    device = _device(gpu)
    chosen = _native_precision(device) if precision == "auto" else precision
    with _loading:
        weights = weights or download_stock(name)
        changed = weights.stat().st_mtime_ns
        return _loaded(name, weights.resolve(), changed, device, chosen)


@lru_cache(maxsize=4)
def _loaded(
    name: str,
    weights: Path,
    changed: int,  # noqa: ARG001  (part of the key: a file written anew is loaded anew)
    device: torch.device,
    precision: Precision,
) -> Model:
    state = read_state(weights)
    kind = architecture(state, weights)
    check_state(state, kind, weights, spare_keys=name in STOCK)
    if kind == "compact":
        cellpose = _compact(state, weights, device, precision)
    else:
        cellpose = models.CellposeModel(
            pretrained_model=str(weights), device=device, use_bfloat16=precision == "bfloat16"
        )
    return Model(name, weights_sha256(weights), str(device), precision, cellpose, kind == "compact")


def _compact(
    state: State, weights: Path, device: torch.device, precision: Precision
) -> models.CellposeModel:
    network = CompactNet()
    network.load_state_dict(
        {key: value for key, value in state.items() if key in network.state_dict()}
    )
    return compact_as_cellpose(network, weights, device, precision)


def compact_as_cellpose(
    network: CompactNet, weights: Path, device: torch.device, precision: Precision
) -> models.CellposeModel:
    """Put a compact network, unchanged itself, behind the interface of Cellpose's models.

    Args:
        network: trained, in any mode.
        weights: the file that Cellpose's messages name.
        device: where it is to run.
        precision: the arithmetic it runs in.
    """
    dtype = _DTYPES[precision]
    wrapped = _CompactAsCellpose(without_batch_norm(network), dtype)
    # channels_last is twice as fast on a CPU and changes nothing but the layout in memory.
    wrapped.to(device=device, dtype=dtype, memory_format=torch.channels_last)
    return _CompactModel(wrapped, device, weights)


def _device(gpu: bool | None) -> torch.device:
    if gpu is not False:
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        if torch.backends.mps.is_available():
            return torch.device("mps")
    if gpu:
        raise ModelError(
            "A GPU was asked for, and torch finds none: neither CUDA nor Apple's Metal. "
            "Leave the choice open, or take the CPU."
        )
    return torch.device("cpu")


def _native_precision(device: torch.device) -> Precision:
    """Choose bfloat16 only where it is hardware: emulated, it is slower than float32."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        features = torch.cpu.get_capabilities()
        native = any(features.get(feature) for feature in features if feature.endswith("bf16"))
        return "bfloat16" if native else "float32"
    return "float32"
