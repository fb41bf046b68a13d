"""SA-β-Gal: how much of X-gal's blue precipitate each cell holds, from colour bright field.

The picture becomes optical densities, which light and white balance cancel from, and the stain is
read from those by colour deconvolution with a neutral residual: edges, droplets, debris and cell
bodies change all colours alike and read as no stain. Which cells are positive is decided from
these numbers elsewhere, with control cells (measurements.gating).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements import beta_gal_columns as columns
from measurements.background import (
    Background,
    BackgroundPixels,
    BackgroundSettings,
    estimate_background,
)
from measurements.beta_gal_image import StainSums, image_columns, outside_level
from measurements.colour_index import LOG_CSI_BSI, log_csi_bsi
from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.histogram import Histogram
from measurements.jpeg import went_through_jpeg
from measurements.optical_density import (
    LightSettings,
    picture_and_light,
    saturated,
)
from measurements.quality import noise_sd
from measurements.regions import Floats, Regions
from measurements.stains import NEUTRAL, X_GAL, Vector, stain_amount, stain_weights

P95_FRACTION = 0.95


@dataclass(frozen=True, slots=True)
class BetaGalSettings:
    """How SA-β-Gal is measured.

    Attributes:
        light: dark level, encoding and shape of the light.
        stain: densities of red, green and blue of the stain, any length; an estimate from stained
            cells (`measurements.stain_estimate`) or the default for X-gal.
        residual: the same of what is not stain.
        background: which stain is subtracted from a cell's: of the field by default, since the
            incident light is local already and a ring only adds its noise; ``local`` where stain
            hazes some places more than others.
        noise_sd: robust SD of the background's stain above which a pixel counts as stained.
        stained_od: the same as a fixed density; None to take it from the background.
        smoothing: px, SD of the Gaussian that `P95` and `STAINED` smooth the stain by; 0 for none.
    """

    light: LightSettings = field(default_factory=LightSettings)
    stain: Vector = X_GAL
    residual: Vector = NEUTRAL
    background: BackgroundSettings = field(
        default_factory=lambda: BackgroundSettings(method="field")
    )
    noise_sd: float = 3.0
    stained_od: float | None = None
    smoothing: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if self.noise_sd <= 0 or self.smoothing < 0:
            raise MeasurementError(
                f"SA-β-Gal needs noise_sd above 0 and smoothing of 0 or more, got {self.noise_sd} "
                f"and {self.smoothing}."
            )


@dataclass(frozen=True, slots=True)
class BetaGal:
    """SA-β-Gal of one image.

    Attributes:
        cells: one value a cell and column; NaN where a cell lacks the part.
        image: one value a column, of the image as a whole.
    """

    cells: Measured
    image: Measured


@dataclass(frozen=True, slots=True, eq=False)
class Stain:
    """Stain of every pixel.

    Attributes:
        od: optical density along the stain's vector.
        smooth: the same, smoothed.
        limit: density over the background from which on a smooth pixel is stained.
        level: density of the field's background.
    """

    od: NDArray[np.float32]
    smooth: NDArray[np.float32]
    limit: float
    level: float


def measure_beta_gal(
    rgb: NDArray[Any],
    cells: Regions,
    around: BackgroundPixels,
    settings: BetaGalSettings,
    nuclei_ring: Regions | None = None,
    blank: NDArray[Any] | None = None,
) -> BetaGal:
    """Measure the precipitate of X-gal in every cell.

    Args:
        rgb: (y, x, 3), any real dtype.
        cells: regions of whole cells.
        around: background pixels of the same cells.
        settings: light, stain and thresholds.
        nuclei_ring: ring around each cell's nucleus, with the cells' ids, where nuclei are known.
        blank: image of an empty field, where there is one.

    Raises:
        MeasurementError: arrays do not fit, or regions are not about the same cells.
    """
    check_alignment(cells, around, nuclei_ring)
    od = stain_image(rgb, around.field, settings, blank)
    share = float(around.field.mean())
    field = outside_level(Histogram.of(od[around.field]), share, settings.background)
    background = estimate_background(od, around, settings.background, field)
    smooth = smoothed(od, settings)
    limit = stained_level(smooth, around.field, settings)
    stain = Stain(od, smooth, limit, taken_off(background.field, settings))
    clipped = saturated(rgb)
    measured = measure_stain_of(
        rgb, stain, background, cells, around, nuclei_ring, clipped, settings
    )
    outside = clipped[around.field]
    known = np.isfinite(od)
    sums = StainSums(
        int(known.sum()),
        float(od[known].sum(dtype=np.float64)),
        int((smooth[known] - stain.level > limit).sum()),
        share,
        float(outside.mean() if outside.size else clipped.mean()),
        went_through_jpeg(rgb),
    )
    return BetaGal(measured, image_columns(sums, stain.level, settings.stain))


def smoothed(od: NDArray[np.float32], settings: BetaGalSettings) -> NDArray[np.float32]:
    """The stain as `P95` and `STAINED` take it."""
    if not settings.smoothing:
        return od
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(od, settings.smoothing)
    return smooth


def taken_off(field: float, settings: BetaGalSettings) -> float:
    """Stain of the field's background that is subtracted; 0 where it is unknown."""
    return 0.0 if settings.background.method == "none" else float(np.nan_to_num(field, nan=0.0))


def measure_stain_of(
    rgb: NDArray[Any],
    stain: Stain,
    background: Background,
    cells: Regions,
    around: BackgroundPixels,
    nuclei_ring: Regions | None,
    clipped: NDArray[np.bool_],
    settings: BetaGalSettings,
) -> dict[Column, Floats]:
    """Columns of cells whose stain and background are known.

    Args:
        rgb: (y, x, 3), as it is in the file.
        stain: of the same pixels.
        background: stain around each cell.
        cells: see `measure_beta_gal`.
        around: the same.
        nuclei_ring: the same.
        clipped: bool (y, x), pixels at the camera's limit.
        settings: dark level.
    """
    # The incident light was set to 0 where nothing is known of the background.
    level = np.nan_to_num(background.level, nan=0.0)
    measured = _part(stain, cells, level, "cell")
    if nuclei_ring is not None:
        measured |= _part(stain, nuclei_ring, level, "ring")
    whole: dict[Column, Floats] = {
        columns.BACKGROUND: level,
        columns.CLIPPED: cells.mean(cells.gather(clipped)),
        columns.CLIPPED_AROUND: around.rings.mean(around.rings.gather(clipped)),
    }
    measured |= {columns.named(column, "cell"): values for column, values in whole.items()}
    measured |= {LOG_CSI_BSI: log_csi_bsi(rgb, cells, around.rings, settings.light.dark)}
    return measured


def stain_image(
    rgb: NDArray[Any],
    background: NDArray[np.bool_],
    settings: BetaGalSettings,
    blank: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Optical density of the stain (y, x) along its vector, below 0 where something is yellower.

    Negative values are kept, so that noise cancels from means. A pixel in which some colour is at
    the camera's upper limit counts as 0: it is brighter than the empty field, and the colours that
    are not at the limit yet would give it a false one.

    Args:
        rgb: (y, x, 3), any real dtype.
        background: bool (y, x), true where there is no cell.
        settings: light, stain and residual.
        blank: image of an empty field, where there is one.
    """
    picture, light = picture_and_light(rgb, background, settings.light, blank)
    return deconvolved(picture, light, saturated(rgb), settings)


def deconvolved(
    picture: NDArray[Any],
    light: NDArray[np.float32],
    clipped: NDArray[np.bool_],
    settings: BetaGalSettings,
) -> NDArray[np.float32]:
    """`stain_image` of a picture under known light.

    Args:
        picture: (y, x, 3), what JPEG did to it undone.
        light: (y, x, 3), above dark.
        clipped: bool (y, x), pixels at the camera's limit.
        settings: light, stain and residual.
    """
    weights = stain_weights(settings.stain, settings.residual)
    stain = stain_amount(picture, light, settings.light, weights)
    stain[clipped] = 0
    return stain


def stained_level(
    stain: NDArray[np.float32], background: NDArray[np.bool_], settings: BetaGalSettings
) -> float:
    """Density over background from which on a pixel is stained.

    Where cells cover the field, the noise of single pixels stands in for the background's SD.

    Args:
        stain: (y, x), from `stain_image`, smoothed or not.
        background: bool (y, x), true where there is no cell.
        settings: the level itself, or how many SD.
    """
    level = level_outside(Histogram.of(stain[background & np.isfinite(stain)]), settings)
    return settings.noise_sd * noise_sd(stain.astype(np.float64)) if level is None else level


def level_outside(outside: Histogram, settings: BetaGalSettings) -> float | None:
    """`stained_level` by the background; None where too little of it is seen.

    Args:
        outside: stain outside cells.
        settings: the level itself, or how many SD.
    """
    if settings.stained_od is not None:
        return settings.stained_od
    enough = outside.total >= settings.background.minimum_pixels
    return settings.noise_sd * outside.robust_sd() if enough else None


def _part(stain: Stain, regions: Regions, level: Floats, part: str) -> dict[Column, Floats]:
    """Statistics of one part of every cell over the stain around the cell."""
    mean = regions.mean(regions.gather(stain.od)) - level
    smoothed = regions.gather(stain.smooth) - regions.spread(level)
    stained = np.where(np.isnan(smoothed), np.nan, smoothed > stain.limit)
    values = {
        columns.MEAN: mean,
        columns.INTEGRATED: mean * regions.areas,
        columns.P95: regions.quantiles(smoothed, (P95_FRACTION,))[0],
        columns.STAINED: regions.mean(stained),
    }
    return {columns.named(column, part): data for column, data in values.items()}


def check_alignment(cells: Regions, around: BackgroundPixels, ring: Regions | None) -> None:
    """Refuse regions that are not about the same cells."""
    others = {"surroundings": around.rings} | ({} if ring is None else {"nucleus ring": ring})
    for name, regions in others.items():
        if regions.shape != cells.shape or not np.array_equal(regions.ids, cells.ids):
            raise MeasurementError(
                f"The {name} has {len(regions)} regions in an image of {regions.shape}, the cells "
                f"{len(cells)} in {cells.shape}: make all with Regions.of(labels, ids=the cells' "
                "ids) from one label image."
            )
