"""Where the heights of texture end and those of foci begin, over all images of a batch.

A texture's summits have heights of their own distribution. In a normal field divided by an SD that
was estimated with ν degrees of freedom, the number of maxima above a high level h is in proportion
to h (1 + h²/ν)^(-(ν-1)/2), which is h exp(-h²/2) where the SD is known (expected Euler
characteristic of a t field in the plane, Worsley 1994, Adv Appl Probab 26:13). Texture follows it
with a scale that differs little from 1. Its high summits are what becomes false foci in nuclei that
have few or none: beyond 5.5 a normal field's tail has a fifth of those that there are. The heights
of foci are log-normal.

Both shapes are the same for all images of a batch and are fitted to all of them together, by
expectation maximisation; the share of foci is each image's own. The threshold is where a summit is
a focus with a probability of 0.42, a local false discovery rate of 0.58 (Efron 2004, J Am Stat
Assoc 99:96): there missed foci and false ones nearly balance, in an image with no focus as in one
with many; of few foci as weak as three SDs of their surroundings a tenth more are missed. Pooling
matters: with one share for all, few foci are found in the midst of many false ones, or many are
missed (tests/benchmarks/foci.py prints both).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
SCALES = np.linspace(0.5, 1.45, 191)
# ν: the noise around a place is an estimate, and texture differs within a nucleus. Simulated nuclei
# without foci say 12 to 15; even texture may be as good as a normal field.
FREEDOMS = 15.0, 40.0, 1000.0
# A summit counts as a focus where it is one with this probability. F1 is highest at half of its own
# highest value (Lipton, Elkan & Narayanaswamy 2014, ECML PKDD 225), 0.8 to 0.9 for weak foci; for
# bright ones it hardly matters.
PROBABILITY = 0.42
WIDTHS = 0.1, 0.8
# As though so many summits had been seen before, in a usual texture and of usual foci: they steady
# a single image and weigh nothing in a batch.
PRIOR_TEXTURE, PRIOR_SCALE, PRIOR_FREEDOM = 50.0, 1.0, 15.0
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
        thresholds: one an image, noise SDs: where a summit is a focus with PROBABILITY.
        shares: share of foci among each image's summits above START.
        false_foci: summits of texture above the threshold that each image is expected to have.
        texture_scale: scale of the heights of texture, about 1.
        texture_freedom: ν of their distribution; many is a normal field.
        focus_height: median height of foci, noise SDs.
        focus_width: SD of the logarithm of their heights.
    """

    thresholds: Floats
    shares: Floats
    false_foci: Floats
    texture_scale: float
    texture_freedom: float
    focus_height: float
    focus_width: float


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Texture of one ν and foci, fitted to a batch.

    Attributes:
        shares: of foci, each image.
        scale: of the texture.
        freedom: ν of the texture.
        middle: mean of the logarithm of the foci's heights.
        width: SD of that logarithm.
        likelihood: logarithm of the counts' probability, that of the texture's prior included.
    """

    shares: Floats
    scale: float
    freedom: float
    middle: float
    width: float
    likelihood: float


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
    # Scale and ν fitted in turn would stop at the ν they set out from.
    fits = [_fit(counts, freedom) for freedom in FREEDOMS]
    fit = max(fits, key=lambda each: each.likelihood)
    texture = np.exp(_log_textures(fit.freedom)[fit.scale == SCALES])
    is_focus = _posterior(fit.shares, texture[0], _foci(fit.middle, fit.width))
    thresholds = np.array([_crossing(each) for each in _no_less_above(is_focus, fit.middle)])
    above = _share_above(thresholds, fit.scale, fit.freedom)
    false_foci = (1 - fit.shares) * counts.sum(axis=1) * above
    height = float(np.exp(fit.middle))
    return Parting(thresholds, fit.shares, false_foci, fit.scale, fit.freedom, height, fit.width)


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
    above = _share_above(levels, parting.texture_scale, parting.texture_freedom)
    few = summits * above <= false_foci * n_nuclei
    return float(levels[np.argmax(few)]) if few.any() else HIGHEST


def _middles() -> Floats:
    middles: Floats = np.sqrt(EDGES[1:] * EDGES[:-1])
    return middles


def _beyond(heights: Floats | float, scale: Floats | float, freedom: float) -> Floats:
    """Number of a texture's summits above a height, up to a factor."""
    relative = np.asarray(heights) / scale
    density = np.exp(-(freedom - 1) / 2 * np.log1p(relative**2 / freedom))
    return np.asarray(relative * density, dtype=np.float64)


def _share_above(heights: Floats, scale: float, freedom: float) -> Floats:
    """Share of a texture's summits above START that exceed a height."""
    return np.asarray(_beyond(heights, scale, freedom) / _beyond(START, scale, freedom))


@lru_cache(maxsize=len(FREEDOMS))
def _log_textures(freedom: float) -> Floats:
    """Logarithm of the probability of each bin for texture of each of SCALES, (scales, bins)."""
    above = _beyond(EDGES[None], SCALES[:, None], freedom)
    return np.log(-np.diff(above, axis=1) / above[:, :1] + 1e-300)


@lru_cache(maxsize=1)
def _usual_texture() -> Floats:
    """Counts of the summits that are as though seen before, (bins,)."""
    above = _beyond(EDGES, PRIOR_SCALE, PRIOR_FREEDOM)
    return np.asarray(-PRIOR_TEXTURE * np.diff(above) / above[0])


def _foci(middle: float, width: float) -> Floats:
    """Probability of each bin for foci: log-normal, cut at START."""
    below = ndtr((np.log(EDGES) - middle) / width)
    return np.asarray(np.diff(below) / max(1 - below[0], 1e-3) + 1e-300)


def _fit(counts: Floats, freedom: float) -> _Fit:
    """Texture of this ν and foci, by expectation maximisation."""
    textures, texture = _log_textures(freedom), 0
    is_focus = np.tile((_middles() > GUESS).astype(np.float64), (len(counts), 1))
    middle, width = PRIOR_HEIGHT, PRIOR_WIDTH
    shares = np.zeros(len(counts))
    a, b = PRIOR_SHARE
    for _ in range(STEPS):
        before = shares
        weight = is_focus * counts
        shares = (weight.sum(axis=1) + a) / (counts.sum(axis=1) + a + b)
        foci = weight.sum(axis=0)
        texture = int(np.argmax(textures @ (counts.sum(axis=0) - foci + _usual_texture())))
        middle, width = _fit_foci(foci)
        is_focus = _posterior(shares, np.exp(textures[texture]), _foci(middle, width))
        if np.abs(shares - before).max(initial=0) < 1e-6:
            break
    of_texture = (1 - shares[:, None]) * np.exp(textures[texture])
    both = np.log(shares[:, None] * _foci(middle, width) + of_texture)
    likelihood = float((counts * both).sum() + _usual_texture() @ textures[texture])
    return _Fit(shares, float(SCALES[texture]), freedom, middle, width, likelihood)


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


def _no_less_above(is_focus: Floats, middle: float) -> Floats:
    """Posterior that does not fall again above the foci's usual height.

    What is higher than a usual focus is no less one. Where foci are much alike, their narrow
    distribution ends before a texture's tail does, and all that is higher would be texture.
    """
    usual = int(np.searchsorted(_middles(), np.exp(middle)))
    higher = np.maximum.accumulate(is_focus[:, usual:], axis=1)
    return np.concatenate([is_focus[:, :usual], higher], axis=1)


def _crossing(is_focus: Floats) -> float:
    """Lowest height above which all summits count as foci."""
    within = (EDGES[:-1] >= LOWEST) & (EDGES[1:] <= HIGHEST)
    below = np.flatnonzero(within & (is_focus < PROBABILITY))
    return float(EDGES[below[-1] + 1]) if below.size else LOWEST
