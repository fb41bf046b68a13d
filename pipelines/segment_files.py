"""Label images of files, without a study: pixels throughout."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError, StudyError
from pipelines.field.pixels import rgb_to_grey
from pipelines.files import put_folder
from pipelines.images import Field, inspect, open_field, scene_number
from pipelines.labels_store import write_label_tiff
from pipelines.run.provenance import file_sha256
from pipelines.slide.cluster import here
from pipelines.slide.job import SlideSettings
from pipelines.slide.segmenting import plan_slide, segment_slide
from pipelines.study.compute import SLIDE_ABOVE_PX
from pipelines.study.slides import is_slide


@dataclass(frozen=True)
class Which:
    """The plane of a file that is wanted, where it holds several.

    Attributes:
        channel: index or name; None where the file has one channel, or is RGB.
        scene: name, or number from 0; None where the file has one.
        time: time point, from 0; None where the file has one.
    """

    channel: str | None = None
    scene: str | None = None
    time: int | None = None


ONLY = Which()


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
    image: Path, diameter_px: float, output: Path, model: str, which: Which = ONLY
) -> SegmentedFile:
    """Segment one file and write NAME_labels.tif (uint32); a bad file is an outcome, no exception.

    A chosen scene or time point stands in the name, as in NAME_SCENE_t3_labels.tif.

    An image of more than 2^25 pixels is a slide: it is segmented in blocks, which are kept in the
    hidden folder .NAME_labels until the last is done, into NAME_labels.ome.zarr.

    Args:
        image: any image that `pipelines.images` reads; a grey z-stack is projected by its maximum.
        diameter_px: typical diameter of the objects.
        output: folder of the label image.
        model: see `segmentation.models.load_model`.
        which: the plane, where the file holds several.

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
        field, name = _field(image, which), _name(image, which)
        if is_slide(field, SLIDE_ABOVE_PX):
            settings = SlideSettings("image", model, diameter_px)
            return _segment_slide(image, field, settings, output / name)
        labels = segment(_grey(field), loaded, diameter_px)
        path = output / f"{name}_labels.tif"
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
    return _grey(_field(path, Which(channel)))


def _segment_slide(image: Path, field: Field, settings: SlideSettings, base: Path) -> SegmentedFile:
    """Segment a slide in this process, block by block; a stopped one goes on."""
    path = base.with_name(f"{base.name}_labels.ome.zarr")
    work = base.with_name(f".{base.name}_labels")
    job = plan_slide(field, settings, work, file_sha256(image))
    n_objects = segment_slide(job, here)
    put_folder(job.store, path)
    shutil.rmtree(work)
    return SegmentedFile(image, path, n_objects)


def _field(path: Path, which: Which) -> Field:
    scene = scene_number(path, which.scene) if which.scene is not None else None
    info = inspect(path, scene or 0)
    if scene is None and info.n_scenes > 1:
        names = ", ".join(info.scene_names) or f"0 to {info.n_scenes - 1}"
        raise ImageError(f"{path} has {info.n_scenes} scenes ({names}): choose one with --scene")
    if which.time is None and info.n_t > 1:
        raise ImageError(f"{path} has {info.n_t} time points: choose one with --time")
    if which.channel is None and info.n_channels > 1 and not info.is_rgb:
        named = f" ({', '.join(info.channel_names)})" if info.channel_names else ""
        raise ImageError(f"{path} has {info.n_channels} channels{named}: choose one with --channel")
    place: int | str = "rgb" if info.is_rgb and which.channel is None else which.channel or 0
    if isinstance(place, str) and place.isdigit():
        place = int(place)
    return open_field(
        path.stem,
        {"image": path},
        {"image": place},
        pixel_size_um="unknown",
        z="max",
        scene=scene,
        time=which.time,
    )


def _grey(field: Field) -> NDArray[np.generic]:
    plane = field.plane("image")
    return rgb_to_grey(plane) if field.picture is not None else plane


def _name(path: Path, which: Which) -> str:
    stem = path.name.rsplit(".", 1)[0].removesuffix(".ome")
    scene = re.sub(r"[^\w.-]+", "-", which.scene) if which.scene is not None else None
    time = f"t{which.time}" if which.time is not None else None
    return "_".join(part for part in (stem, scene, time) if part is not None)
