"""The colour index that older work scores SA-β-Gal by, for comparison with it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column
from measurements.optical_density import check_rgb
from measurements.regions import Floats, Regions, divide

LOG_CSI_BSI = Column(
    "beta_gal_log_csi_bsi",
    "1",
    "float64",
    "ln(CSI / BSI), with CSI the mean of (G + B) / (R + G + B) in the cell and BSI the same in "
    "its surroundings; for comparison with older work, since it depends on white balance.",
    "Shlush et al. 2011 (BMC Cell Biol 12:16)",
)
GREY_SHARE = 2 / 3


def log_csi_bsi(
    rgb: NDArray[Any],
    cells: Regions,
    surroundings: Regions,
    dark: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Floats:
    """Cell's over surroundings' mean share of green and blue, as a logarithm (`LOG_CSI_BSI`).

    A black pixel, which has no share, counts as grey.

    Args:
        rgb: (y, x, 3), any real dtype.
        cells: regions of whole cells.
        surroundings: background around each of them, with the same ids.
        dark: grey value of red, green and blue without light.

    Returns:
        One value a cell; NaN where either region has no pixels.

    Raises:
        MeasurementError: not a colour image, or of another shape than the regions.
    """
    check_rgb(rgb)
    light = np.maximum(rgb.astype(np.float32) - np.asarray(dark, dtype=np.float32), 0)
    total = light.sum(axis=-1)
    share = np.where(total == 0, GREY_SHARE, divide(light[..., 1] + light[..., 2], total))
    ratio = divide(cells.mean(cells.gather(share)), surroundings.mean(surroundings.gather(share)))
    return np.log(np.where(ratio > 0, ratio, np.nan))
