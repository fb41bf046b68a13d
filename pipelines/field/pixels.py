"""The pixels of one image in memory."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measurements.illumination import as_gain, even_light
from measurements.transcripts import Transcripts
from pipelines.errors import ImageError
from pipelines.field.stacks import Stack, read_stacks
from pipelines.field.transcripts import transcripts_in
from pipelines.images import Field, open_field
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of
from pipelines.study.illumination import open_light
from pipelines.study.stains import mixed_vectors

Grey = NDArray[np.generic]
# Share of densities left over by stains from which a picture warns [judgement]: of 64 simulated
# fields none with the right stains, 59 with DAB and fast red taken for each other; a real one of
# DAB has 0.01, and 0.24 if it is taken for fast red.
MOST_UNEXPLAINED = 0.05


@dataclass(frozen=True)
class Pixels:
    """An image in memory.

    Attributes:
        image_id: the image.
        planes: channel -> (y, x) pixels as the file has them, but for uneven light where the study
            takes that off; a brightfield image by the mean of its colours, and its stains.
        rgb: (y, x, 3), where the image is brightfield.
        pixel_size_um: edge of a pixel; None where unknown.
        warnings: what reading it brought up.
        blank: (y, x, 3), an empty field in the same light, where the study has one.
        stacks: channel -> all of its planes in the same light, where foci are looked for in them.
        transcripts: those of the image's table, where the study has one.
        stains: which of the planes are stains of the picture.
    """

    image_id: str
    planes: Mapping[str, Grey]
    rgb: Grey | None
    pixel_size_um: float | None
    warnings: tuple[str, ...]
    blank: Grey | None = None
    stacks: Mapping[str, Stack] = dataclasses.field(default_factory=dict)
    transcripts: Transcripts | None = None
    stains: tuple[str, ...] = ()


def read_pixels(field: Field, study: Study) -> Pixels:
    """Read every channel of a field.

    Args:
        field: the image.
        study: the settings, in which estimated light has become pictures of it.

    Raises:
        ImageError: the file cannot be read, or a channel to segment holds one value only.
    """
    planes = {name: field.plane(name) for name in field.sources}
    stacks = dict(read_stacks(field, study))
    for name, gain in _light_of(study).items():
        planes[name] = even_light(planes[name], gain)
        if name in stacks:
            even = np.stack([even_light(plane, gain) for plane in stacks[name].planes])
            stacks[name] = dataclasses.replace(stacks[name], planes=even)
    rgb = planes.get(field.picture) if field.picture is not None else None
    if field.picture is not None and rgb is not None:
        planes |= {name: field.stain(name, rgb) for name in field.stains}
        planes[field.picture] = rgb_to_grey(rgb)
    for _, settings in study.cellpose_settings():
        plane = planes[settings.channel]
        if plane.min() == plane.max():
            raise ImageError(
                f"channel {settings.channel} has the value {plane.flat[0]} in every pixel: "
                "there is nothing to segment; check the exposure or the channel's number"
            )
    warnings = (*field.warnings, *_of_stains(rgb, study))
    stain = beta_gal_of(study)
    blank = None
    if stain is not None and stain.blank is not None:
        blank = read_blank(Path(stain.blank), field)
    size = field.pixel_size_um
    found = transcripts_in(study, field.shape, size)
    stains = tuple(field.stains)
    return Pixels(field.image_id, planes, rgb, size, warnings, blank, stacks, found, stains)


def _of_stains(rgb: Grey | None, study: Study) -> list[str]:
    """A warning where the picture's colours are not those of its stains."""
    if rgb is None or not study.stains:
        return []
    # Only pictures with stains need it, and what it imports takes half a second.
    from measurements.stains import unexplained_share

    share = unexplained_share(rgb, mixed_vectors(study.stains))
    if not share > MOST_UNEXPLAINED:
        return []
    return [
        f"the stains leave {share:.0%} of what the picture's densities vary by unexplained "
        f"({MOST_UNEXPLAINED:.0%} at most is usual): is another stain or pigment in it, or are the "
        "stains' colours not those of this slide? Read them where each stain lies alone"
    ]


def _light_of(study: Study) -> dict[str, NDArray[np.float32]]:
    """Light of every channel that it is to be taken off of."""
    if not isinstance(study.illumination, dict):
        return {}
    lit = {name: open_light(Path(path)) for name, path in study.illumination.items()}
    return {name: as_gain(picture.plane("light")) for name, picture in lit.items()}


def read_blank(path: Path, field: Field) -> Grey:
    """Read the picture of an empty field.

    Args:
        path: the file.
        field: an image that it was taken for.

    Returns:
        (y, x, 3), as large as the image.

    Raises:
        ImageError: it cannot be read, or is not as large.
    """
    blank = open_field("blank", {"rgb": path}, {"rgb": "rgb"}, pixel_size_um="unknown", z=field.z)
    if blank.shape != field.shape:
        shapes = " and ".join("x".join(map(str, shape)) for shape in (blank.shape, field.shape))
        raise ImageError(
            f"the blank field {path.name} and the image {field.image_id} have {shapes} pixels "
            "(y, x): take the blank field with the same camera settings"
        )
    return blank.plane("rgb")


def rgb_to_grey(rgb: NDArray[np.generic]) -> NDArray[np.float32]:
    """Mean of the three colours, (y, x, 3) -> (y, x) float32: stain of any colour darkens it."""
    grey: NDArray[np.float32] = np.asarray(rgb, dtype=np.float32).mean(axis=-1)
    return grey
