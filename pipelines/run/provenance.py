"""What a run was made of: hashes of its inputs, versions, models, machine and times."""

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "senescope",
    "cellpose",
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "polars",
    "pyarrow",
    "tifffile",
    "dask",
    "zarr",
    "ome-zarr",
    "prefect",
)


@dataclass(frozen=True)
class FileStamp:
    """A file's content and the quick signs that it did not change since it was hashed.

    Attributes:
        path: the file, from the folder of the study where it lies below it.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds.
        sha256: hash of the content.
        place: which of the file's images is meant; empty where it holds one.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str
    place: str = ""


def stamp(path: Path, folder: Path, known: Iterable[FileStamp] = (), place: str = "") -> FileStamp:
    """Hash a file, or take the hash from `known` where path, size and time are the same.

    Args:
        path: the file, or the folder that an OME-Zarr image is.
        folder: folder of the study file; the stamp names the file from there.
        known: stamps of an earlier run.
        place: which of the file's images is meant.
    """
    size, mtime_ns = signs_of(path)
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    signs = (name.as_posix(), size, mtime_ns)
    for old in known:
        if (old.path, old.size, old.mtime_ns) == signs:
            return replace(old, place=place)
    return FileStamp(*signs, _sha256(path, size, mtime_ns), place)


def seen_from(root: Path, folder: Path) -> str:
    """The way to a folder from another; empty where there is none, as between two drives."""
    try:
        return Path(os.path.relpath(folder.resolve(), root.resolve())).as_posix()
    except ValueError:
        return ""


def signs_of(path: Path) -> tuple[int, int]:
    """Size and time of the last change of a file, or of all files of a folder."""
    found = [file.stat() for file in (_files(path) if path.is_dir() else [path])]
    return sum(s.st_size for s in found), max((s.st_mtime_ns for s in found), default=0)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    """The hash, once for the many images that one file may hold."""
    return file_sha256(path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, or of the names and contents of a folder's, in hexadecimal."""
    if path.is_dir():
        files = [(f.relative_to(path).as_posix(), file_sha256(f)) for f in _files(path)]
        return fingerprint(files)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*parts: object) -> str:
    """SHA-256 of anything that JSON can hold, independent of the order of keys."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Installed versions of senescope and of what its numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, str]:
    """Operating system, processor and core count; no name of the machine or of its user."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
    }
