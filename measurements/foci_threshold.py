"""Where the heights of texture end and those of foci begin, over all images of a batch.

A texture's summits have heights of their own distribution: in a normal field the number of maxima
above a high level h is in proportion to h exp(-h²/2) (expected Euler characteristic in the plane,
Adler & Taylor 2007, Random Fields and Geometry, section 11.7; Worsley 1996, Hum Brain Mapp 4:58);
real texture follows it with a scale that differs little from 1. The heights of foci are log-normal.
Both shapes are the same for all images of a batch and are fitted to all of them together, by
expectation maximisation; the share of foci is each image's own. The threshold is where a summit is
as likely the one as the other (local false discovery rate 1/2, Efron 2004, J Am Stat Assoc 99:96):
there missed foci and false ones balance, so that counts are right on average, in an image with no
focus as in one with many. Pooling matters: with one share for all, few foci are found in the midst
of many false ones, or many are missed (tests/benchmarks/foci.py prints both).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from measurements.regions import Floats

# Summits below are left out: there are so many that they alone would shape the fit.
START = 2.2
# Thresholds lie between these. Lower summits are not worth keeping; higher ones nobody doubts.
LOWEST, HIGHEST = 3.0, 10.0
# Heights are counted in these bins, 1 % wide; what is higher falls into the last.
EDGES = np.geomspace(START, 250.0, 474)
SCALES = np.linspace(0.7, 1.45, 151)
WIDTHS = 0.1, 0.8
# As though so many summits had been seen before, in a usual texture and of usual foci: they steady
# a single image and weigh nothing in a batch.
PRIOR_TEXTURE, PRIOR_SCALE = 50.0, 1.2
PRIOR_FOCI, PRIOR_HEIGHT, PRIOR_WIDTH = 5.0, 6.0, 0.3
PRIOR_SHARE = 0.5, 9.5
# Summits above are foci to begin with.
GUESS = 4.5
STEPS = 200

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Parting:
    """Heights of texture and foci in a batch of images.

    Attributes:
        thresholds: one an image, noise SDs: where a summit is as likely texture as a focus.
        shares: share of foci among each image's summits above START.
        texture_scale: scale of the heights of texture; 1 in a normal field.
        focus_height: median height of foci, noise SDs.
        focus_width: SD of the logarithm of their heights.
    """

    thresholds: Floats
    shares: Floats
    texture_scale: float
    focus_height: float
    focus_width: float


def count_heights(heights: Floats) -> Counts:
    """Numbers of summits by height, the form in which images are pooled: (bins,)."""
    known = heights[np.isfinite(heights)]
    counts, _ = np.histogram(np.minimum(known, EDGES[-2]), EDGES)
    return counts.astype(np.int64)


def parting_heights(images: Sequence[Counts]) -> Parting:
    """Thresholds of all images of a batch.

    Args:
        images: `count_heights` of every image, summits of all its nuclei.
    """
    counts = np.asarray(images, dtype=np.float64).reshape(len(images), EDGES.size - 1)
    is_focus = np.tile((_middles() > GUESS).astype(np.float64), (len(images), 1))
    scale, middle, width = PRIOR_SCALE, PRIOR_HEIGHT, PRIOR_WIDTH
    shares = np.zeros(len(images))
    for _ in range(STEPS):
        before = shares
        weight = is_focus * counts
        a, b = PRIOR_SHARE
        shares = (weight.sum(axis=1) + a) / (counts.sum(axis=1) + a + b)
        foci = weight.sum(axis=0)
        scale = _fit_texture(counts.sum(axis=0) - foci)
        middle, width = _fit_foci(foci)
        is_focus = _posterior(shares, _texture(np.array([scale]))[0], _foci(middle, width))
        if np.abs(shares - before).max(initial=0) < 1e-6:
            break
    thresholds = np.array([_crossing(each) for each in is_focus])
    return Parting(thresholds, shares, scale, float(np.exp(middle)), width)


def parting_height(heights: Floats) -> float:
    """Threshold of an image alone.

    Args:
        heights: heights of all its summits, noise SDs.
    """
    return float(parting_heights([count_heights(heights)]).thresholds[0])


def control_height(images: Sequence[Counts], n_nuclei: int, false_foci: float) -> float:
    """Threshold that the texture of control nuclei exceeds so many times a nucleus, on average.

    Foci that the controls have do not count: the texture's share of the summits is fitted.

    Args:
        images: `count_heights` of every control image.
        n_nuclei: control nuclei in them.
        false_foci: summits of texture a nucleus that are put up with.

    Returns:
        Noise SDs, between LOWEST and HIGHEST; NaN without control nuclei.
    """
    if n_nuclei == 0:
        return float("nan")
    parting = parting_heights(images)
    totals = np.asarray(images, dtype=np.float64).sum(axis=1)
    summits = float(((1 - parting.shares) * totals).sum())
    levels = EDGES[(EDGES >= LOWEST) & (EDGES <= HIGHEST)]
    above = _beyond(levels, parting.texture_scale) / _beyond(START, parting.texture_scale)
    few = summits * above <= false_foci * n_nuclei
    return float(levels[np.argmax(few)]) if few.any() else HIGHEST


def _middles() -> Floats:
    middles: Floats = np.sqrt(EDGES[1:] * EDGES[:-1])
    return middles


def _beyond(heights: Floats | float, scale: Floats | float) -> Floats:
    """Number of a texture's summits above a height, up to a factor."""
    relative = np.asarray(heights) / scale
    return np.asarray(relative * np.exp(-(relative**2) / 2), dtype=np.float64)


def _texture(scales: Floats) -> Floats:
    """Probability of each bin for texture of each scale, (scales, bins)."""
    above = _beyond(EDGES[None], scales[:, None])
    return np.asarray(-np.diff(above, axis=1) / above[:, :1] + 1e-300)


def _foci(middle: float, width: float) -> Floats:
    """Probability of each bin for foci: log-normal, cut at START."""
    below = ndtr((np.log(EDGES) - middle) / width)
    return np.asarray(np.diff(below) / max(1 - below[0], 1e-3) + 1e-300)


def _fit_texture(counts: Floats) -> float:
    """Most likely scale."""
    prior = PRIOR_TEXTURE * _texture(np.array([PRIOR_SCALE]))[0]
    likelihood = np.log(_texture(SCALES)) @ (counts + prior)
    return float(SCALES[np.argmax(likelihood)])


def _fit_foci(counts: Floats) -> tuple[float, float]:
    """Mean and SD of the logarithm of the heights."""
    logs, n = np.log(_middles()), counts.sum() + PRIOR_FOCI
    middle = (counts @ logs + PRIOR_FOCI * np.log(PRIOR_HEIGHT)) / n
    variance = (counts @ (logs - middle) ** 2 + PRIOR_FOCI * PRIOR_WIDTH**2) / n
    return float(middle), float(np.clip(np.sqrt(variance), *WIDTHS))


def _posterior(shares: Floats, texture: Floats, foci: Floats) -> Floats:
    """Probability that a summit of each height is a focus, (images, bins)."""
    of_foci = shares[:, None] * foci
    return np.asarray(of_foci / (of_foci + (1 - shares[:, None]) * texture))


def _crossing(is_focus: Floats) -> float:
    """Lowest height above which all summits are rather foci."""
    within = (EDGES[:-1] >= LOWEST) & (EDGES[1:] <= HIGHEST)
    rather_not = np.flatnonzero(within & (is_focus < 0.5))
    return float(EDGES[rather_not[-1] + 1]) if rather_not.size else LOWEST
