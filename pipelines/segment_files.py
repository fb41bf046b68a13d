"""Label images of files, without a study: pixels throughout."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError, StudyError
from pipelines.field.pixels import rgb_to_grey
from pipelines.images import inspect, open_field
from pipelines.labels_store import write_label_tiff


@dataclass(frozen=True)
class SegmentedFile:
    """What became of one file.

    Attributes:
        image: the file.
        labels: the label image written; None where it failed.
        n_objects: objects found.
        error: why it failed, where it did.
    """

    image: Path
    labels: Path | None
    n_objects: int
    error: str | None = None


def segment_file(
    image: Path, diameter_px: float, output: Path, model: str, channel: str | None
) -> SegmentedFile:
    """Segment one file and write NAME_labels.tif (uint32); a bad file is an outcome, no exception.

    Args:
        image: any image that `pipelines.images` reads; a grey z-stack is projected by its maximum.
        diameter_px: typical diameter of the objects.
        output: folder of the label image.
        model: see `segmentation.models.load_model`.
        channel: index or name; None where the file has one channel, or is RGB.

    Raises:
        StudyError: the model cannot be had: no file would fare better.
    """
    from segmentation.catalogue import ModelError
    from segmentation.masks import segment
    from segmentation.models import load_model

    try:
        loaded = load_model(model)
    except ModelError as error:
        raise StudyError(str(error)) from error
    try:
        labels = segment(_grey(image, channel), loaded, diameter_px)
        path = output / f"{_name(image)}_labels.tif"
        write_label_tiff(path, labels)
    except (ImageError, ValueError, OSError) as error:
        return SegmentedFile(image, None, 0, str(error))
    return SegmentedFile(image, path, int(labels.max()))


def _grey(path: Path, channel: str | None) -> NDArray[np.generic]:
    info = inspect(path)
    if channel is None and info.n_channels > 1 and not info.is_rgb:
        named = f" ({', '.join(info.channel_names)})" if info.channel_names else ""
        raise ImageError(f"{path} has {info.n_channels} channels{named}: choose one with --channel")
    place: int | str = "rgb" if info.is_rgb and channel is None else channel or 0
    if isinstance(place, str) and place.isdigit():
        place = int(place)
    field = open_field(
        path.stem, {"image": path}, {"image": place}, pixel_size_um="unknown", z="max"
    )
    plane = field.plane("image")
    return rgb_to_grey(plane) if field.picture is not None else plane


def _name(path: Path) -> str:
    stem = path.name.rsplit(".", 1)[0]
    return stem.removesuffix(".ome")
