"""All that may be a focus in one image, measured: which peaks are foci is decided over all images.

See `pipelines.run.foci` for the decision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured, in_physical_units
from measurements.foci import Candidates, measure_peaks
from measurements.foci_columns import CHANNEL, FOCUS_PLANE
from measurements.foci_scale import ImageScale
from measurements.foci_settings import FociSettings
from measurements.regions import Regions
from pipelines.field.pixels import Grey, Pixels
from pipelines.study import Study
from pipelines.study.settings import Foci

FOCUS_Z = Column(
    "z_um", "µm", "float64",
    "Height of the focus above the first plane; empty where the distance of planes is unknown.",
    "plane x distance of the planes", aggregate=False,
)  # fmt: skip

Background = Callable[[Grey, str], NDArray[np.float64]]
"""Gives the background of a plane of a channel for each nucleus, grey values."""


@dataclass(frozen=True, eq=False)
class FociPart:
    """What may be foci in one image.

    Attributes:
        peaks: one value a peak and column, peaks of all channels below each other.
        nuclei: one value a nucleus and column, for each channel.
        heights: channel -> `measurements.foci_threshold.count_heights` of all its summits.
    """

    peaks: Measured
    nuclei: Measured
    heights: Mapping[str, list[int]]


def measure_foci_part(
    pixels: Pixels,
    nuclei: Regions,
    study: Study,
    background: Background,
    scales: Mapping[str, ImageScale] | None = None,
) -> FociPart | None:
    """Find and measure the peaks of every channel that foci are asked for in; None for none.

    Args:
        pixels: the image.
        nuclei: regions of the nuclei, of the cells' ids.
        study: the settings.
        background: of a plane, for each nucleus.
        scales: of the channels of the slide, where the image is part of one.
    """
    asked_for = [m for m in study.measurements if isinstance(m, Foci)]
    if not asked_for:
        return None
    # By the settings, never by the image: all images of a study have the same columns.
    deep = any(settings.stack is not None for settings in asked_for)
    of_slide = {} if scales is None else scales
    found = [
        (s, _candidates(s, pixels, nuclei, background, of_slide.get(s.channel))) for s in asked_for
    ]
    peaks = [_with_channel(s, c.peaks, pixels, deep=deep) for s, c in found]
    of_nuclei = [_with_channel(s, c.nuclei, pixels, deep=False) for s, c in found]
    size = pixels.pixel_size_um
    return FociPart(
        in_physical_units(_below_each_other(peaks), size),
        in_physical_units(_below_each_other(of_nuclei), size),
        {s.channel: c.heights.tolist() for s, c in found},
    )


def foci_settings(
    settings: Foci, pixel_size_um: float | None, z_step_um: float | None
) -> FociSettings:
    """The study's settings for one image, in pixels and planes."""
    sigma: float | tuple[float, ...] = settings.in_px("sigma", pixel_size_um)
    if settings.stack is not None:
        planes = settings.stack.sigma_z_planes
        if planes is None:
            assert settings.stack.sigma_z_um is not None  # held by FociStack
            assert z_step_um is not None  # held by check_stacks
            planes = settings.stack.sigma_z_um / z_step_um
        assert isinstance(sigma, float)
        sigma = (planes, sigma, sigma)
    threshold = settings.threshold if isinstance(settings.threshold, float) else None
    return FociSettings(sigma=sigma, threshold=threshold)


def looked_at(settings: Foci, study: Study) -> str:
    """What foci were looked for in, for the definition of their count."""
    if settings.stack is not None:
        return f"in the z-stack (nuclei from its projection, z: {study.z})"
    return f"in the image; of a z-stack, in its projection (z: {study.z})"


def _candidates(
    settings: Foci,
    pixels: Pixels,
    nuclei: Regions,
    background: Background,
    whole: ImageScale | None,
) -> Candidates:
    if settings.stack is None:
        plane = pixels.planes[settings.channel]
        chosen = foci_settings(settings, pixels.pixel_size_um, None)
        return measure_peaks(plane, nuclei, background(plane, settings.channel), chosen, whole)
    stack = pixels.stacks[settings.channel]
    chosen = foci_settings(settings, pixels.pixel_size_um, stack.z_step_um)
    # Nuclei are judged by their mean over all planes, and so is what is subtracted.
    below = background(stack.planes.mean(axis=0, dtype=np.float64), settings.channel)
    return measure_peaks(stack.planes, nuclei, below, chosen)


def _with_channel(settings: Foci, measured: Measured, pixels: Pixels, *, deep: bool) -> Measured:
    n = next(iter(measured.values())).size
    columns: dict[Column, NDArray[np.generic]] = {CHANNEL: np.full(n, settings.channel)}
    columns |= measured
    if deep:
        plane = np.asarray(measured.get(FOCUS_PLANE, np.full(n, np.nan)), dtype=np.float64)
        step = pixels.stacks[settings.channel].z_step_um if settings.stack is not None else None
        columns[FOCUS_PLANE] = plane
        columns[FOCUS_Z] = plane * (np.nan if step is None else step)
    return columns


def _below_each_other(tables: list[Measured]) -> Measured:
    """Rows of tables with the same columns."""
    return {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}
