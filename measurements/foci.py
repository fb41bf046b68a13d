"""Foci in nuclei as columns: one row a nucleus, zeros kept, and one row a focus.

In two steps, since what is a focus is decided over all images of a batch: `measure_peaks` finds and
measures everything that may be one in an image, `count_foci` applies the threshold.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.foci_columns import (
    AREA_FRACTION,
    AT_LEAST,
    COUNT,
    FOCUS_AREA,
    FOCUS_CONTRAST,
    FOCUS_HEIGHT,
    FOCUS_ID,
    FOCUS_INTEGRATED,
    FOCUS_PLANE,
    FOCUS_SNR,
    FOCUS_X,
    FOCUS_Y,
    INTEGRATED,
    MEAN_CONTRAST,
    NUCLEUS_AREA,
    NUCLEUS_ID,
    NUCLEUS_LEVEL,
    NUCLEUS_NOISE,
    NUCLEUS_VARIATION,
    PAN_NUCLEAR,
    THRESHOLD,
)
from measurements.foci_detection import Peaks, find_peaks, summits_of
from measurements.foci_pan_nuclear import is_pan_nuclear, level_and_variation
from measurements.foci_response import band_pass, mean_noise
from measurements.foci_scale import Evidence, ImageScale
from measurements.foci_settings import FociSettings
from measurements.foci_threshold import Counts, count_heights
from measurements.regions import Floats, Regions, divide


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What may be a focus in one channel of one image, and what it is judged by.

    Attributes:
        peaks: one value a peak.
        nuclei: one value a nucleus, in the rows of the regions.
        heights: `foci_threshold.count_heights` of all summits.
        threshold: noise SDs that foci exceed if the image stands alone.
        labels: int32, of the image's shape: focus_id on each peak's pixels.
    """

    peaks: Measured
    nuclei: Measured
    heights: Counts
    threshold: float
    labels: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class FociRule:
    """What makes a peak a focus.

    Attributes:
        threshold: noise SDs that its height exceeds; NaN where none could be had, which leaves
            counts missing.
        usual_level: mean above background of a usual nucleus, grey values; NaN where unknown,
            which calls no nucleus stained all over.
    """

    threshold: float
    usual_level: float


@dataclass(frozen=True, slots=True, eq=False)
class PeakValues:
    """Peaks of an image; one value each.

    Attributes:
        row: row of the nucleus.
        height: response over the noise around.
        area: in any unit, that of the nuclei.
        contrast: grey values.
        integrated: grey values times pixels.
    """

    row: NDArray[np.int64]
    height: Floats
    area: Floats
    contrast: Floats
    integrated: Floats


@dataclass(frozen=True, slots=True, eq=False)
class NucleusValues:
    """Nuclei of an image; one value each.

    Attributes:
        area: in any unit, that of the peaks; 0 where the image lacks the nucleus.
        noise: of the response, grey values.
        level: mean above background, grey values.
        variation: SD over mean at the scale of foci.
    """

    area: Floats
    noise: Floats
    level: Floats
    variation: Floats


def measure_peaks(
    image: NDArray[Any],
    nuclei: Regions,
    background: Floats,
    settings: FociSettings,
    whole: ImageScale | None = None,
) -> Candidates:
    """Find and measure all that may be a focus in one channel.

    Args:
        image: one channel, (y, x) or (z, y, x), any real dtype.
        nuclei: regions of the nuclei, in the image or in a plane of it.
        background: the channel's background for each nucleus, used to tell which are stained all
            over.
        settings: how foci are found. With a threshold, lower peaks are left out at once.
        whole: what is known of the larger image that this one was cut out of. Default: it is whole.

    Raises:
        MeasurementError: shapes or lengths that do not fit.
    """
    if background.shape != (len(nuclei),):
        raise MeasurementError(
            f"Expected one background for each of {len(nuclei)} nuclei, got {background.shape}."
        )
    response = band_pass(image, nuclei, settings, whole)
    peaks = find_peaks(response, settings, None if whole is None else whole.threshold)
    level, variation = level_and_variation(response, background, settings)
    per_nucleus: dict[Column, NDArray[Any]] = {
        NUCLEUS_ID: nuclei.ids,
        NUCLEUS_AREA: nuclei.areas.astype(np.float64),
        NUCLEUS_NOISE: mean_noise(response),
        NUCLEUS_LEVEL: level,
        NUCLEUS_VARIATION: variation,
    }
    return Candidates(
        _measure_each(peaks, nuclei), per_nucleus, peaks.all_heights, peaks.threshold, peaks.labels
    )


def noise_evidence(
    image: NDArray[Any], nuclei: Regions, settings: FociSettings, whole: ImageScale
) -> Evidence:
    """What each nucleus adds to the first estimate of the noise that `whole` lacks a typical of."""
    return band_pass(image, nuclei, settings, whole).evidence[-1]


def heights_in(
    image: NDArray[Any],
    nuclei: Regions,
    settings: FociSettings,
    whole: ImageScale,
    wanted: NDArray[np.bool_],
) -> Counts:
    """`foci_threshold.count_heights` of the summits in the wanted ones of the nuclei.

    Args:
        image: see `measure_peaks`.
        nuclei: the same.
        settings: the same.
        whole: the same, with all of `typical`.
        wanted: one value a nucleus.
    """
    response = band_pass(image, nuclei, settings, whole)
    summits = summits_of(response, settings)
    rows = response.index[tuple(summits.at.T)] - 1
    return count_heights(summits.height[wanted[rows]])


def count_foci(
    channel: str, where: str, peaks: PeakValues, nuclei: NucleusValues, rule: FociRule
) -> tuple[Measured, NDArray[np.bool_]]:
    """Apply a threshold to the peaks of one channel of an image.

    Nuclei that are stained all over have no foci that could be counted: their counts are missing,
    not 0, or the most damaged nuclei would lower the mean.

    Args:
        channel: its name in the columns.
        where: what foci were looked for in, such as "in the stack", for the definition of counts.
        peaks: what may be foci.
        nuclei: the nuclei.
        rule: the threshold.

    Returns:
        One value a nucleus, masked or NaN where there is none, and which peaks are foci.
    """
    n = nuclei.area.size
    even = is_pan_nuclear(nuclei.level, nuclei.variation, rule.usual_level)
    counted = (nuclei.area > 0) & ~even & np.isfinite(rule.threshold)
    is_focus = (peaks.height > rule.threshold) & counted[peaks.row]
    row = peaks.row[is_focus]

    def total(values: Floats) -> Floats:
        sums = np.bincount(row, values[is_focus], minlength=n)
        return np.where(counted, sums, np.nan)

    count = np.bincount(row, minlength=n).astype(np.uint32)
    columns = {
        COUNT: np.ma.MaskedArray(count, ~counted),
        **{column: np.ma.MaskedArray(count >= m, ~counted) for m, column in AT_LEAST.items()},
        INTEGRATED: total(peaks.integrated),
        AREA_FRACTION: divide(total(peaks.area), nuclei.area),
        MEAN_CONTRAST: divide(total(peaks.contrast), count),
        THRESHOLD: rule.threshold * nuclei.noise,
        PAN_NUCLEAR: even,
    }
    bound = {column.bind(channel=channel, where=where): v for column, v in columns.items()}
    return bound, is_focus


def _measure_each(peaks: Peaks, nuclei: Regions) -> Measured:
    n, axes = peaks.places.shape
    pixels = np.flatnonzero(peaks.labels)
    owner = peaks.labels.ravel()[pixels] - 1
    plane = {FOCUS_PLANE: peaks.places[:, 0]} if axes == 3 else {}
    return {
        NUCLEUS_ID: nuclei.ids[peaks.row],
        FOCUS_ID: np.arange(1, n + 1, dtype=np.uint32),
        **plane,
        FOCUS_Y: peaks.places[:, -2],
        FOCUS_X: peaks.places[:, -1],
        FOCUS_AREA: _areas(peaks, pixels, owner),
        FOCUS_HEIGHT: peaks.height,
        FOCUS_CONTRAST: peaks.contrast,
        FOCUS_SNR: peaks.snr,
        FOCUS_INTEGRATED: _sums(owner, peaks.above.ravel()[pixels], n),
    }


def _sums(owner: NDArray[np.int32], values: NDArray[np.float32], n: int) -> Floats:
    # bincount gives whole numbers where there is nothing to count, and tables must be alike.
    return np.bincount(owner, values, minlength=n).astype(np.float64)


def _areas(peaks: Peaks, pixels: NDArray[np.int64], owner: NDArray[np.int32]) -> Floats:
    """Pixels that each peak covers in the plane of the last two axes."""
    if peaks.labels.ndim == 3:
        # The same place in several planes counts once.
        plane = int(np.prod(peaks.labels.shape[1:]))
        owner = np.unique(owner.astype(np.int64) * plane + pixels % plane) // plane
    return np.bincount(owner, minlength=len(peaks.row)).astype(np.float64)
