"""Foci in nuclei as columns: one row a nucleus, zeros kept, and one row a focus."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured, area, position
from measurements.errors import MeasurementError
from measurements.foci_detection import Peaks, peaks_of
from measurements.foci_response import (
    FociSettings,
    Response,
    band_pass,
    robust_sds,
    weighted_blur,
)
from measurements.regions import Floats, Regions, divide

DETECTOR = "mask-normalised difference of Gaussians; measurements.foci_response"
EXTENT = "watershed basin of the band-pass response, down to half of its peak"

COUNT = Column(
    "{channel}_foci_count", "count", "uint32", "Foci of {channel} in the nucleus.", DETECTOR
)
INTEGRATED = Column(
    "{channel}_foci_integrated",
    "a.u.·px",
    "float64",
    "Sum over all foci of the nucleus of {channel} above the local level of the nucleus.",
    EXTENT,
)
AREA_FRACTION = Column(
    "{channel}_foci_area_fraction",
    "1",
    "float64",
    "Share of the nucleus that foci of {channel} cover.",
    EXTENT,
)
MEAN_CONTRAST = Column(
    "{channel}_foci_mean_contrast",
    "a.u.",
    "float64",
    "Mean contrast of the nucleus's foci of {channel}; NaN without foci.",
    DETECTOR,
)
THRESHOLD = Column(
    "{channel}_foci_threshold",
    "a.u.",
    "float64",
    "Band-pass response of {channel} above which a peak is a focus in this nucleus.",
    "median of the nucleus + threshold x noise; noise of the batch's controls where given",
)
PAN_NUCLEAR = Column(
    "{channel}_pan_nuclear",
    "flag",
    "bool",
    "The nucleus is bright in {channel} all over and even, so that it has no foci to count.",
    "[judgement] mean above background over 3 x the reference and variation under 0.25; the "
    "reference is given, or the median nucleus of the image",
)

NUCLEUS_ID = Column(
    "cell_id",
    "key",
    "uint32",
    "Label of the nucleus that the focus of {channel} is in.",
    "labels",
    aggregate=False,
)
FOCUS_ID = Column(
    "focus_id",
    "key",
    "uint32",
    "Number of the focus of {channel} in its image, from 1.",
    "order",
    aggregate=False,
)
FOCUS_Y = position("y", "Row of the focus of {channel}; 0 is the first pixel's centre.", DETECTOR)
FOCUS_X = position(
    "x", "Column of the focus of {channel}; 0 is the first pixel's centre.", DETECTOR
)
FOCUS_AREA = area("area", "Pixels of the focus of {channel}.", EXTENT)
FOCUS_CONTRAST = Column(
    "contrast",
    "a.u.",
    "float64",
    "Grey value of {channel} at the focus's peak less the nucleus's level around it.",
    "peak - local background",
)
FOCUS_SNR = Column(
    "snr",
    "1",
    "float64",
    "Contrast of the focus of {channel} over the SD of the nucleus around it, foci left out.",
    "(peak - local background) / SD of the nucleus's texture and noise around it",
)
FOCUS_INTEGRATED = Column(
    "integrated",
    "a.u.·px",
    "float64",
    "Sum of {channel} above the local level over the focus's pixels.",
    EXTENT,
)


@dataclass(frozen=True, slots=True)
class PanNuclearSettings:
    """When a nucleus counts as stained all over [judgement].

    Attributes:
        level: mean above background of a usual nucleus, e.g. the median of the controls; None
            takes the median nucleus of the image, which misses an image full of such nuclei.
        factor: a pan-nuclear one has this many times that level.
        variation: its robust SD over mean above background, at the scale of foci, is below this.
    """

    level: float | None = None
    factor: float = 3.0
    variation: float = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Foci:
    """Foci of one channel in one image.

    Attributes:
        nuclei: one value a nucleus, in the rows of the regions; NaN (count 0) where the image
            lacks the nucleus.
        foci: one value a focus.
        labels: int32 image (y, x): focus_id on each focus's pixels, for pictures.
    """

    nuclei: Measured
    foci: Measured
    labels: NDArray[np.int32]


def measure_foci(
    image: NDArray[Any],
    channel: str,
    nuclei: Regions,
    background: Floats,
    settings: FociSettings,
    pan_nuclear: PanNuclearSettings,
) -> Foci:
    """Find and measure the foci of one channel.

    Args:
        image: one channel (y, x), any real dtype; a projection where there was a stack.
        channel: the channel's name in the columns.
        nuclei: regions of the nuclei.
        background: the channel's background for each nucleus, used for the pan-nuclear flag only.
        settings: how foci are found.
        pan_nuclear: when a nucleus counts as stained all over.

    Raises:
        MeasurementError: shapes or lengths that do not fit.
    """
    if background.shape != (len(nuclei),):
        raise MeasurementError(
            f"Expected one background for each of {len(nuclei)} nuclei, got {background.shape}."
        )
    response = band_pass(image, nuclei, settings)
    peaks = peaks_of(response, settings)
    foci = _measure_each(peaks)
    per_nucleus = _sum_up(foci, peaks, nuclei)
    per_nucleus[THRESHOLD] = response.centre + settings.threshold * response.noise
    per_nucleus[PAN_NUCLEAR] = _pan_nuclear(
        image, response, nuclei, background, settings, pan_nuclear
    )
    foci = {NUCLEUS_ID: nuclei.ids[peaks.row], FOCUS_ID: _numbers(peaks), **foci}
    return Foci(
        {column.bind(channel=channel): data for column, data in per_nucleus.items()},
        {column.bind(channel=channel): data for column, data in foci.items()},
        peaks.labels,
    )


def _numbers(peaks: Peaks) -> NDArray[np.uint32]:
    return np.arange(1, peaks.pixel.size + 1, dtype=np.uint32)


def _measure_each(peaks: Peaks) -> dict[Column, NDArray[Any]]:
    extents = Regions.of(peaks.labels, _numbers(peaks))
    return {
        FOCUS_Y: peaks.y,
        FOCUS_X: peaks.x,
        FOCUS_AREA: extents.areas.astype(np.float64),
        FOCUS_CONTRAST: peaks.contrast,
        FOCUS_SNR: peaks.snr,
        FOCUS_INTEGRATED: extents.sum(extents.gather(peaks.above)),
    }


def _sum_up(
    foci: dict[Column, NDArray[Any]], peaks: Peaks, nuclei: Regions
) -> dict[Column, NDArray[Any]]:
    def total(column: Column) -> Floats:
        sums = np.bincount(peaks.row, foci[column], minlength=len(nuclei))
        return sums.astype(np.float64)

    present = nuclei.areas > 0
    count = np.bincount(peaks.row, minlength=len(nuclei))
    return {
        COUNT: count.astype(np.uint32),
        INTEGRATED: np.where(present, total(FOCUS_INTEGRATED), np.nan),
        AREA_FRACTION: divide(total(FOCUS_AREA), nuclei.areas),
        MEAN_CONTRAST: divide(total(FOCUS_CONTRAST), count),
    }


def _pan_nuclear(
    image: NDArray[Any],
    response: Response,
    nuclei: Regions,
    background: Floats,
    settings: FociSettings,
    pan_nuclear: PanNuclearSettings,
) -> NDArray[np.bool_]:
    mean = nuclei.mean(nuclei.gather(image)) - background
    known = mean[np.isfinite(mean)]
    usual = pan_nuclear.level
    if usual is None:
        usual = float(np.median(known)) if known.size else np.nan
    mask = (response.index > 0).astype(np.float64)
    smooth = weighted_blur(response.levelled, mask, settings.sigma)
    spread = robust_sds(nuclei, nuclei.gather(smooth))
    even = divide(spread, mean) < pan_nuclear.variation
    bright: NDArray[np.bool_] = mean > pan_nuclear.factor * usual
    return bright & even
