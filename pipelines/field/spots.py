"""RNA spots of one image: found here, counted once all images say what one molecule's light is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured, in_physical_units
from measurements.spots.columns import (
    IMAGE_REJECTED,
    IMAGE_SPOTS,
    IMAGE_THRESHOLD,
    SPOT_CELL,
    SPOT_CHANNEL,
    SPOT_CLUMP,
    SPOT_CONTRAST,
    SPOT_HEIGHT,
    SPOT_ID,
    SPOT_IN_NUCLEUS,
    SPOT_INTEGRATED,
    SPOT_ISOLATED,
    SPOT_REJECTED,
    SPOT_X,
    SPOT_Y,
)
from measurements.spots.detection import find_spots, is_autofluorescent
from measurements.spots.settings import SpotSettings
from measurements.spots.settings import UnusedChannel as Rule
from pipelines.field.labels import Labels
from pipelines.field.pixels import Grey
from pipelines.study import Study
from pipelines.study.spots import Spots


@dataclass(frozen=True, eq=False)
class SpotsPart:
    """Spots of one image.

    Attributes:
        spots: one value a spot and column, spots of all channels below each other.
        summary: the image's own columns.
    """

    spots: Measured
    summary: Mapping[str, float]


def measure_spots_part(
    planes: Mapping[str, Grey], labels: Labels, study: Study, pixel_size_um: float | None
) -> SpotsPart | None:
    """Find the spots of every channel that they are asked for in; None for none.

    Args:
        planes: channel -> (y, x) pixels of the image, or of a view of it.
        labels: its nuclei and cells.
        study: the settings.
        pixel_size_um: edge of a pixel.
    """
    asked_for = [m for m in study.measurements if isinstance(m, Spots)]
    if not asked_for:
        return None
    found = [_of_channel(settings, planes, labels, pixel_size_um) for settings in asked_for]
    tables = [part.spots for part in found]
    below = {column: np.concatenate([t[column] for t in tables]) for column in tables[0]}
    summary = {name: value for part in found for name, value in part.summary.items()}
    return SpotsPart(in_physical_units(below, pixel_size_um), summary)


def _of_channel(
    settings: Spots, planes: Mapping[str, Grey], labels: Labels, pixel_size_um: float | None
) -> SpotsPart:
    how = SpotSettings(settings.in_px("sigma", pixel_size_um), settings.threshold)
    spots = find_spots(planes[settings.channel], how)
    rejected = np.zeros(spots.height.size, dtype=bool)
    if settings.unused is not None:
        rule = Rule(settings.unused.distance_px, settings.unused.height, settings.unused.ratio)
        rejected = is_autofluorescent(spots, planes[settings.unused.channel], how, rule)
    at = spots.pixels
    measured: dict[Column, NDArray[np.generic]] = {
        SPOT_CHANNEL: np.full(rejected.size, settings.channel),
        SPOT_CELL: labels.cells[at].astype(np.uint32),
        SPOT_ID: np.arange(1, rejected.size + 1, dtype=np.uint32),
        SPOT_Y: spots.places[:, 0],
        SPOT_X: spots.places[:, 1],
        SPOT_IN_NUCLEUS: labels.nuclei[at] > 0,
        SPOT_HEIGHT: spots.height,
        SPOT_CONTRAST: spots.contrast,
        SPOT_INTEGRATED: spots.integrated,
        SPOT_CLUMP: spots.clump,
        SPOT_ISOLATED: spots.isolated,
        SPOT_REJECTED: rejected,
    }
    values = {
        IMAGE_THRESHOLD: spots.threshold,
        IMAGE_SPOTS: float((~rejected).sum()),
        IMAGE_REJECTED: float(rejected.sum()),
    }
    named = {column.bind(channel=settings.channel).name: v for column, v in values.items()}
    return SpotsPart(measured, named)
