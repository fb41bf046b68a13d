"""Which files are whole, and which are still being written."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pipelines.run.provenance import signs_of
from pipelines.study.watching import Watch

Signs = tuple[int, int, int]
"""Size in bytes, time of the last change in ns (of all files of a folder, as OME-Zarr is one), and
inode, which a file renamed into the place of another does not share with it."""


def settled(
    paths: Iterable[Path], watch: Watch, sleep: Callable[[float], None] = time.sleep
) -> dict[Path, Signs]:
    """The files that did not change between two looks, and that have their sidecar.

    Two looks of this process are compared, never a file's time with a clock: the clocks of a file
    server, a microscope and this machine need not agree, and may be set.

    Args:
        paths: files that are new.
        watch: how long to wait between the looks, and the ending of sidecars.
        sleep: waits so many seconds.

    Returns:
        Their signs; the others are left out.
    """
    announced = [path for path in paths if watch.sidecar is None or _sidecar(path, watch.sidecar)]
    before = {path: signs(path) for path in announced}
    if not before:
        return {}
    sleep(watch.settle_s)
    return {path: now for path, old in before.items() if (now := signs(path)) == old and now}


def signs(path: Path) -> Signs | None:
    """What tells that a file changed; None where it cannot be looked at."""
    try:
        return *signs_of(path), path.stat().st_ino
    except OSError:
        return None


def _sidecar(path: Path, ending: str) -> bool:
    return path.with_name(path.name + ending).is_file()
