"""The import of Cellpose: quick, and without a trace in the modules that it put off."""

import subprocess
import sys
import types

import pytest

from segmentation.engine import COMPILER, _StandIn, compiler_put_off, unavailable


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loads_neither_the_compiler_nor_pyplot():
    out = _run(
        """
import sys
import segmentation.engine
print([m for m in sys.modules if m.startswith(("torch._dynamo", "matplotlib.pyplot", "qtpy"))])
import torch
from torchvision.ops import roi_align
image, box = torch.arange(16.).reshape(1, 1, 4, 4), torch.tensor([[0., 0., 0., 4., 4.]])
print(roi_align(image, box, (1, 1), sampling_ratio=2, aligned=True).item())
import matplotlib.pyplot
"""
    ).splitlines()
    assert out[0] == "[]"
    assert float(out[1]) == 7.5  # the mean of 0 to 15


@pytest.mark.slow
def test_the_compiler_is_there_when_it_is_wanted():
    out = _run(
        """
import sys
import segmentation.engine
import torchvision.ops.roi_align
stood_in = getattr(sys.modules["torchvision.ops.roi_align"], "is_compile_supported", None)
first = stood_in and stood_in("cpu")
import torch._dynamo
real = torch._dynamo.utils.is_compile_supported
print(type(torch._dynamo.utils).__name__, first in (None, real("cpu")))
"""
    ).split()
    assert out == ["module", "True"]


def test_does_nothing_where_the_compiler_is_loaded(monkeypatch):
    real = types.ModuleType(COMPILER)
    monkeypatch.setitem(sys.modules, COMPILER, real)
    with compiler_put_off():
        assert sys.modules[COMPILER] is real
    assert sys.modules[COMPILER] is real


def test_another_name_brings_the_real_module(monkeypatch):
    real = types.ModuleType("real")
    real.something_else = 7
    monkeypatch.setattr("importlib.import_module", lambda name: real)
    assert _StandIn("a.module").something_else == 7


def test_the_stand_in_goes_even_after_an_error(monkeypatch):
    monkeypatch.delitem(sys.modules, COMPILER, raising=False)

    def fail():
        assert isinstance(sys.modules[COMPILER], _StandIn)
        raise RuntimeError

    with pytest.raises(RuntimeError), compiler_put_off():
        fail()
    assert COMPILER not in sys.modules


def test_modules_are_unavailable_to_the_importing_thread_alone(tmp_path, monkeypatch):
    (tmp_path / "put_off_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with unavailable(frozenset({"put_off_module"})):
        with pytest.raises(ModuleNotFoundError):
            import put_off_module
        import threading

        seen = []
        other = threading.Thread(target=lambda: seen.append(__import__("put_off_module")))
        other.start()
        other.join()
    assert len(seen) == 1
    import put_off_module

    assert put_off_module is seen[0]
