"""Where the pixels of one channel are."""

from dataclasses import dataclass

from pipelines.images.info import ImageInfo

Box = tuple[slice, slice]
"""Rows and columns of a plane."""


@dataclass(frozen=True)
class Source:
    """One channel of one scene and time point of one file.

    Attributes:
        info: The header of the file's scene.
        channel: Index of the channel, None for the RGB picture as a whole.
        time: Index of the time point.
    """

    info: ImageInfo
    channel: int | None
    time: int = 0
