"""PNG, JPEG and BMP: one plane, grey or RGB, without a pixel size."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.images.info import LOSSY, ImageInfo

_PNG = b"\x89PNG\r\n\x1a\n"
STARTS = (_PNG, b"\xff\xd8\xff", b"BM")
"""First bytes of the formats that this module reads."""


class _Mode(NamedTuple):
    """How a Pillow mode is read: pixel type, whether it is RGB, the mode it is converted to."""

    dtype: str
    is_rgb: bool
    convert: str | None = None


_MODES = {
    "1": _Mode("bool", False),
    "L": _Mode("uint8", False),
    "LA": _Mode("uint8", False, "L"),
    "I;16": _Mode("uint16", False),
    "I;16B": _Mode("uint16", False),
    "I": _Mode("int32", False),
    "F": _Mode("float32", False),
    "P": _Mode("uint8", True, "RGB"),
    "RGB": _Mode("uint8", True),
    "RGBA": _Mode("uint8", True),
}


def read_header(path: Path) -> ImageInfo:
    """Header of a PNG, JPEG or BMP file.

    Raises:
        ImageError: The colours are of a kind that cannot be read (CMYK for example).
    """
    from PIL import Image

    with Image.open(path, formats=("PNG", "JPEG", "BMP")) as image:
        mode, (columns, rows), kind = image.mode, image.size, str(image.format)
    if mode not in _MODES:
        raise ImageError(f"{path}: {kind} with colours of kind {mode}; save it as grey or RGB")
    dtype, is_rgb, _ = _MODES[mode]
    if _png_depth(path) == 16:
        dtype = "uint16"
    return ImageInfo(
        path=path,
        axes="YXS" if is_rgb else "YX",
        shape=(rows, columns, 3) if is_rgb else (rows, columns),
        dtype=dtype,
        n_channels=3 if is_rgb else 1,
        n_z=1,
        channel_names=(),
        is_rgb=is_rgb,
        pixel_size_um=None,
        z_step_um=None,
        warnings=_warnings(kind, mode),
        block=(rows, columns),
    )


def read_pixels(path: Path) -> NDArray[Any]:
    """All pixels of a PNG, JPEG or BMP file.

    Returns:
        (y, x) or (y, x, 3), in the type that `read_header` announces; alpha is dropped.
    """
    if _png_depth(path) == 16:
        # Pillow cuts 16-bit colour PNG down to 8 bits without a word.
        from imagecodecs import png_decode

        pixels = np.asarray(png_decode(path.read_bytes()))
        if pixels.ndim == 2:
            return pixels
        return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return _read_with_pillow(path)


def has_stored_integers(path: Path) -> bool:
    """Whether the grey values of the file are stored one by one, as a label image needs them.

    A palette, and PNG of fewer than 8 bits, whose values are stretched to 0-255, are not.
    """
    from PIL import Image

    with Image.open(path, formats=("PNG", "BMP")) as image:
        return image.mode in {"L", "I", "I;16", "I;16B"} and _png_depth(path) in {None, 8, 16}


def _read_with_pillow(path: Path) -> NDArray[Any]:
    from PIL import Image

    with Image.open(path, formats=("PNG", "JPEG", "BMP")) as image:
        convert = _MODES[image.mode].convert
        pixels = np.array(image if convert is None else image.convert(convert))
    return pixels[..., :3] if pixels.ndim == 3 else pixels


def _png_depth(path: Path) -> int | None:
    """Bits a sample, from byte 24 of a PNG file (its IHDR chunk always comes first)."""
    with path.open("rb") as file:
        start = file.read(25)
    return start[24] if start.startswith(_PNG) and len(start) == 25 else None


def _warnings(kind: str, mode: str) -> tuple[str, ...]:
    found = []
    if kind == "JPEG":
        found.append(LOSSY)
    if mode == "P":
        found.append("the colours come from a palette; they were expanded to RGB")
    return tuple(found)
