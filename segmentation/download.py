"""Fetching Cellpose's own weights, where they are not on this machine yet.

Cellpose's own download turns certificate checks off for the whole process, takes a connection that
breaks for the end of the file, and keeps what it got. This one does none of it: a file appears
under its name once it is complete and its weights have been checked.
"""

import logging
import shutil
import tempfile
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from segmentation.catalogue import ModelError, models_directory
from segmentation.engine import models
from segmentation.state import architecture, check_state, read_state

_log = logging.getLogger(__name__)
_SILENCE_S = 30.0


def download_stock(name: str) -> Path:
    """Download one of Cellpose's models into Cellpose's own models folder.

    Args:
        name: one of `segmentation.catalogue.STOCK`.

    Returns:
        The complete, checked file.

    Raises:
        ModelError: it cannot be had, or is not the model; no other model is tried.
    """
    url = f"{models._MODEL_URL}{name}"
    target = models_directory() / name
    _log.info("downloading %s to %s", url, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as folder:
            partial = Path(folder) / name
            retrieve(url, partial)
            state = read_state(partial)
            check_state(state, architecture(state, partial), partial, spare_keys=True)
            del state  # it maps the file, which must be free to move
            partial.replace(target)
    except (OSError, HTTPException, ModelError) as error:
        raise ModelError(
            f"The weights of {name} are not on this machine and could not be downloaded from "
            f"{url}: {error}. Without a network, put the file there by hand as {target}, or set "
            f"CELLPOSE_LOCAL_MODELS_PATH to the folder that holds it, or use the model compact, "
            f"which needs no download."
        ) from error
    return target


def retrieve(url: str, path: Path) -> None:
    """Copy what lies at a URL into a file.

    Raises:
        OSError: the address cannot be reached, or the connection ended before the file did.
    """
    with urllib.request.urlopen(url, timeout=_SILENCE_S) as answer, path.open("wb") as file:
        shutil.copyfileobj(answer, file, length=1 << 20)
        announced = answer.headers.get("Content-Length")
    size = path.stat().st_size
    if announced is not None and size != int(announced):
        raise OSError(f"{size} of {announced} bytes arrived")
