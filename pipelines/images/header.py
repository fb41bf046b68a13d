"""From a path to an ImageInfo, without reading a pixel."""

from pathlib import Path

from pipelines.errors import ImageError
from pipelines.images import formats, raster, tiff
from pipelines.images.info import ImageInfo, NoSceneError, check_plausible, image_errors

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

MOST_SCENES = 100
"""How many scenes are tried before a file is given up; the first that can be used lists them."""


def inspect(path: Path, scene: int = 0) -> ImageInfo:
    """Read the header of an image file, or of one of the scenes that it holds.

    The format is told by the first bytes of the file, not by its name: TIFF (plain, ImageJ, OME,
    BigTIFF, Aperio), PNG, JPEG and BMP; those of microscopes' makers by both. A folder is read as
    OME-Zarr, an image or a plate.

    Args:
        path: The file.
        scene: Counted from 0; see `ImageInfo.scene_names`.

    Returns:
        What the header says; see ImageInfo.

    Raises:
        ImageError: The file is missing, empty, no image, corrupt, or has axes or pixels that the
            program cannot use; or the package that reads it is not installed.
    """
    path = Path(path)
    start = b"" if formats.is_zarr(path) else _first_bytes(path)
    found = formats.format_of(path, start)
    with image_errors(path, "reading the header"):
        if found is not None:
            info = formats.reader_for(path, found).read_header(path, scene)
        elif start.startswith(_TIFF_STARTS):
            info = tiff.read_header(path, scene)
        elif start.startswith(raster.STARTS):
            info = raster.read_header(path)
        else:
            raise ImageError(_not_an_image(path))
        if scene >= info.n_scenes:
            raise NoSceneError(f"{path}: there is no scene {scene}; the file has {info.n_scenes}")
        check_plausible(info)
    return info


def scene_names(path: Path) -> tuple[str, ...]:
    """Names of the scenes that a file holds; empty where it is one image without a name.

    A scene that cannot be used (a sweep, a section) does not hide the others.

    Raises:
        ImageError: No scene of the file can be used.
    """
    first: ImageError | None = None
    for scene in range(MOST_SCENES):
        try:
            return inspect(path, scene).scene_names
        except ImageError as error:
            if first is not None and isinstance(error, NoSceneError):
                raise first from None
            first = first or error
    raise first or NoSceneError(f"{path}: it holds no scene")


def scene_number(path: Path, wanted: str) -> int:
    """Where a scene stands in its file, from 0.

    Args:
        path: the file.
        wanted: the scene's name, or its number from 0.

    Raises:
        ImageError: No scene has that name.
    """
    names = scene_names(path)
    if wanted in names:
        return names.index(wanted)
    if wanted.isdigit():
        return int(wanted)
    raise NoSceneError(f"{path}: there is no scene {wanted!r}; it has {', '.join(names) or 'one'}")


def is_tiff(path: Path) -> bool:
    """Whether the file starts as a TIFF does (one of VSI settings does too, and is none).

    Raises:
        ImageError: The file cannot be opened or is empty.
    """
    if formats.is_zarr(path):
        return False
    start = _first_bytes(path)
    return start.startswith(_TIFF_STARTS) and formats.format_of(path, start) is None


def vendor_reader(path: Path) -> formats.Reader | None:
    """The module that reads a maker's file or OME-Zarr; None for TIFF and plain pictures.

    Raises:
        ImageError: The file cannot be opened, or what reads it is not installed.
    """
    start = b"" if formats.is_zarr(path) else _first_bytes(path)
    found = formats.format_of(path, start)
    return None if found is None else formats.reader_for(path, found)


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(
            f"{path}: a folder was given where an image file, or an OME-Zarr folder, is expected"
        )
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: the file cannot be opened ({error})") from error
    if not start:
        raise ImageError(f"{path}: the file is empty (0 bytes); copy or export it again")
    return start


def _not_an_image(path: Path) -> str:
    ending = path.suffix.lower()
    if any(ending in f.suffixes for f in formats.VENDORS):
        return (
            f"{path}: it is named {path.suffix}, but does not start as such a file does: it is "
            "corrupt, incomplete or renamed; copy it from the microscope again"
        )
    if ending in formats.UNREAD:
        return (
            f"{path}: {path.suffix} files are not read; export it as OME-TIFF (in Fiji: "
            "Bio-Formats Exporter)"
        )
    return (
        f"{path}: not an image that can be read; TIFF, OME-TIFF, OME-Zarr, PNG, JPEG, BMP, or a "
        "microscope's CZI, ND2, LIF, OIB, OIF, OIR or VSI, is expected"
    )
