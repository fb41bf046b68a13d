"""The pixels of one image in memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.images import Field
from pipelines.study import Study

Grey = NDArray[np.generic]


@dataclass(frozen=True)
class Pixels:
    """An image in memory.

    Attributes:
        image_id: the image.
        planes: channel -> (y, x) pixels as the file has them; a brightfield image by the mean of
            its colours.
        rgb: (y, x, 3), where the image is brightfield.
        pixel_size_um: edge of a pixel; None where unknown.
        warnings: what reading it brought up.
    """

    image_id: str
    planes: Mapping[str, Grey]
    rgb: Grey | None
    pixel_size_um: float | None
    warnings: tuple[str, ...]


def read_pixels(field: Field, study: Study) -> Pixels:
    """Read every channel of a field.

    Raises:
        ImageError: the file cannot be read, or a channel to segment holds one value only.
    """
    planes = {name: field.plane(name) for name in field.sources}
    rgb = planes.get(field.picture) if field.picture is not None else None
    if field.picture is not None and rgb is not None:
        planes[field.picture] = rgb_to_grey(rgb)
    for _, settings in study.cellpose_settings():
        plane = planes[settings.channel]
        if plane.min() == plane.max():
            raise ImageError(
                f"channel {settings.channel} has the value {plane.flat[0]} in every pixel: "
                "there is nothing to segment; check the exposure or the channel's number"
            )
    return Pixels(field.image_id, planes, rgb, field.pixel_size_um, field.warnings)


def rgb_to_grey(rgb: NDArray[np.generic]) -> NDArray[np.float32]:
    """Mean of the three colours, (y, x, 3) -> (y, x) float32: stain of any colour darkens it."""
    grey: NDArray[np.float32] = np.asarray(rgb, dtype=np.float32).mean(axis=-1)
    return grey
