"""One image's work as a small, picklable task, and what becomes of it.

Light to import: the process that plans a run needs neither pixels nor measurements.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipelines.run.provenance import fingerprint
from pipelines.study import Study
from pipelines.study.row import ImageRow

# What is measured from the cells of all images, once they are gathered.
LATER = ("neighbours", "zonation", "density")


@dataclass(frozen=True)
class ImageTask:
    """All that one image's work depends on; small, and picklable.

    Attributes:
        row: the image and its files.
        study: the settings.
        folder: folder of the study file, where relative model paths start.
        output: folder of the run.
        segmentation_key: fingerprint of all settings that labels depend on.
        measurement_key: fingerprint of all settings that the image's rows depend on.
        is_slide: worked on in blocks.
    """

    row: ImageRow
    study: Study
    folder: Path
    output: Path
    segmentation_key: str
    measurement_key: str
    is_slide: bool = False


@dataclass(frozen=True)
class Failure:
    """Why one image is not in the tables."""

    image_id: str
    stage: str
    error: str


@dataclass(frozen=True)
class ImageOutcome:
    """What became of one image.

    Attributes:
        image_id: the image.
        status: measured now, kept from an earlier run, or failed.
        n_cells: rows it has in the cells table.
        seconds: time taken.
        failure: why it failed, where it did.
        may_pass: it failed over a disk or a network that may be back in a moment.
    """

    image_id: str
    status: Literal["measured", "kept", "failed"]
    n_cells: int
    seconds: float
    failure: Failure | None = None
    may_pass: bool = False


@dataclass(frozen=True)
class PictureTask:
    """All that one QC picture is drawn from; picklable.

    Attributes:
        row: the image and its files.
        study: the settings.
        output: folder of the run.
        positive: marker -> ids of its positive cells, None where no cell could be judged.
        key: see `picture_key`.
        is_slide: drawn reduced, from pixels that were kept for it.
    """

    row: ImageRow
    study: Study
    output: Path
    positive: Mapping[str, tuple[int, ...] | None]
    key: str
    is_slide: bool = False


@dataclass(frozen=True)
class PictureOutcome:
    """What became of one picture; `error` says why there is none, else it is empty."""

    image_id: str
    error: str = ""


def draw(task: PictureTask) -> PictureOutcome:
    """`pipelines.run.picture.draw_picture`, imported where it runs."""
    from pipelines.run.picture import draw_picture

    return draw_picture(task)


def lost_picture(task: PictureTask, why: str) -> PictureOutcome:
    """The outcome of a picture whose worker process died, alone, a second time."""
    return PictureOutcome(task.row.image_id, f"the process that drew it {why}")


def picture_key(
    measurement_key: str, positive: Mapping[str, tuple[int, ...] | None], foci: str = ""
) -> str:
    """Fingerprint of what a picture shows; a changed file needs none, being measured anew.

    Args:
        measurement_key: of the image's part.
        positive: as in `PictureTask`; empty where the study has no positivity.
        foci: fingerprint of where they lie; empty where they are not measured.
    """
    return fingerprint(measurement_key, dict(positive), foci)


def work_on(task: ImageTask) -> ImageOutcome:
    """`pipelines.run.image.process_image`, imported where it runs."""
    from pipelines.run.image import process_image

    return process_image(task)


def lost_image(task: ImageTask, why: str) -> ImageOutcome:
    """The outcome of an image whose worker process died, alone, a second time."""
    failure = Failure(task.row.image_id, "measure", f"the process that worked on it {why}")
    return ImageOutcome(task.row.image_id, "failed", 0, 0.0, failure)


def settings_keys(
    study: Study, version: str, models: Mapping[str, str], references: Mapping[str, object]
) -> tuple[str, str]:
    """Fingerprints of what labels, and what an image's rows, are made with.

    Args:
        study: the settings.
        version: of senescope: another version measures anew.
        models: model name -> hash of its weights, or its name where Cellpose keeps it.
        references: what else images are measured with; see `pipelines.run.references`.
    """
    settings = study.model_dump(mode="json")
    reading = {key: settings[key] for key in ("channels", "pixel_size_um", "z", "segmentation")}
    compute = {key: settings["compute"][key] for key in ("gpu", "precision")}
    light = references.get("illumination")
    segmentation = fingerprint(version, reading, light, compute, dict(models))
    measured = [_before_gathering(m) for m in settings["measurements"] if m["type"] not in LATER]
    return segmentation, fingerprint(segmentation, measured, dict(references))


def _before_gathering(measurement: Mapping[str, Any]) -> dict[str, object]:
    """Settings that an image's own rows depend on.

    Reporters are unmixed and gated afterwards, spots become molecules, and a threshold of foci that
    is decided over the images of a batch changes nothing in their parts.
    """
    later = {"bleed_through", "gates", "classes"} if measurement["type"] == "reporters" else set()
    if measurement["type"] == "spots":
        later = {"single", "by", "bounds", "clustered"}
    if isinstance(measurement.get("threshold"), dict):
        later = {"threshold"}
    return {key: value for key, value in measurement.items() if key not in later}
