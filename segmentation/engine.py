"""Cellpose, imported in a third of its usual time.

`import cellpose.models` spends most of its time on modules that segmenting never calls:

* torchvision takes one function from ``torch._dynamo.utils``, which loads torch's compiler and
  sympy. A stand-in holds that one name here and imports the real module at its first use.
* Cellpose tries matplotlib and Qt for its own figures and windows and goes on without them.

Both are put off for the thread that runs this import, and nothing stays behind: the compiler,
matplotlib and Qt can be imported as ever afterwards, by this thread and at any time by others.
Import Cellpose through this module alone: ``from segmentation.engine import transforms``.
"""

import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch

COMPILER = "torch._dynamo.utils"
NEVER_SHOWN = frozenset({"matplotlib", "matplotlib.pyplot", "qtpy"})


class _StandIn(ModuleType):
    """Answers for a module that is imported when a name other than the known ones is asked for."""

    def is_compile_supported(self, device_type: str) -> bool:
        """Ask torch's compiler, loading it now, whether it supports `device_type`."""
        return bool(self._real().is_compile_supported(device_type))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # the import system's own questions
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


class _Unavailable(MetaPathFinder):
    """Makes modules look uninstalled to the thread that made this finder, and to no other."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._thread = threading.get_ident()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Refuse the named modules, leave all others to the next finder."""
        if fullname in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is put off", name=fullname)
        return None


@contextmanager
def compiler_put_off() -> Iterator[None]:
    """Put off torch's compiler: inside, importing torchvision does not load it.

    Does nothing where the compiler is loaded already.
    """
    if COMPILER in sys.modules:
        yield
        return
    stand_in = _StandIn(COMPILER)
    sys.modules[COMPILER] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(COMPILER) is stand_in:
            del sys.modules[COMPILER]


@contextmanager
def unavailable(names: frozenset[str]) -> Iterator[None]:
    """Make modules that are not loaded yet look uninstalled to this thread."""
    finder = _Unavailable(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with compiler_put_off(), unavailable(NEVER_SHOWN):
    from cellpose import models, transforms, vit

# Torch's default, said aloud: otherwise every process warns at Cellpose's first sparse tensor.
torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]

__all__ = ["models", "transforms", "vit"]
