"""One run at a time in a folder of results.

The lock is the operating system's on an open file, not the file: it goes when its owner ends,
however that ends, so that no run ever waits for a dead one. Over NFS it goes to the server, which
frees it when the owner's machine is gone (with NFS 4 after its lease, usually 90 s).
"""

import errno
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import BusyError, StudyError
from pipelines.files import remove_leftovers
from pipelines.run.layout import Layout

LOCK = ".lock"
_HELD = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


@contextmanager
def only_run(output: Path) -> Iterator[Path]:
    """Keep a folder of results, made if need be, to this run; tidy up after one that was killed.

    A file system without locks gives none: the log then says so, and runs may do work twice, to
    the same tables.

    Args:
        output: the folder.

    Yields:
        Its whole path.

    Raises:
        BusyError: another run is at work there; the message says which.
        StudyError: the folder cannot be written.
    """
    root = output.resolve()
    made = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StudyError(
            f"The output folder {output} cannot be written: {error.strerror}"
        ) from error
    try:
        _lock(file, root)
        os.ftruncate(file, 0)
        os.write(file, _owner().encode())
        _tidy(Layout(root))
        yield root
    except OSError as error:
        raise StudyError(_failed(root, error)) from error
    finally:
        if made and [path.name for path in root.iterdir()] == [LOCK]:
            # A study that is wrong leaves nothing behind.
            (root / LOCK).unlink()
            root.rmdir()
        os.close(file)


def _lock(file: int, root: Path) -> None:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows
        _say_unlocked(root, "this system has no such locks")
    except OSError as error:
        if error.errno in _HELD:
            raise BusyError(
                f"Another run is at work in {root}: {os.pread(file, 200, 0).decode() or 'unknown'}."
                " Let it end, or end it: it goes on where it was."
            ) from error
        _say_unlocked(root, f"its file system has no locks ({error.strerror})")


def _say_unlocked(root: Path, why: str) -> None:
    log = logging.getLogger("senescope")
    log.warning("%s: %s; see that no other run works there", root, why)


def _owner() -> str:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {platform.node()}, started {started}"


def _failed(root: Path, error: OSError) -> str:
    what = f"{error.filename}: " if error.filename else ""
    return (
        f"The run in {root} had to stop: {what}{error.strerror or error}. What is done is kept: "
        "once that is mended, the same command goes on from here."
    )


def _tidy(layout: Layout) -> None:
    """Remove what a killed run was writing; nothing else is at work here while the lock holds."""
    root = layout.root
    folders = [root, *(root / name for name in ("tables", "labels", "qc", "parts"))]
    parts = (root / "parts").iterdir() if (root / "parts").is_dir() else ()
    for folder in (*folders, *parts):
        remove_leftovers(folder)
