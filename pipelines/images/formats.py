"""The formats of microscopes' makers: how each is told, and which extra of senescope reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from numpy.typing import NDArray

from pipelines.errors import ImageError

if TYPE_CHECKING:
    from pipelines.images.info import ImageInfo
    from pipelines.images.source import Box, Source

ZARR_FILES = ("zarr.json", ".zattrs", ".zgroup")
"""What makes a folder a Zarr group, version 3 or 2."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Reader(Protocol):
    """What a format's module offers."""

    def read_header(self, path: Path, scene: int) -> ImageInfo:
        """Header of one scene, counted from 0."""

    def read_planes(
        self, source: Source, depths: Sequence[int], box: Box
    ) -> Iterator[NDArray[Any]]:
        """Regions (y, x), or (y, x, 3), of some planes along z; see `reader.read_planes`."""


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: As its users call it.
        suffixes: Endings of its files' names, lower case.
        starts: What its files start with.
        module: That reads it.
        extra: Of senescope, that installs what the module needs; empty where nothing is.
        package: That the extra installs, as it is imported.
    """

    name: str
    suffixes: tuple[str, ...]
    starts: tuple[bytes, ...]
    module: str
    extra: str
    package: str


OME_ZARR = Format("OME-Zarr", (".zarr",), (), "pipelines.images.ngff", "", "zarr")
VENDORS = (
    Format(
        "Zeiss CZI", (".czi",), (b"ZISRAWFILE",), "pipelines.images.vendor.czi", "czi", "pylibCZIrw"
    ),
    Format(
        "Nikon ND2",
        (".nd2",),
        (b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP"),
        "pipelines.images.vendor.nikon",
        "nd2",
        "nd2",
    ),
    Format("Leica LIF", (".lif",), (b"p\0\0\0",), "pipelines.images.vendor.lif", "lif", "liffile"),
    Format(
        "Olympus OIB and OIF",
        (".oib", ".oif"),
        (b"\xd0\xcf\x11\xe0", b"\xff\xfe[\0", b"["),
        "pipelines.images.vendor.oif",
        "oib",
        "oiffile",
    ),
    Format(
        "Olympus OIR",
        (".oir",),
        (b"OLYMPUSRAWFORMAT",),
        "pipelines.images.vendor.oir",
        "oir",
        "openreadout",
    ),
    Format("Olympus VSI", (".vsi",), _TIFF, "pipelines.images.vendor.vsi", "vsi", "slideio"),
)
"""Read by packages that are extras of senescope; docs/formats.md says why by these."""

UNREAD = {".mrxs", ".ims", ".zvi", ".lsm5", ".sld", ".stk"}
"""Endings of formats that are known and not read."""


def is_zarr(path: Path) -> bool:
    """Whether a path is a Zarr folder, as an OME-Zarr image or plate is."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR_FILES)


def format_of(path: Path, start: bytes) -> Format | None:
    """The maker's format of a file; None where it is of no such format.

    Args:
        path: The file, whose ending is needed as well: a VSI file starts as TIFF does.
        start: Its first bytes.
    """
    if is_zarr(path):
        return OME_ZARR
    ending = path.suffix.lower()
    return next((f for f in VENDORS if ending in f.suffixes and start.startswith(f.starts)), None)


def reader_for(path: Path, found: Format) -> Reader:
    """Import the module that reads a format.

    Raises:
        ImageError: The package that reads it is not installed; says how to install it.
    """
    if find_spec(found.package) is None:
        raise ImageError(
            f"{path}: {found.name} files are read with the package {found.package}, which is not "
            f"installed: `pip install 'senescope[{found.extra}]'`, or `uv sync --extra "
            f"{found.extra}` in a copy of the repository; or export the image as OME-TIFF"
        )
    return cast(Reader, import_module(found.module))


def companions(path: Path) -> list[Path]:
    """Files of pixels that belong to a file (OIF, VSI, a large OIR), in a fixed order."""
    if path.suffix.lower() == ".oir":
        following = (path.with_name(f"{path.stem}_{number:05}") for number in count(1))
        return list(takewhile(Path.is_file, following))
    folders = {".oif": f"{path.name}.files", ".vsi": f"_{path.stem}_"}
    name = folders.get(path.suffix.lower())
    if name is None or not (path.parent / name).is_dir():
        return []
    return sorted(p for p in (path.parent / name).rglob("*") if p.is_file())
