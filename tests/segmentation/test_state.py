"""Weights files that must not be trusted."""

import pickle

import pytest
import torch

from segmentation.catalogue import COMPACT_WEIGHTS, ModelError
from segmentation.models import load_model
from segmentation.state import architecture, check_state, read_state


@pytest.fixture
def state():
    return dict(torch.load(COMPACT_WEIGHTS, weights_only=True))


@pytest.fixture
def refused(tmp_path):
    """Save something, and return the message with which loading it as a model is refused."""

    def message(content) -> str:
        path = tmp_path / "weights.pt"
        torch.save(content, path)
        with pytest.raises(ModelError) as error:
            load_model(str(path), gpu=False)
        return str(error.value)

    return message


def test_the_whole_state_passes(state, tmp_path):
    path = tmp_path / "copy.pt"
    torch.save({f"module.{name}": value for name, value in state.items()}, path)
    found = read_state(path)
    assert set(found) == set(state)
    check_state(found, architecture(found, path), path)


def test_a_missing_key(state, refused):
    del state["down.2.0.conv1.weight"]
    assert "1 missing (down.2.0.conv1.weight)" in refused(state)


def test_one_key_alone(state, refused):
    assert "missing" in refused({"stem.weight": state["stem.weight"]})


def test_an_unknown_key(state, refused):
    state["down.9.conv1.weight"] = torch.zeros(3)
    assert "1 unknown (down.9.conv1.weight)" in refused(state)


def test_another_shape(state, refused):
    state["head.weight"] = torch.zeros(4, 16, 1, 1)
    assert "head.weight (4, 16, 1, 1), not (3, 16, 1, 1)" in refused(state)


def test_not_finite(state, refused):
    state["head.bias"] = torch.tensor([0.0, torch.nan, 0.0])
    assert "1 not finite (head.bias)" in refused(state)


def test_an_older_cellpose_model(refused):
    assert "Cellpose 3" in refused(
        {"downsample.down.res_down_0.conv.conv_0.0.weight": torch.ones(2)}
    )


def test_a_network_of_someone_else(refused):
    assert "fits no network" in refused({"layer1.weight": torch.ones(2)})


@pytest.mark.parametrize("content", [[torch.ones(2)], {"stem.weight": 3}, {1: torch.ones(2)}])
def test_no_state_dict(content, refused):
    assert "state dict" in refused(content)


class _Harmful:
    def __reduce__(self):
        return eval, ("__import__('os').environ.update(OPENED='yes')",)


def test_pickled_code_is_not_run(tmp_path, monkeypatch, refused):
    import os

    monkeypatch.delenv("OPENED", raising=False)
    assert "more than weights" in refused({"stem.weight": _Harmful()})
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(_Harmful()))
    with pytest.raises(ModelError):
        read_state(bare)
    assert "OPENED" not in os.environ


@pytest.mark.parametrize("content", [b"", b"no torch file at all", b"PK\x03\x04 nor a zip"])
def test_no_torch_file(tmp_path, content):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.pt"):
        load_model(str(path), gpu=False)


def test_a_file_cut_short(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(COMPACT_WEIGHTS.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cut short"):
        read_state(path)


def test_a_folder(tmp_path):
    with pytest.raises(ModelError):
        load_model(str(tmp_path), gpu=False)
