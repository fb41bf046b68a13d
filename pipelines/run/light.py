"""The uneven light of a study's channels: estimated from its images, or given as pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from measurements.errors import MeasurementError
from measurements.illumination import LightProfile, estimate_profile, reduced
from measurements.regions import Floats
from pipelines.errors import ImageError, StudyError
from pipelines.images import Field
from pipelines.run.layout import Layout
from pipelines.run.provenance import file_sha256
from pipelines.study.check import Checked, open_row
from pipelines.study.samples import ImageRow

MOST_IMAGES = 100


@dataclass(frozen=True)
class Light:
    """Where the light of one channel is, and what is to be said of it.

    Attributes:
        path: picture of the light.
        inputs: hash of the picture and, where it was estimated, what from, as JSON can hold it.
    """

    path: Path
    inputs: Mapping[str, Any]


def decide_light(checked: Checked, layout: Layout) -> dict[str, Light]:
    """Find or estimate the light of each channel that it is to be taken off of.

    An estimate is written into the folder of the run, from where a later study may take it.

    Returns:
        Channel -> its light; empty where nothing is to be taken off.

    Raises:
        StudyError: the light cannot be told from the images.
    """
    wanted, folder = checked.study.illumination, checked.path.resolve().parent
    if wanted == "none":
        return {}
    if wanted == "estimate":
        return _estimated(checked, layout)
    paths = {channel: folder / path for channel, path in wanted.items()}
    return {name: Light(path, {"sha256": file_sha256(path)}) for name, path in paths.items()}


def _estimated(checked: Checked, layout: Layout) -> dict[str, Light]:
    rows: Sequence[ImageRow] = checked.samples.rows
    # Evenly spread over the sample table: neighbours in it are often one dish.
    used = rows[:: -(-len(rows) // MOST_IMAGES)]
    fields = [field for row in used if (field := _readable(checked, row)) is not None]
    found: dict[str, Light] = {}
    for channel, place in checked.study.channels.items():
        if place == "rgb":
            continue
        try:
            profile = estimate_profile([p for f in fields for p in _small(f, channel)])
        except MeasurementError as failure:
            raise StudyError(f"illumination: estimate, channel {channel}: {failure}") from failure
        found[channel] = _written(profile, fields[0].shape, layout.light(channel))
    return found


def _readable(checked: Checked, row: ImageRow) -> Field | None:
    """An image, or None: it will fail by itself and be told of there."""
    try:
        return open_row(checked.study, row)
    except ImageError:
        return None


def _small(field: Field, channel: str) -> list[Floats]:
    """One channel reduced, since light is smooth; none where it cannot be read."""
    try:
        return [reduced(field.plane(channel))]
    except ImageError:
        return []


def _written(profile: LightProfile, shape: tuple[int, int], path: Path) -> Light:
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, profile.gain(shape).astype(np.float32), metadata=None)
    inputs = {**asdict(profile), "fall_off": profile.fall_off, "sha256": file_sha256(path)}
    return Light(path, inputs)
