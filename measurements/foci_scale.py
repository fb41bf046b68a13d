"""What foci are judged by and only a whole image tells, so that all parts of a slide agree.

An image in one piece takes it from itself. Of a slide it is added up over blocks, and given to each
of them: the measurements of a nucleus are then those that it has in the whole image.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.foci_settings import FociSettings
from measurements.histogram import Histogram
from measurements.regions import Floats, divide

# Every which row and column tells how dark the image is, and what share of its pixels is darker.
SAMPLED = 4
DARKEST = 0.01
# How far, times the SD of a focus, what lies around a nucleus makes itself felt: level and
# band-pass 9.2, the first noise 17.5 (7 and twice the response of foci), each of the two others
# 22.4 (7, level and band-pass again, the light of foci 4 and its fit 2.2), surroundings of peaks
# 8.4.
REACH = 80.0
# The mean of a nucleus and three times its noise reach through all of it, and to its neighbours.
REACH_NUCLEI = 4.0


@dataclass(frozen=True, slots=True)
class Ground:
    """Grey values of a picture that is one region in all, as it is where RNA spots are looked for.

    Attributes:
        mean: of all pixels.
        sd: standard deviation of all pixels.
        median: of all pixels; the level where there is nothing but spots around.
        smooth_sd: SD of the picture less its level, smoothed as spots are; None while not known.
    """

    mean: float
    sd: float
    median: float
    smooth_sd: float | None = None

    @classmethod
    def of(cls, pixels: Histogram) -> "Ground":
        """From all grey values, whose histograms add up, so that blocks give the same numbers."""
        finite = pixels.finite()
        n = max(finite.total, 1)
        mean = float((finite.values * finite.counts).sum()) / n
        square = float(((finite.values - mean) ** 2 * finite.counts).sum()) / n
        return cls(mean, float(np.sqrt(square)), float(np.nan_to_num(finite.median())))


@dataclass(frozen=True, slots=True)
class ImageScale:
    """What is known of a channel of a whole image.

    Attributes:
        dark: `darkest`, grey values.
        brightest: `brightest`, grey values.
        typical: `typical_square` of each estimate of the noise that is known so far; where it is
            not, that of the nuclei at hand. None: the image is whole, all of them are its own.
        threshold: noise SDs that foci of the image exceed if it stands alone; None while it is not
            known.
        ground: of a picture that is one region in all; None where nuclei have levels of their own.
    """

    dark: float
    brightest: float
    typical: tuple[float, ...] | None = ()
    threshold: float | None = None
    ground: Ground | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What each nucleus adds to one estimate of the noise; one value a nucleus.

    Attributes:
        counts: pixels that count.
        squares: sum of the squares of their responses, grey values squared.
    """

    counts: Floats
    squares: Floats


def sampled(image: NDArray[Any], origin: tuple[int, int] = (0, 0)) -> Histogram:
    """Grey values of every fourth row and column; histograms of parts of an image add up.

    Args:
        image: (..., y, x), any real dtype; NaN and infinite values count as 0.
        origin: row and column of its first pixel in the larger image.
    """
    rows, columns = (-place % SAMPLED for place in origin)
    pixels = image[..., rows::SAMPLED, columns::SAMPLED]
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels, nan=0, posinf=0, neginf=0)
    return Histogram.of(pixels)


def darkest(pixels: Histogram) -> float:
    """Level of the darkest part of an image: the 1st percentile of `sampled`; 0 of nothing."""
    return float(np.nan_to_num(pixels.quantile(DARKEST)))


def brightest(image: NDArray[Any]) -> float:
    """Largest absolute grey value, NaN left out; of integers, which are not asked, 0."""
    if image.dtype.kind != "f":
        return 0.0
    return float(np.fmax.reduce(np.abs(image), axis=None, initial=0))


def typical_square(counts: float, squares: float) -> float:
    """Mean square of the response in a usual nucleus; NaN where no pixel counts.

    In single precision: the sums that it is of, taken in any order, give one number.
    """
    return float(np.float32(divide(np.array(squares), np.array(counts))))


def reach_px(settings: FociSettings, diameter: float) -> float:
    """How far around a nucleus its foci and their noise depend on what is there, px.

    Args:
        settings: scale of the foci.
        diameter: of the nuclei, px.
    """
    return REACH * max(settings.sigmas(2)) + REACH_NUCLEI * diameter
