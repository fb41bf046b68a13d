"""Label images of files, without a study: pixels throughout."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError, StudyError
from pipelines.field.pixels import rgb_to_grey
from pipelines.files import put_folder
from pipelines.images import Field, inspect, open_field
from pipelines.labels_store import write_label_tiff
from pipelines.run.provenance import file_sha256
from pipelines.slide.cluster import here
from pipelines.slide.job import SlideSettings
from pipelines.slide.segmenting import plan_slide, segment_slide
from pipelines.study.compute import SLIDE_ABOVE_PX
from pipelines.study.slides import is_slide


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

    An image of more than 2^25 pixels is a slide: it is segmented in blocks, which are kept in the
    hidden folder .NAME_labels until the last is done, into NAME_labels.ome.zarr.

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
        field = _field(image, channel)
        if is_slide(field, SLIDE_ABOVE_PX):
            return _segment_slide(image, field, SlideSettings("image", model, diameter_px), output)
        labels = segment(_grey(field), loaded, diameter_px)
        path = output / f"{_name(image)}_labels.tif"
        write_label_tiff(path, labels)
    except (ImageError, ValueError, OSError) as error:
        return SegmentedFile(image, None, 0, str(error))
    return SegmentedFile(image, path, int(labels.max()))


def grey_image(path: Path, channel: str | None) -> NDArray[np.generic]:
    """Read the one grey plane (y, x) of a file that models see.

    Args:
        path: any image that `pipelines.images` reads; a grey z-stack is projected by its maximum.
        channel: index or name; None where the file has one channel, or is RGB.

    Raises:
        ImageError: the file cannot be read, or has several channels and none was chosen.
    """
    return _grey(_field(path, channel))


def _segment_slide(
    image: Path, field: Field, settings: SlideSettings, output: Path
) -> SegmentedFile:
    """Segment a slide in this process, block by block; a stopped one goes on."""
    path, work = output / f"{_name(image)}_labels.ome.zarr", output / f".{_name(image)}_labels"
    job = plan_slide(field, settings, work, file_sha256(image))
    n_objects = segment_slide(job, here)
    put_folder(job.store, path)
    shutil.rmtree(work)
    return SegmentedFile(image, path, n_objects)


def _field(path: Path, channel: str | None) -> Field:
    info = inspect(path)
    if channel is None and info.n_channels > 1 and not info.is_rgb:
        named = f" ({', '.join(info.channel_names)})" if info.channel_names else ""
        raise ImageError(f"{path} has {info.n_channels} channels{named}: choose one with --channel")
    place: int | str = "rgb" if info.is_rgb and channel is None else channel or 0
    if isinstance(place, str) and place.isdigit():
        place = int(place)
    return open_field(
        path.stem, {"image": path}, {"image": place}, pixel_size_um="unknown", z="max"
    )


def _grey(field: Field) -> NDArray[np.generic]:
    plane = field.plane("image")
    return rgb_to_grey(plane) if field.picture is not None else plane


def _name(path: Path) -> str:
    stem = path.name.rsplit(".", 1)[0]
    return stem.removesuffix(".ome")
