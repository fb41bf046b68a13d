"""Where the cells that are measured lie: the picture, the slide around it, their surroundings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from measurements.background import (
    Background,
    BackgroundPixels,
    BackgroundSettings,
    background_pixels,
    estimate_background,
)
from measurements.blocks import Box
from measurements.quality import saturation_level
from measurements.regions import Regions
from pipelines.field.labels import Labels
from pipelines.field.pixels import Grey, Pixels
from pipelines.study import Study

# Where local background is read, in nuclear diameters [judgement]: beyond the blur of the cell,
# near enough to share its light.
BACKGROUND_GAP = 0.2
BACKGROUND_WIDTH = 0.6


@dataclass(frozen=True)
class ChannelLevels:
    """What is known of one channel of a whole slide.

    Attributes:
        background: level outside cells (`measurements.background.field_level`).
        saturation: grey value at which it is clipped (`measurements.quality.clipping_level`).
        dark: level of its darkest part (`measurements.foci_scale.darkest`).
        brightest: its largest absolute grey value (`measurements.foci_scale.brightest`).
        mean: of its pixels.
        sd: standard deviation of its pixels.
        median: of its pixels.
    """

    background: float
    saturation: float
    dark: float
    brightest: float
    mean: float
    sd: float
    median: float


@dataclass(frozen=True)
class Place:
    """Which cells of a picture are measured, and where the picture lies.

    Attributes:
        ids: uint32, increasing: the cells wanted, each whole and with its surroundings.
        view: the picture, in the slide that it was cut out of.
        slide: the whole slide.
        levels: what is known of each channel of the slide; None where the picture is all there is.
    """

    ids: NDArray[np.uint32]
    view: Box
    slide: Box
    levels: Mapping[str, ChannelLevels] | None


def whole_image(labels: Labels) -> Place:
    """Every cell of an image in one piece."""
    box = Box(0, 0, *labels.cells.shape)
    return Place(Regions.of(labels.cells).ids, box, box, None)


def local_background(study: Study, pixel_size_um: float | None) -> BackgroundSettings:
    """How wide the ring of local background is, px."""
    diameter = study.cellpose_settings()[0][1].in_px("diameter", pixel_size_um)
    return BackgroundSettings(gap=BACKGROUND_GAP * diameter, width=BACKGROUND_WIDTH * diameter)


@dataclass(frozen=True)
class Surroundings:
    """What is measured around the cells: its geometry, and how wide it is.

    Attributes:
        local: settings of the ring around each cell.
        geometry: pixels of background, for all channels.
        levels: of the channels of the slide, where the picture is part of one.
    """

    local: BackgroundSettings
    geometry: BackgroundPixels
    levels: Mapping[str, ChannelLevels] | None

    @classmethod
    def of(cls, pixels: Pixels, labels: Labels, study: Study, place: Place) -> "Surroundings":
        """Find the pixels around the cells of a picture."""
        local = local_background(study, pixels.pixel_size_um)
        return cls(local, background_pixels(labels.cells, place.ids, local), place.levels)

    def background(
        self, plane: Grey, channel: str, method: Literal["local", "field", "none"]
    ) -> Background:
        """One channel's background for every cell."""
        settings = replace(self.local, method=method)
        field = self.levels[channel].background if self.levels is not None else None
        return estimate_background(plane, self.geometry, settings, field)

    def saturation(self, plane: Grey, channel: str) -> float:
        """Grey value at which the channel is clipped."""
        if self.levels is None:
            return saturation_level(plane)
        return self.levels[channel].saturation
