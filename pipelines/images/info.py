"""What a header says about an image, and the checks that hold for every format."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from pipelines.errors import ImageError, MismatchError

MAX_PLANE_PIXELS = 2**36
"""A plane of 262,144 x 262,144 pixels: no scanner makes a larger one, a broken header does."""

MAX_EXPANSION = 100_000
"""Bytes of an image that one byte of its file may stand for; blank ones reach 30,000 with zstd."""

MAX_PIECE_PIXELS = 2**30
"""Pixels that are stored as one compressed piece, all of which must be in memory at once."""

LOSSY = "JPEG compression loses detail and shifts intensities; keep the original file"
"""What the warnings of a file that holds JPEG say."""

_SETTINGS_ONLY = (".oif", ".vsi")


class NoSceneError(MismatchError):
    """A scene was asked for that the file does not have."""


@dataclass(frozen=True)
class ImageInfo:
    """The header of one image file.

    Attributes:
        path: The file.
        axes: One letter a dimension of `shape`: T time, C channel, Z depth, Y, X, S the samples of
            an RGB pixel. Dimensions of length one are left out, and so is an alpha sample.
        shape: Length of each axis in pixels, planes or channels.
        dtype: NumPy name of the pixel type, in native byte order.
        n_channels: Channels that can be asked for by index; 3 where the image is RGB.
        n_z: Planes of the stack, 1 where there is none.
        channel_names: Names that the file gives its channels, empty where it gives none.
        is_rgb: Whether red, green and blue make one picture.
        pixel_size_um: Side of a pixel in µm, None where the file does not say.
        z_step_um: Distance between planes in µm, None where the file does not say.
        warnings: Sentences for the report.
        block: Rows and columns that are stored together (a tile, a strip), so read at once.
        scene: Which of the file's scenes (positions, series, wells) this is, counted from 0.
        scene_names: One name a scene of the file; empty where the file is one image without a name.
        n_t: Time points.
        t_step_s: Seconds between time points, None where the file does not say.
    """

    path: Path
    axes: str
    shape: tuple[int, ...]
    dtype: str
    n_channels: int
    n_z: int
    channel_names: tuple[str, ...]
    is_rgb: bool
    pixel_size_um: float | None
    z_step_um: float | None
    warnings: tuple[str, ...]
    block: tuple[int, int]
    scene: int = 0
    scene_names: tuple[str, ...] = ()
    n_t: int = 1
    t_step_s: float | None = None

    @property
    def n_scenes(self) -> int:
        """Scenes in the file."""
        return max(1, len(self.scene_names))

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns of one plane."""
        return self.shape[self.axes.index("Y")], self.shape[self.axes.index("X")]


def axes_of(lengths: Mapping[str, int], *, is_rgb: bool) -> tuple[str, tuple[int, ...]]:
    """Axes and shape as `ImageInfo` has them, without dimensions of length one.

    Args:
        lengths: Length of each dimension by its letter, slowest first.
        is_rgb: Whether each pixel has three samples, which are then the last axis.
    """
    kept = {axis: n for axis, n in lengths.items() if n != 1 or axis in "YX"}
    if is_rgb:
        kept["S"] = 3
    return "".join(kept), tuple(kept.values())


def check_plausible(info: ImageInfo) -> None:
    """Refuse a header that no real image has.

    Raises:
        ImageError: An empty or absurdly large plane, one far larger than its file can hold, or
            pixels that are not real numbers.
    """
    if 0 in info.shape:
        raise ImageError(f"{info.path}: the header announces an image without pixels, {info.shape}")
    if np.dtype(info.dtype).kind not in "buif":
        raise ImageError(
            f"{info.path}: pixels of type {info.dtype}; whole or real numbers are expected"
        )
    rows, columns = info.plane_shape
    if info.block[0] * info.block[1] > MAX_PIECE_PIXELS:
        raise ImageError(
            f"{info.path}: {info.block[0]} x {info.block[1]} pixels are stored as one piece, which "
            "no memory should have to hold; save it as tiled TIFF"
        )
    if info.path.is_dir() or info.path.suffix.lower() in _SETTINGS_ONLY:
        stored = MAX_PLANE_PIXELS  # the pixels lie in files of their own
    else:
        stored = info.path.stat().st_size
    announced = prod(info.shape) * np.dtype(info.dtype).itemsize
    if rows * columns > MAX_PLANE_PIXELS or announced > stored * MAX_EXPANSION:
        raise ImageError(
            f"{info.path}: the header announces {rows} x {columns} pixels a plane, {announced:,} "
            f"bytes in all, but the file has {stored:,} bytes: it is corrupt or incomplete; copy "
            "or export it again"
        )


@contextmanager
def image_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn whatever a library raises on a bad file into an ImageError that names the file.

    Args:
        path: The file being read.
        doing: What failed, as in "reading the header".

    Raises:
        ImageError: In place of any other exception of the block.
    """
    try:
        yield
    except ImageError:
        raise
    # A corrupt file makes the decoders raise nearly anything: struct.error, KeyError, MemoryError.
    except Exception as error:
        raise ImageError(
            f"{path}: {doing} failed, the file is corrupt, incomplete or of a kind that cannot be "
            f"read ({type(error).__name__}: {str(error) or 'no details'})"
        ) from error
