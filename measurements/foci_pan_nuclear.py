"""Nuclei that are stained all over, which have no foci to count."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.foci_response import Response
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import box, ratio, scaled, sums
from measurements.regions import Floats, divide


@dataclass(frozen=True, slots=True)
class PanNuclearSettings:
    """When a nucleus counts as stained all over [judgement].

    Attributes:
        level: mean above background of a usual nucleus, e.g. the median of the controls; None
            takes the median nucleus of the image, which misses an image full of such nuclei.
        factor: a pan-nuclear one has this many times that level.
        variation: its SD over mean above background, at the scale of foci, is below this.
    """

    level: float | None = None
    factor: float = 3.0
    variation: float = 0.25


def is_pan_nuclear(
    response: Response, background: Floats, settings: FociSettings, pan_nuclear: PanNuclearSettings
) -> NDArray[np.bool_]:
    """Whether each nucleus is bright all over and even.

    The SD is the mean absolute deviation times sqrt(π/2), its equivalent for a normal distribution,
    which a bright focus or a dim rim moves less than a mean square.

    Args:
        response: of the image.
        background: the channel's background for each nucleus.
        settings: scale of the foci.
        pan_nuclear: when a nucleus counts as stained all over.
    """
    index, n = response.index, background.size
    mask = (index > 0).astype(np.float32)
    areas = sums(mask, index, n)
    mean = divide(sums(response.bright, index, n), areas) - background
    known = mean[np.isfinite(mean)]
    usual = pan_nuclear.level
    if usual is None:
        usual = float(np.median(known)) if known.size else np.nan
    # A box of this reach has the SD of a focus.
    reach = scaled(settings.sigmas(index.ndim), np.sqrt(3))
    smooth = ratio(box(response.levelled, reach), box(mask, reach)) * mask
    spread = np.sqrt(np.pi / 2) * divide(sums(np.abs(smooth), index, n), areas)
    even = divide(spread, mean) < pan_nuclear.variation
    bright: NDArray[np.bool_] = mean > pan_nuclear.factor * usual
    return bright & even
