"""From a path to an ImageInfo, without reading a pixel."""

from pathlib import Path

from pipelines.errors import ImageError
from pipelines.images import raster, tiff
from pipelines.images.info import ImageInfo, check_plausible, image_errors

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_VENDOR_SUFFIXES = {".czi", ".lif", ".nd2", ".oir", ".oib", ".vsi", ".mrxs", ".ims"}


def inspect(path: Path) -> ImageInfo:
    """Read the header of an image file.

    The format is told by the first bytes of the file, not by its name: TIFF (plain, ImageJ, OME,
    BigTIFF, Aperio), PNG, JPEG and BMP.

    Args:
        path: The file.

    Returns:
        What the header says; see ImageInfo.

    Raises:
        ImageError: The file is missing, empty, no image, corrupt, or has axes or pixels that the
            program cannot use.
    """
    path = Path(path)
    start = _first_bytes(path)
    with image_errors(path, "reading the header"):
        if start.startswith(_TIFF_STARTS):
            info = tiff.read_header(path)
        elif start.startswith(raster.STARTS):
            info = raster.read_header(path)
        else:
            raise ImageError(_not_an_image(path))
        check_plausible(info)
    return info


def is_tiff(path: Path) -> bool:
    """Whether the file starts as a TIFF does.

    Raises:
        ImageError: The file cannot be opened or is empty.
    """
    return _first_bytes(path).startswith(_TIFF_STARTS)


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"{path}: a folder was given where an image file is expected")
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
    if path.suffix.lower() in _VENDOR_SUFFIXES:
        return (
            f"{path}: {path.suffix} files are not read; export it as OME-TIFF (in Fiji: "
            "Bio-Formats Exporter)"
        )
    return f"{path}: not an image that can be read; TIFF, OME-TIFF, PNG, JPEG or BMP is expected"
