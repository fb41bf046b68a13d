"""Reporter channels of one image: what is measured before the whole study can be unmixed."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured
from measurements.haze import HazeSettings, estimate_haze
from measurements.intensity import SATURATED
from measurements.quality import QualityLimits, measure_saturated_cells
from measurements.regions import Floats, Regions
from measurements.reporters import HAZE, measure_reporter_channel
from pipelines.field.pixels import Grey, Pixels
from pipelines.field.place import Surroundings
from pipelines.study import Study
from pipelines.study.reporters import Reporters
from pipelines.study.settings import NucleiAsCells, Segmentation

HAZE_WIDTHS = (0.28, 0.56, 1.12)
"""SDs of the Gaussians in nuclear diameters [judgement]: a fifth to one diameter of a cell."""
HAZE_GAP = 0.07
"""Pixels around cells that the fit leaves out, in nuclear diameters [judgement]."""


def reporter_compartment(segmentation: Segmentation) -> str:
    """Where reporters are measured: by the settings, so that all images have the same columns."""
    if isinstance(segmentation.cells, NucleiAsCells):
        return "nucleus"
    return "cytoplasm" if segmentation.nuclei is not None else "cell"


def reporter_channels(study: Study, settings: Reporters) -> tuple[str, ...]:
    """The reporters' channels and that of the nuclear stain, which shows autofluorescence."""
    nuclei = study.segmentation.nuclei
    return tuple(dict.fromkeys((*settings.channels, *([nuclei.channel] if nuclei else []))))


def measure_reporter_field(
    settings: Reporters,
    study: Study,
    pixels: Pixels,
    compartments: Mapping[str, Regions],
    cells: NDArray[np.uint32],
    around: Surroundings,
) -> Measured:
    """Measure every channel that reporters are unmixed from.

    Args:
        settings: of the reporters.
        study: the settings of segmentation.
        pixels: the image.
        compartments: regions by name, all with the same ids.
        cells: (y, x) labels of the cells, for haze.
        around: where local background is read.
    """
    name = reporter_compartment(study.segmentation)
    regions = compartments[name]
    measured: dict[Column, NDArray[np.generic]] = {}
    for channel in reporter_channels(study, settings):
        plane = pixels.planes[channel]
        clean = plane
        if settings.haze:
            light = _haze(plane, cells, study, pixels.pixel_size_um)
            measured[HAZE.bind(channel=channel, compartment=name)] = regions.median(
                regions.gather(light)
            )
            clean = plane.astype(np.float64) - light
        background = around.background(clean, channel, "local").level
        measured |= measure_reporter_channel(
            clean, channel, name, regions, background, haze=settings.haze
        )
        level = around.saturation(plane, channel)
        share = regions.mean((regions.gather(plane) >= level).astype(np.float64))
        measured[SATURATED.bind(channel=channel, compartment=name)] = share
        measured |= measure_saturated_cells(
            plane, compartments["cell"], channel, level, QualityLimits()
        )
    return measured


def _haze(
    plane: Grey, cells: NDArray[np.uint32], study: Study, pixel_size_um: float | None
) -> Floats:
    """The light that bright cells spread over the channel; 0 where it cannot be told."""
    diameter = study.cellpose_settings()[0][1].in_px("diameter", pixel_size_um)
    widths = [share * diameter for share in HAZE_WIDTHS]
    return estimate_haze(plane, cells, HazeSettings(widths, HAZE_GAP * diameter)).light
