"""Weights files, read and checked before they are trusted.

Cellpose loads weights with ``strict=False``: a file with one matching key runs as a network of
random numbers, without a word. Here every key, every shape and every number is checked first.
"""

import pickle
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from segmentation.catalogue import ModelError
from segmentation.engine import vit
from segmentation.network import CompactNet

State = dict[str, Tensor]
Architecture = Literal["compact", "sam", "dino"]

# Mean diameters of the training data: Cellpose 4 stores them with a model and never reads them.
_NEVER_READ = frozenset({"diam_mean", "diam_labels"})
_LISTED = 4


def read_state(path: Path) -> State:
    """Read the parameters of a network, and nothing else, from a torch file.

    Args:
        path: a file written by ``torch.save(network.state_dict())``. Pickled objects other than
            tensors are never executed, the file is refused.

    Returns:
        Parameter names, without the ``module.`` of parallel training, and CPU tensors, mapped
        from the file rather than read where they are not touched.

    Raises:
        ModelError: the file is no torch file, holds other things than tensors, or is cut short.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} holds more than weights, and is not opened: {error}") from error
    except (RuntimeError, ValueError, EOFError, OSError) as error:
        raise ModelError(
            f"{path} is not a readable torch weights file, or is cut short: {error}"
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise ModelError(f"{path} is a torch file, but not one of named weights (a state dict).")
    return {name.removeprefix("module."): value for name, value in state.items()}


def architecture(state: State, source: Path) -> Architecture:
    """Tell from the parameter names which network they belong to.

    Raises:
        ModelError: none that can be run here, e.g. a Cellpose 1 to 3 model.
    """
    if "stem.weight" in state:
        return "compact"
    if "W2" in state:
        return "dino" if "encoder.cls_token" in state else "sam"
    older = any(name.startswith(("downsample.", "encoder.0.")) for name in state)
    hint = " It looks like a model of Cellpose 3 or before." if older else ""
    raise ModelError(
        f"{source} fits no network that can be run.{hint} "
        "Give weights of the compact network or of a Cellpose 4 model."
    )


def check_state(
    state: State, kind: Architecture, source: Path, *, spare_keys: bool = False
) -> None:
    """Make sure that a state fills a network entirely, with finite numbers.

    Args:
        state: from `read_state`.
        kind: from `architecture`.
        source: the file, for the message.
        spare_keys: let parameters pass that the network does not have: only for files published
            by Cellpose itself.

    Raises:
        ModelError: keys are missing or unknown, shapes differ, or a value is NaN or infinite.
    """
    expected = _expected_shapes(kind)
    missing = [name for name in expected if name not in state and name not in _NEVER_READ]
    unknown = [] if spare_keys else [n for n in state if n not in expected and n not in _NEVER_READ]
    shapes = [
        f"{name} {tuple(state[name].shape)}, not {tuple(shape)}"
        for name, shape in expected.items()
        if name in state and state[name].shape != shape
    ]
    broken = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    problems = {
        "missing": missing,
        "unknown": unknown,
        "of another shape": shapes,
        "not finite": broken,
    }
    found = [f"{len(names)} {what} ({_some(names)})" for what, names in problems.items() if names]
    if found:
        raise ModelError(
            f"{source} does not fit the {kind} network and is not used. "
            f"Weights: {'; '.join(found)}."
        )


def _expected_shapes(kind: Architecture) -> dict[str, torch.Size]:
    """Names and shapes of a network's parameters, without making the network."""
    with torch.device("meta"):
        network = _network(kind)
    return {name: value.shape for name, value in network.state_dict().items()}


def _network(kind: Architecture) -> nn.Module:
    if kind == "compact":
        return CompactNet()
    if kind == "sam":
        network: nn.Module = vit.CPSAM()
        return network
    raise ModelError(
        "The dino models of Cellpose need the package dinov3, which is not a dependency and whose "
        "licence is its own: choose cpsam_v2 or compact."
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
