"""Foci in nuclei as columns: one row a nucleus, zeros kept, and one row a focus."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured, area, position
from measurements.errors import MeasurementError
from measurements.foci_detection import Peaks, peaks_of
from measurements.foci_pan_nuclear import PanNuclearSettings, is_pan_nuclear
from measurements.foci_response import band_pass, mean_noise
from measurements.foci_settings import FociSettings
from measurements.regions import Floats, Regions, divide

DETECTOR = "mask-normalised difference of Gaussians over local noise; measurements.foci_response"
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
    "Band-pass response of {channel} above which a peak is a focus, on average over the nucleus.",
    "threshold x noise; both from the image, or noise of the batch's controls where given",
)
PAN_NUCLEAR = Column(
    "{channel}_pan_nuclear",
    "flag",
    "bool",
    "The nucleus is bright in {channel} all over and even, so that it has no foci to count.",
    "[judgement] mean above background over 3 x the reference and variation under 0.25; the "
    "reference is given, or the median nucleus of the image",
)

CHANNEL = Column("channel", "key", "str", "Channel of the focus.", "study", aggregate=False)
NUCLEUS_ID = Column(
    "cell_id", "key", "uint32", "Label of the nucleus that the focus is in.", "labels",
    aggregate=False,
)  # fmt: skip
FOCUS_ID = Column(
    "focus_id", "key", "uint32", "Number of the focus in its image and channel, from 1.", "order",
    aggregate=False,
)  # fmt: skip
FOCUS_PLANE = Column(
    "plane", "1", "float64", "Plane of the stack that the focus is in; 0 is the first.", DETECTOR,
    aggregate=False,
)  # fmt: skip
FOCUS_Y = position("y", "Row of the focus; 0 is the first pixel's centre.", DETECTOR)
FOCUS_X = position("x", "Column of the focus; 0 is the first pixel's centre.", DETECTOR)
FOCUS_AREA = area("area", "Pixels of the focus; in a stack, seen from above.", EXTENT)
FOCUS_CONTRAST = Column(
    "contrast",
    "a.u.",
    "float64",
    "Grey value at the focus's peak less the nucleus's level around it.",
    "peak - local background",
)
FOCUS_SNR = Column(
    "snr",
    "1",
    "float64",
    "Contrast of the focus over the SD of the nucleus around it, foci left out.",
    "(peak - local background) / SD of the nucleus's texture and noise around it",
)
FOCUS_INTEGRATED = Column(
    "integrated",
    "a.u.·px",
    "float64",
    "Sum of grey values above the local level over the focus's pixels.",
    EXTENT,
)


@dataclass(frozen=True, slots=True, eq=False)
class Foci:
    """Foci of one channel in one image.

    Attributes:
        nuclei: one value a nucleus, in the rows of the regions; NaN (count 0) where the image
            lacks the nucleus.
        foci: one value a focus.
        labels: int32, of the image's shape: focus_id on each focus's pixels, for pictures.
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
        image: one channel, (y, x) or (z, y, x), any real dtype.
        channel: the channel's name in the columns.
        nuclei: regions of the nuclei, in the image or in a plane of it.
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
    foci = _measure_each(peaks, channel, nuclei)
    per_nucleus = _sum_up(foci, peaks, nuclei)
    per_nucleus[THRESHOLD] = peaks.threshold * mean_noise(response, len(nuclei))
    per_nucleus[PAN_NUCLEAR] = is_pan_nuclear(response, background, settings, pan_nuclear)
    return Foci(
        {column.bind(channel=channel): data for column, data in per_nucleus.items()},
        foci,
        peaks.labels,
    )


def _measure_each(peaks: Peaks, channel: str, nuclei: Regions) -> dict[Column, NDArray[Any]]:
    n, axes = peaks.places.shape
    numbers = np.arange(1, n + 1, dtype=np.uint32)
    pixels = np.flatnonzero(peaks.labels)
    owner = peaks.labels.ravel()[pixels] - 1
    plane = {FOCUS_PLANE: peaks.places[:, 0]} if axes == 3 else {}
    return {
        CHANNEL: np.full(n, channel),
        NUCLEUS_ID: nuclei.ids[peaks.row],
        FOCUS_ID: numbers,
        **plane,
        FOCUS_Y: peaks.places[:, -2],
        FOCUS_X: peaks.places[:, -1],
        FOCUS_AREA: _areas(peaks, pixels, owner),
        FOCUS_CONTRAST: peaks.contrast,
        FOCUS_SNR: peaks.snr,
        FOCUS_INTEGRATED: np.bincount(owner, peaks.above.ravel()[pixels], minlength=n),
    }


def _areas(peaks: Peaks, pixels: NDArray[np.int64], owner: NDArray[np.int32]) -> Floats:
    """Pixels that each focus covers in the plane of the last two axes."""
    in_plane = pixels % int(np.prod(peaks.labels.shape[-2:]))
    seen = np.unique(np.stack([owner.astype(np.int64), in_plane]), axis=1)
    return np.bincount(seen[0], minlength=len(peaks.row)).astype(np.float64)


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
