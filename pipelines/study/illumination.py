"""What is wrong with how a study takes uneven light off its images, before a pixel is read."""

from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import ImageError
from pipelines.images import Field, open_field
from pipelines.study.messages import nearest
from pipelines.study.model import Study
from pipelines.study.problems import Problem, error
from pipelines.study.samples import outside_roots

WHERE = "illumination"
FEWEST_IMAGES = 5


def illumination_problems(
    study: Study,
    opened: Mapping[str, Field | ImageError],
    slides: Mapping[str, object],
    folder: Path,
) -> list[Problem]:
    """All that can be known of the light without reading a pixel.

    Args:
        study: the settings.
        opened: every image by its id, or why it cannot be used.
        slides: those that are slides.
        folder: folder of the study file.
    """
    wanted = study.illumination
    if wanted == "none":
        return []
    if slides:
        return [
            error(
                WHERE,
                f"image {next(iter(slides))} is a slide, which was put together from many fields: "
                "their light is taken off before that, by the program that joins them; give none",
            )
        ]
    shapes = {image.shape for image in opened.values() if isinstance(image, Field)}
    if wanted == "estimate":
        return _estimate_problems(study, len(opened), shapes)
    return [
        problem
        for channel, path in wanted.items()
        for problem in _picture_problems(channel, folder / path, study, shapes, folder)
    ]


def _estimate_problems(study: Study, n_images: int, shapes: set[tuple[int, int]]) -> list[Problem]:
    if set(study.channels.values()) == {"rgb"}:
        text = "uneven light of brightfield pictures drops out where stains are measured; give none"
        return [error(WHERE, text)]
    if n_images < FEWEST_IMAGES:
        return [error(WHERE, f"estimate needs {FEWEST_IMAGES} images or more; found {n_images}")]
    if len(shapes) > 1:
        sizes = " and ".join(sorted("x".join(map(str, shape)) for shape in shapes))
        return [error(WHERE, f"estimate needs images of one size; found {sizes} pixels (y, x)")]
    return []


def _picture_problems(
    channel: str, path: Path, study: Study, shapes: set[tuple[int, int]], folder: Path
) -> list[Problem]:
    where = f"{WHERE}.{channel}"
    if channel not in study.channels:
        return [error(where, f"no channel '{channel}'; {nearest(channel, study.channels)}")]
    if study.channels[channel] == "rgb":
        return [error(where, f"'{channel}' is rgb; give its blank field to beta_gal")]
    if outside_roots([path], study, folder):
        text = f"{path} lies outside the folders the study may read; add its folder to roots"
        return [error(where, text)]
    try:
        picture = open_light(path)
    except ImageError as failure:
        return [error(where, str(failure))]
    if shapes and shapes != {picture.shape}:
        sizes = ", ".join(sorted("x".join(map(str, shape)) for shape in shapes))
        own = "x".join(map(str, picture.shape))
        return [error(where, f"{path.name} has {own} pixels (y, x), and the images {sizes}")]
    return []


def open_light(path: Path) -> Field:
    """Open the picture of a channel's light.

    Raises:
        ImageError: there is no such file, or it has not one grey channel.
    """
    if not path.is_file():
        raise ImageError(f"there is no file {path}")
    return open_field(path.name, {"light": path}, {"light": 0}, pixel_size_um="unknown", z="none")
