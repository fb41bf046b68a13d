"""Which models there are and where their weights lie, known without importing torch.

A study is checked, and a run's provenance written, before anything heavy is loaded: so the names,
the files and their hashes live here, and `segmentation.models` loads what this module finds.
"""

import difflib
import hashlib
import os
from pathlib import Path

COMPACT = "compact"
COMPACT_WEIGHTS = Path(__file__).parent / "weights" / "compact.pt"
# As in cellpose.models.MODEL_NAMES of 4.2.1; a test compares the two.
STOCK = ("cpsam_v2", "cpdino", "cpdino-vitb", "cpsam")
_DIRECTORY_VARIABLE = "CELLPOSE_LOCAL_MODELS_PATH"


class ModelError(ValueError):
    """A model that does not exist, cannot be had or is not what its name says."""


def known_model_names() -> tuple[str, ...]:
    """Names that `segmentation.models.load_model` takes beside the path of a weights file."""
    return (COMPACT, *STOCK)


def models_directory() -> Path:
    """The folder where Cellpose keeps downloaded weights, under the name of each model."""
    named = os.environ.get(_DIRECTORY_VARIABLE)
    return Path(named) if named else Path.home() / ".cellpose" / "models"


def weights_file(name: str) -> Path | None:
    """Find the weights of a model on this machine.

    Args:
        name: ``compact``, one of Cellpose's own names, or the path of a weights file. A known
            name wins over a file of the same name in the working directory.

    Returns:
        The file, or None for one of Cellpose's own models that has not been downloaded yet.

    Raises:
        ModelError: `name` is neither a known name nor an existing file.
    """
    if name == COMPACT:
        return COMPACT_WEIGHTS
    if name in STOCK:
        stock = models_directory() / name
        return stock if stock.is_file() else None
    path = Path(name).expanduser()
    if not path.is_file():
        raise ModelError(_unknown(name))
    return path


def weights_sha256(path: Path) -> str:
    """SHA-256 of a weights file, in hexadecimal: what a run's provenance names a model by."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name.lower(), known_model_names(), n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    names = ", ".join(known_model_names())
    return (
        f"There is no model {name!r}, and no file of that path.{hint} "
        f"Give one of {names}, or the path of a weights file."
    )
