"""Light of the batches: each image's sums are put together, once all images are measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.batch_light import (
    BATCH_ERROR,
    BATCH_FALL_OFF,
    BatchLight,
    LightSums,
    batch_light,
)
from measurements.columns import Column
from measurements.light import UNEVEN_LIGHT, LightLimits
from pipelines.run.parts import Part
from pipelines.study.model import Study
from pipelines.words import counted, some

OfImage = dict[Column, Any]


def with_light(parts: Sequence[Part], batches: NDArray[np.intp]) -> list[Part]:
    """Add to each image the light of its batch and channel, or its own where that is not known.

    Args:
        parts: the images; slides, which were put together from many fields, stay as they are.
        batches: number of each image's batch.
    """
    found: list[OfImage] = [{} for _ in parts]
    for channel, members in _groups(parts, batches):
        images = [LightSums.from_json(parts[i].marker["lights"][channel]) for i in members]
        light = batch_light(images)
        for i, image in zip(members, images, strict=True):
            found[i] |= _columns(channel, light, image)
    return [part.with_image_columns(more) for part, more in zip(parts, found, strict=True)]


def _groups(
    parts: Sequence[Part], batches: NDArray[np.intp]
) -> Iterator[tuple[str, Sequence[int]]]:
    """Channel and places of images of one batch and size."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, part in enumerate(parts):
        size = part.marker["summary"]["height_px"], part.marker["summary"]["width_px"]
        for channel in part.marker.get("lights", {}):
            groups.setdefault((channel, batches[i], *size), []).append(i)
    return ((str(key[0]), members) for key, members in groups.items())


def _columns(channel: str, light: BatchLight | None, image: LightSums) -> OfImage:
    limits = LightLimits()
    if light is None:
        values = [(BATCH_FALL_OFF, np.nan), (BATCH_ERROR, np.nan), (UNEVEN_LIGHT, image.uneven)]
    else:
        values = [
            (BATCH_FALL_OFF, light.fall_off),
            (BATCH_ERROR, light.error),
            (UNEVEN_LIGHT, light.fall_off > limits.fall_off and light.p < limits.p),
        ]
    return {column.bind(channel=channel): value for column, value in values}


def light_warnings(study: Study, parts: Sequence[Part]) -> list[str]:
    """What channels are to be read with whose light is uneven, as their batches show it.

    Args:
        study: the settings.
        parts: the images, with what `with_light` adds.
    """
    return [text for channel in study.planes for text in _of_channel(channel, study, parts)]


def _of_channel(channel: str, study: Study, parts: Sequence[Part]) -> Iterator[str]:
    amount, error, uneven = (
        column.bind(channel=channel) for column in (BATCH_FALL_OFF, BATCH_ERROR, UNEVEN_LIGHT)
    )
    shared: dict[tuple[float, float], list[str]] = {}
    for part in parts:
        of: Mapping[Column, Any] = part.of_image
        if of.get(uneven) and np.isfinite(of[amount]):
            shared.setdefault((of[amount], of[error]), []).append(part.image_id)
    wanted = study.illumination
    still, remedy = "", "take it off by `illumination: estimate` or a picture of the light"
    if wanted == "estimate" or channel in wanted:
        still, remedy = "still ", "give a picture of the light that was taken with these images"
    for (fall_off, se), images in shared.items():
        yield (
            f"{channel}: the light {still}falls off by {fall_off:.0%} (standard error {se:.0%}) "
            f"over the field, as {counted(len(images), 'image')} together show it "
            f"({some(images)}), and grey values read too low where it is dim: {remedy}"
        )
