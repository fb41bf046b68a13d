"""Writing a field as OME-TIFF, the file that every microscope program reads."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.files import replacing


def write_image(
    path: Path,
    pixels: NDArray[Any],
    channel_names: Sequence[str] = (),
    pixel_size_um: float | None = None,
) -> None:
    """Write one field as OME-TIFF, zlib-compressed; the same pixels give the same bytes.

    Args:
        path: The file to write, by convention NAME.ome.tif; an older one is replaced in one step.
        pixels: (channel, y, x) with one name a channel, or an RGB picture (y, x, 3) without names.
        channel_names: The names of the channels; none for an RGB picture.
        pixel_size_um: Side of a pixel in µm, None to leave it out.

    Raises:
        ImageError: The names do not fit the pixels.
    """
    import tifffile

    is_rgb = not channel_names and pixels.ndim == 3 and pixels.shape[2] == 3
    if not is_rgb and (pixels.ndim != 3 or len(channel_names) != len(pixels)):
        raise ImageError(
            f"{path}: one name a channel of (channel, y, x), or no names and (y, x, 3), is "
            f"expected; given {len(channel_names)} names and {pixels.shape}"
        )
    with replacing(path) as place:
        tifffile.imwrite(
            place,
            pixels,
            ome=True,
            photometric="rgb" if is_rgb else "minisblack",
            compression="zlib",
            metadata=_metadata(pixels, channel_names, pixel_size_um),
            software="senescope",
        )


def _metadata(
    pixels: NDArray[Any], channel_names: Sequence[str], pixel_size_um: float | None
) -> dict[str, Any]:
    """OME attributes; the file's identifier comes from its content, not from clock and machine."""
    about = f"{tuple(channel_names)}{pixel_size_um}{pixels.shape}{pixels.dtype}".encode()
    content = sha256(about + np.ascontiguousarray(pixels).tobytes()).digest()
    metadata: dict[str, Any] = {
        "axes": "CYX" if channel_names else "YXS",
        "Creator": "senescope",
        "UUID": str(UUID(bytes=content[:16], version=5)),
    }
    if channel_names:
        metadata["Channel"] = {"Name": list(channel_names)}
    if pixel_size_um is not None:
        metadata |= {"PhysicalSizeX": pixel_size_um, "PhysicalSizeY": pixel_size_um}
    return metadata
