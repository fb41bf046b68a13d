"""Loading models."""

import dataclasses

import numpy as np
import pytest
import torch

from segmentation import models
from segmentation.catalogue import COMPACT_WEIGHTS, ModelError, weights_sha256
from segmentation.masks import segment
from segmentation.models import load_model


def test_compact_says_what_it_is(compact):
    assert compact.name == "compact"
    assert compact.device == "cpu"
    assert compact.precision == "float32"
    assert compact.sha256 == weights_sha256(COMPACT_WEIGHTS)
    assert compact.cellpose.net.dtype == torch.float32
    with pytest.raises(dataclasses.FrozenInstanceError):
        compact.name = "another"


def test_loaded_once_per_setting(compact):
    assert load_model("compact", gpu=False, precision="float32") is compact
    assert load_model("compact", gpu=False, precision="bfloat16") is not compact


def test_a_file_written_anew_is_loaded_anew(tmp_path):
    path = tmp_path / "mine.pt"
    state = torch.load(COMPACT_WEIGHTS, weights_only=True)
    torch.save(state, path)
    first = load_model(str(path), gpu=False)
    state["head.bias"] = state["head.bias"] + 1
    torch.save(state, path)
    second = load_model(str(path), gpu=False)
    assert first.sha256 != second.sha256
    assert second.sha256 == weights_sha256(path)


def test_the_network_has_the_shipped_numbers(compact):
    shipped = torch.load(COMPACT_WEIGHTS, weights_only=True)
    loaded = compact.cellpose.net.network.state_dict()
    for name in ("stem.weight", "head.bias", "context.0.weight", "down.1.0.proj.weight"):
        assert torch.equal(loaded[name], shipped[name].float())


@pytest.mark.parametrize(
    ("features", "precision"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"bf16": True, "neon": True}, "bfloat16"),
        ({"avx512_bf16": False, "avx512_f": True}, "float32"),
        ({}, "float32"),
    ],
)
def test_bfloat16_only_in_hardware(monkeypatch, features, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    assert load_model("compact", gpu=False).precision == precision


def test_a_torch_that_cannot_tell_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert load_model("compact", gpu=False).precision == "float32"


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert load_model("compact").device == "cpu"
    with pytest.raises(ModelError, match="GPU"):
        load_model("compact", gpu=True)


def test_dino_needs_a_package(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    torch.save({"W2": torch.ones(1), "encoder.cls_token": torch.ones(1)}, tmp_path / "cpdino")
    with pytest.raises(ModelError, match="dinov3"):
        load_model("cpdino", gpu=False)


@pytest.mark.slow
def test_stock_weights_run_in_cellposes_own_network(tmp_path, monkeypatch):
    """Zeros everywhere, stored once: the file is small, the network full size."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in models.vit.CPSAM().state_dict().items()}
    path = tmp_path / "cpsam_v2"
    torch.save({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}, path)
    assert path.stat().st_size < 1e6
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    model = load_model("cpsam_v2", gpu=False, precision="bfloat16")
    assert model.cellpose.net.dtype == torch.bfloat16
    assert all(not value.any() for value in model.cellpose.net.state_dict().values())
    assert not segment(np.eye(64), model, 20).any()
    del shapes["out.weight"]
    torch.save({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}, path)
    with pytest.raises(ModelError, match=r"1 missing \(out\.weight\)"):
        load_model("cpsam_v2", gpu=False, precision="bfloat16")
