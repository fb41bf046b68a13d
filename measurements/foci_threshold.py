"""Where the heights of texture end and those of foci begin.

The heights of a texture's summits fall off exponentially, whatever the texture, once they are a few
SDs high; those of foci have a distribution of their own, over a wide range. Both are fitted by
expectation maximisation, and the threshold is where a summit is as likely the one as the other
(local false discovery rate 1/2, Efron 2004, J Am Stat Assoc 99:96): there, missed foci and false
ones balance, so that counts are right on average.
"""

import numpy as np

from measurements.regions import Floats

# Summits below are left out of the fit: they are texture and noise, of another distribution.
START = 2.5
# Without enough summits, or without a sign of foci among them, the threshold is this one.
USUAL = 4.5
FEWEST = 30
# The fit decides between these only.
LOWEST, HIGHEST = 2.6, 5.5
# Mean excess over START of texture's summits: a normal field's is 0.35, and a fit that gave texture
# a longer tail than 0.6 would take dim foci for it.
FALLS = 0.2, 0.6
# Log-likelihood that foci must add, in log(n): the Bayesian information criterion asks for half of
# log(n) for each of three parameters, of which texture's cap leaves about one to choose.
WORTH = 0.5
# A smaller, second distribution with a median below is the bend in texture's own, not foci.
LOW_FOCI = 4.0
STEPS = 100


def parting_height(heights: Floats) -> float:
    """Height at which summits part into texture and foci.

    Args:
        heights: heights of all summits of an image, or of the images of a batch, in noise SDs.
    """
    heights = heights[np.isfinite(heights) & (heights > START)]
    if heights.size < FEWEST:
        return USUAL
    share, fall, middle, width = _fit(heights)
    grid = np.linspace(LOWEST, HIGHEST, 221)
    texture, foci = _densities(grid, fall, middle, width)
    fitted, foci_at = _densities(heights, fall, middle, width)
    both = np.log((1 - share) * fitted + share * foci_at).sum()
    mean = float(np.mean(heights - START))
    alone = -heights.size * (np.log(mean) + 1)
    bend = share < 0.5 and middle < np.log(LOW_FOCI)
    if bend or both - alone < WORTH * np.log(heights.size):
        return USUAL
    more_foci = share * foci >= (1 - share) * texture
    return float(grid[np.argmax(more_foci)]) if more_foci.any() else HIGHEST


def _fit(heights: Floats) -> tuple[float, float, float, float]:
    """Share of foci, mean excess of texture over START, mean and SD of the log height of foci."""
    logs = np.log(heights)
    is_focus = (heights > USUAL).astype(np.float64)
    share, fall, middle, width = 0.5, 0.5, 0.0, 0.0
    for _ in range(STEPS):
        weight = is_focus.sum() + 1e-9
        share = float(np.clip(is_focus.mean(), 1e-3, 1 - 1e-3))
        fall = float(((1 - is_focus) * (heights - START)).sum() / ((1 - is_focus).sum() + 1e-9))
        fall = float(np.clip(fall, *FALLS))
        middle = float((is_focus * logs).sum() / weight)
        width = float(np.sqrt((is_focus * (logs - middle) ** 2).sum() / weight))
        width = float(np.clip(width, 0.1, 1.0))
        texture, foci = _densities(heights, fall, middle, width)
        is_focus = share * foci / (share * foci + (1 - share) * texture + 1e-300)
    return share, fall, middle, width


def _densities(heights: Floats, fall: float, middle: float, width: float) -> tuple[Floats, Floats]:
    """Densities of texture (exponential above START) and foci (log-normal) at these heights."""
    texture = np.exp(-(heights - START) / fall) / fall
    deviation = (np.log(heights) - middle) / width
    foci = np.exp(-(deviation**2) / 2) / (heights * width * np.sqrt(2 * np.pi))
    return texture, foci
