"""Whether an image and its cells can be trusted: saturation, focus, wrapping (light: `light`).

Values come first and flags are made from them by thresholds that are arguments, so that a study
may set its own. Nothing is left out here; flags are columns.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.background import mode, robust_sd
from measurements.columns import Column, Measured
from measurements.histogram import Histogram
from measurements.regions import Floats, Regions, divide
from measurements.wrapping import WRAPPED, WRAPPED_JUMPS, wrapped_jumps

SATURATED_FRACTION = Column(
    "{channel}_image_saturated_fraction",
    "1",
    "float64",
    "Share of the image's pixels at which {channel} is at the camera's limit.",
    "pixels at or above measurements.quality.saturation_level",
)
IMAGE_BACKGROUND = Column(
    "{channel}_image_background",
    "a.u.",
    "float64",
    "Level of {channel} outside cells in the whole image.",
    "mode by mean shift; Comaniciu & Meer 2002 (IEEE TPAMI 24:603)",
)
FOCUS = Column(
    "{channel}_image_focus",
    "1",
    "float64",
    "Sharpness of {channel}: share of the image's variance that lies in fine detail; compare "
    "images of one stain and pixel size only.",
    "variance of the Laplacian (Pech-Pacheco et al. 2000, ICPR 3:314) of the image smoothed by "
    "1 px, over the image's variance, noise taken off both (MAD of Immerkær's 1996 mask)",
)
SATURATED = Column(
    "{channel}_saturated",
    "flag",
    "bool",
    "More of the image is saturated in {channel} than allowed.",
    "[judgement] over 0.1 % of the pixels",
)
CONSTANT = Column(
    "{channel}_constant", "flag", "bool", "All pixels of {channel} are equal.", "min = max"
)
BROKEN = Column(
    "{channel}_broken_pixels",
    "flag",
    "bool",
    "Pixels of {channel} are NaN or infinite: cells that they touch, or whose surroundings they "
    "touch, have no value.",
    "any",
)
EDGE_STEEPNESS = Column(
    "{channel}_edge_steepness",
    "1/px",
    "float64",
    "Steepest change of {channel} within and along the cell's nucleus, over its brightness.",
    "95th percentile of the gradient (Gaussian, 1 px) / median above background",
)
NUCLEUS_BRIGHTNESS = Column(
    "{channel}_nucleus_brightness",
    "a.u.",
    "float64",
    "Median grey value of {channel} in the nucleus less the field's background, by which debris is "
    "told.",
    "median - background",
)
OUT_OF_FOCUS = Column(
    "out_of_focus",
    "flag",
    "bool",
    "The nucleus is blurred in comparison with the nuclei of its image.",
    "[judgement] log edge steepness more than 3 robust SD below the median nucleus, from 5 nuclei",
)
SATURATED_CELL = Column(
    "{channel}_saturated_cell",
    "flag",
    "bool",
    "More of the cell is saturated in {channel} than allowed.",
    "[judgement] over 1 % of its pixels",
)

IMAGE_QUALITY = (
    SATURATED_FRACTION, IMAGE_BACKGROUND, FOCUS, WRAPPED_JUMPS, SATURATED, CONSTANT, BROKEN, WRAPPED
)  # fmt: skip
"""Columns of `measure_image_quality`."""

IMMERKAER_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float64)
MINIMUM_PILE = 10
PILE_FACTOR = 10.0
TOP_OF_RANGE = 0.05
FEWEST_COMPARED = 5
"""Values among which one can be unusual at all [judgement]."""
LOG_RESOLUTION = 1e-4
"""Over what a histogram rounds off a logarithm, so that equal values are no outliers."""
FOCUS_SMOOTHING = 1.0


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Where a value becomes a flag [judgement].

    Attributes:
        saturated_image: share of an image's pixels.
        saturated_cell: share of a cell's pixels.
        blur_sd: robust SD of log edge steepness below the median.
        wrapped_jumps: jumps of an image whose values wrapped around.
    """

    saturated_image: float = 0.001
    saturated_cell: float = 0.01
    blur_sd: float = 3.0
    wrapped_jumps: int = 10


def measure_image_quality(
    image: NDArray[Any], channel: str, foreground: NDArray[np.bool_], limits: QualityLimits
) -> Measured:
    """Judge one channel of one image.

    Args:
        image: one channel (y, x), any real dtype.
        channel: the channel's name in the columns.
        foreground: bool image, true on cells; all false where nothing is segmented.
        limits: thresholds of the flags.

    Returns:
        Columns of length 1.
    """
    constant = bool(image.size == 0 or image.min() == image.max())
    level = saturation_level(image)
    saturated = float(np.mean(image >= level)) if image.size else 0.0
    outside = image[~foreground]
    jumps = wrapped_jumps(image)
    values: dict[Column, float | bool] = {
        SATURATED_FRACTION: saturated,
        IMAGE_BACKGROUND: mode(Histogram.of(outside)),
        FOCUS: focus_score(image),
        WRAPPED_JUMPS: jumps,
        SATURATED: saturated > limits.saturated_image,
        CONSTANT: constant,
        BROKEN: not bool(np.isfinite(image).all()),
        WRAPPED: jumps >= limits.wrapped_jumps,
    }
    return {c.bind(channel=channel): np.array([v], dtype=c.dtype) for c, v in values.items()}


def measure_cell_quality(
    image: NDArray[Any], nuclei: Regions, channel: str, background: Floats, limits: QualityLimits
) -> Measured:
    """Judge the focus of every nucleus, on the channel that nuclei were segmented in.

    Args:
        image: one channel (y, x), any real dtype.
        nuclei: regions of the nuclei.
        channel: the channel's name in the columns.
        background: the channel's background for each nucleus.
        limits: thresholds of the flags.
    """
    gradient = ndimage.gaussian_gradient_magnitude(image.astype(np.float32), 1.0)
    steepest = nuclei.quantiles(nuclei.read(gradient), (0.95,))[0]
    brightness = nuclei.median(nuclei.read(image)) - background
    steepness = divide(steepest, brightness)
    return {
        EDGE_STEEPNESS.bind(channel=channel): steepness,
        NUCLEUS_BRIGHTNESS.bind(channel=channel): brightness,
        OUT_OF_FOCUS: outliers_below(steepness, log_levels(steepness), limits.blur_sd),
    }


def measure_saturated_cells(
    image: NDArray[Any], cells: Regions, channel: str, level: float, limits: QualityLimits
) -> Measured:
    """Flag the cells that are saturated in one channel.

    Args:
        image: one channel, any real dtype.
        cells: regions of the cells.
        channel: the channel's name in the columns.
        level: from `saturation_level` of the same image.
        limits: thresholds of the flags.
    """
    fraction = cells.mean((cells.gather(image) >= level).astype(np.float64))
    return {SATURATED_CELL.bind(channel=channel): fraction > limits.saturated_cell}


def saturation_level(image: NDArray[Any]) -> float:
    """Grey value at which the image is clipped; infinite where it is not: `clipping_level`."""
    return clipping_level(Histogram.of(image), image.dtype)


def clipping_level(pixels: Histogram, dtype: np.dtype[Any]) -> float:
    """Grey value at which an image is clipped; infinite where it is not.

    The largest value of an integer type is the limit wherever it is reached. A camera's own limit
    (4095 of a 12-bit camera in a 16-bit file, 1.0 of a scaled image) shows as a pile: at least 10
    pixels at the maximum, and 10 times as many as on the average grey value that occurs within
    the twentieth of the range below it [judgement]. A constant image is not called saturated.

    Args:
        pixels: all grey values of the image.
        dtype: its type.
    """
    values, counts = pixels.values, pixels.counts
    if values.size < 2 or dtype.kind == "b" or not np.isfinite(values[-1]):
        return float("inf")
    bottom, top = float(values[0]), float(values[-1])
    if dtype.kind in "ui" and top >= np.iinfo(dtype).max:
        return top
    below = counts[:-1][values[:-1] >= top - TOP_OF_RANGE * (top - bottom)]
    usual = float(below.mean()) if below.size else 0.0
    return top if counts[-1] >= max(MINIMUM_PILE, PILE_FACTOR * usual) else float("inf")


def focus_score(image: NDArray[Any]) -> float:
    """Share of the variance that lies in fine detail, see `FOCUS`; NaN for a constant image.

    Offset and gain of the camera cancel, and so does the area that cells cover, to first order:
    both variances grow with it.
    """
    pixels = image.astype(np.float64)
    if min(pixels.shape) < IMMERKAER_MASK.shape[0]:
        return float("nan")
    detail = ndimage.gaussian_laplace(pixels, FOCUS_SMOOTHING)
    noise = noise_sd(pixels)
    impulse = np.zeros((17, 17))
    impulse[8, 8] = 1
    gain = float(np.sum(ndimage.gaussian_laplace(impulse, FOCUS_SMOOTHING) ** 2))
    variance = float(pixels.var()) - noise**2
    if not variance > 0:
        return float("nan")
    return max(0.0, float(detail.var()) - gain * noise**2) / variance


def noise_sd(pixels: Floats) -> float:
    """SD of the pixel noise of an image that is flat nearly everywhere.

    Immerkær 1996 (Comput Vis Image Underst 64:300): a mask that planes and edges along the axes
    do not pass, of SD 6 for unit noise; here its median absolute value, which cells leave alone.
    """
    passed = ndimage.convolve(pixels, IMMERKAER_MASK)[1:-1, 1:-1]
    return robust_sd(passed) / 6


def log_levels(values: Floats) -> Histogram:
    """Histogram of the logarithms of values above 0; those of the blocks of a slide add up."""
    return Histogram.of(np.log(values[values > 0]))


def outliers_below(values: Floats, logs: Histogram, deviations: float) -> NDArray[np.bool_]:
    """Values whose logarithm lies this many robust SD below the median one; NaN is none.

    Of fewer than `FEWEST_COMPARED` none is: a SD of so few is chance, and that of one is 0.

    Args:
        values: of the cells in question.
        logs: `log_levels` of all cells of the image or the slide.
        deviations: how far below a value is an outlier.
    """
    if logs.total < FEWEST_COMPARED:
        return np.zeros(values.shape, dtype=bool)
    limit = logs.median() - deviations * logs.robust_sd() - LOG_RESOLUTION
    low: NDArray[np.bool_] = np.log(np.where(values > 0, values, np.nan)) < limit
    return low
