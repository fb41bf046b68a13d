"""Nuclei that are stained all over, which have no foci to count."""

import numpy as np
from numpy.typing import NDArray

from measurements.foci_response import Response
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import box, ratio, scaled
from measurements.regions import Floats, divide

# [judgement] Mean above background, times that of a usual nucleus, and SD over mean at the scale of
# foci, above and below which a nucleus counts as stained all over.
FACTOR = 3.0
VARIATION = 0.25


def level_and_variation(
    response: Response, background: Floats, settings: FociSettings
) -> tuple[Floats, Floats]:
    """How bright each nucleus is, and how uneven at the scale of foci.

    The SD is the mean absolute deviation times sqrt(π/2), its equivalent for a normal distribution,
    which a bright focus or a dim rim moves less than a mean square.

    Args:
        response: of the image.
        background: the channel's background for each nucleus.
        settings: scale of the foci.

    Returns:
        Mean above background, grey values, and SD over that mean; NaN for nuclei without pixels.
    """
    members = response.members
    mask = (response.index > 0).astype(np.float32)
    mean = divide(members.sums(response.bright), members.areas()) - background
    # A box of this reach has the SD of a focus.
    reach = scaled(settings.sigmas(mask.ndim), np.sqrt(3))
    smooth = ratio(box(response.levelled, reach), box(mask, reach)) * mask
    spread = np.sqrt(np.pi / 2) * divide(members.sums(np.abs(smooth)), members.areas())
    return mean, divide(spread, mean)


def usual_level(levels: Floats) -> float:
    """Level of a usual nucleus: the median; NaN where there is none."""
    known = levels[np.isfinite(levels)]
    return float(np.median(known)) if known.size else float("nan")


def is_pan_nuclear(level: Floats, variation: Floats, usual: float) -> NDArray[np.bool_]:
    """Whether each nucleus is bright all over and even.

    Args:
        level: mean above background of each nucleus.
        variation: SD over mean of each, at the scale of foci.
        usual: level of a usual nucleus, `usual_level` of the controls or of the batch.
    """
    bright: NDArray[np.bool_] = level > FACTOR * usual
    return bright & (variation < VARIATION)
