"""Names and files of the models, without torch."""

import hashlib
import importlib.util
import subprocess
import sys

import pytest

from segmentation.catalogue import (
    COMPACT_WEIGHTS,
    STOCK,
    ModelError,
    known_model_names,
    models_directory,
    weights_file,
    weights_sha256,
)


def test_names_are_cellposes_own_and_compact():
    from segmentation.engine import models

    assert set(STOCK) == set(models.MODEL_NAMES)
    assert known_model_names() == ("compact", *STOCK)


@pytest.mark.parametrize("named", [None, "/somewhere/else"])
def test_directory_is_where_cellpose_looks(monkeypatch, named):
    import segmentation.engine  # noqa: F401  (makes the second import below a quick one)

    monkeypatch.delenv("CELLPOSE_LOCAL_MODELS_PATH", raising=False)
    if named:
        monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", named)
    spec = importlib.util.find_spec("cellpose.models")
    afresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(afresh)
    assert models_directory() == afresh.MODEL_DIR


def test_needs_no_torch():
    code = (
        "import sys, segmentation.catalogue as c; c.weights_file('compact');"
        "assert not {'torch', 'cellpose', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compact_is_shipped():
    assert weights_file("compact") == COMPACT_WEIGHTS
    assert COMPACT_WEIGHTS.stat().st_size > 9e6


def test_stock_weights_are_found_where_they_lie_and_only_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cpsam_v2").write_bytes(b"a file of that name elsewhere")
    assert weights_file("cpsam_v2") is None
    models_directory().mkdir()
    (models_directory() / "cpsam_v2").write_bytes(b"x")
    assert weights_file("cpsam_v2") == tmp_path / "models" / "cpsam_v2"


def test_a_path_is_a_model(tmp_path):
    mine = tmp_path / "mine.pt"
    mine.write_bytes(b"abc")
    assert weights_file(str(mine)) == mine
    assert weights_sha256(mine) == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("cpsam_v3", "cpsam_v2"), ("Compact", "compact"), ("cp-dino", "cpdino")]
)
def test_an_unknown_name_lists_the_known_and_the_nearest(wrong, nearest):
    with pytest.raises(ModelError, match=f"Did you mean '{nearest}'") as error:
        weights_file(wrong)
    assert all(name in str(error.value) for name in known_model_names())


def test_a_name_like_no_other_gets_no_guess():
    with pytest.raises(ModelError) as error:
        weights_file("/no/such/file.pt")
    assert "Did you mean" not in str(error.value)
