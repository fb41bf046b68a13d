"""Writing files and folders so that a reader finds the old or the new one, never half of one."""

import filecmp
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOM = re.compile(r"\..+\.[a-z0-9_]{8}")  # as `replacing` names them


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to, and put what was written there in its stead.

    A file replaces a file in one step; one with the same content is left untouched, so that its
    time tells when it changed. A folder that exists is set aside first, and put back if
    the new one cannot take its place. Nothing is changed where the block raises.

    Args:
        path: The file or folder to write; its parent folder is made where it is missing.

    Yields:
        A path of the same name in a hidden folder beside `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        new, old = room / path.name, room / "replaced"
        yield new
        if not path.is_dir():
            if not (path.is_file() and filecmp.cmp(new, path, shallow=False)):
                os.replace(new, path)
            return
        path.rename(old)
        try:
            new.rename(path)
        except OSError:
            old.rename(path)
            raise
    finally:
        shutil.rmtree(room, ignore_errors=True)


def put_folder(new: Path, path: Path) -> None:
    """Put a finished folder in the place of an older one; both on one disk.

    Args:
        new: the folder.
        path: where it belongs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    old = new.with_name(f"{new.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if path.is_dir():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what `replacing` left in a folder when its process was killed.

    Only where nothing else writes there.
    """
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        rooms = [e.path for e in entries if _ROOM.fullmatch(e.name) and e.is_dir()]
    for room in rooms:
        shutil.rmtree(room, ignore_errors=True)
