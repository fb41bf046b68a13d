"""RNA spots of one image: found here, counted once all images say what one molecule's light is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured, in_physical_units
from measurements.spots.clumps import Rim
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
from measurements.spots.detection import Cutout, find_spots, is_autofluorescent
from measurements.spots.settings import SpotSettings
from measurements.spots.settings import UnusedChannel as Rule
from pipelines.field.labels import Labels
from pipelines.field.pixels import Grey
from pipelines.study import Study
from pipelines.study.spots import Spots, UnusedChannel


@dataclass(frozen=True, eq=False)
class SpotsPart:
    """Spots of one image.

    Attributes:
        spots: one value a spot and column, spots of all channels below each other.
        summary: the image's own columns; of a cut-out of a slide, with counts of its own part.
        rims: channel -> clumps at the edges; neighbours in a slide go on with them.
    """

    spots: Measured
    summary: Mapping[str, float]
    rims: Mapping[str, Rim]


def measure_spots_part(
    planes: Mapping[str, Grey],
    labels: Labels,
    study: Study,
    pixel_size_um: float | None,
    cutouts: Mapping[str, Cutout] | None = None,
) -> SpotsPart | None:
    """Find the spots of every channel that they are asked for in; None for none.

    Args:
        planes: channel -> (y, x) pixels of the image, or of a view of it.
        labels: its nuclei and cells.
        study: the settings.
        pixel_size_um: edge of a pixel.
        cutouts: where the view lies in a slide, and what is known of each plane by `plane_key`.
            Default: the image is whole.
    """
    asked_for = spots_of(study)
    if not asked_for:
        return None
    known = {} if cutouts is None else cutouts
    found = [_of_channel(each, planes, labels, pixel_size_um, known) for each in asked_for]
    tables = [part.spots for part in found]
    below = {column: np.concatenate([t[column] for t in tables]) for column in tables[0]}
    summary = {name: value for part in found for name, value in part.summary.items()}
    rims = {name: rim for part in found for name, rim in part.rims.items()}
    return SpotsPart(in_physical_units(below, pixel_size_um), summary, rims)


def spots_of(study: Study) -> list[Spots]:
    """The channels that spots are looked for in."""
    return [m for m in study.measurements if isinstance(m, Spots)]


def spot_settings(settings: Spots, pixel_size_um: float | None) -> SpotSettings:
    """The study's settings in pixels."""
    return SpotSettings(settings.in_px("sigma", pixel_size_um), settings.threshold)


def unused_rule(unused: UnusedChannel) -> Rule:
    """The study's rule of what is autofluorescent."""
    return Rule(unused.distance_px, unused.height, unused.ratio)


def plane_key(settings: Spots, *, unused: bool = False) -> str:
    """Name of what is known of a plane: of the channel of spots, or the unused one beside it."""
    return f"{settings.channel}/unused" if unused else settings.channel


def _of_channel(
    settings: Spots,
    planes: Mapping[str, Grey],
    labels: Labels,
    pixel_size_um: float | None,
    cutouts: Mapping[str, Cutout],
) -> SpotsPart:
    how = spot_settings(settings, pixel_size_um)
    spots = find_spots(planes[settings.channel], how, cutouts.get(plane_key(settings)))
    rejected = np.zeros(spots.height.size, dtype=bool)
    if settings.unused is not None:
        rejected = is_autofluorescent(
            spots,
            planes[settings.unused.channel],
            how,
            unused_rule(settings.unused),
            cutouts.get(plane_key(settings, unused=True)),
        )
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
    return SpotsPart(measured, named, {settings.channel: spots.rim})
