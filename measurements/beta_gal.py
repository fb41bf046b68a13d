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

from measurements.background import (
    Background,
    BackgroundPixels,
    BackgroundSettings,
    estimate_background,
    robust_sd,
)
from measurements.colour_index import LOG_CSI_BSI, log_csi_bsi
from measurements.columns import Column, Measured, area
from measurements.errors import MeasurementError
from measurements.optical_density import (
    LightSettings,
    densities,
    density,
    incident_light,
    saturated,
)
from measurements.quality import noise_sd
from measurements.regions import Floats, Regions
from measurements.stains import NEUTRAL, X_GAL, Vector, stain_direction, stain_weights

DECONVOLUTION = (
    "colour deconvolution, Ruifrok & Johnston 2001 (Anal Quant Cytol Histol 23:291), with a "
    "neutral residual; OD = -log10((I - dark) / (I0 - dark))"
)


def _od(suffix: str, meaning: str, source: str = DECONVOLUTION) -> Column:
    return Column("beta_gal{part}_" + suffix, "1", "float64", meaning, source)


MEAN = _od(
    "mean_od",
    "Mean optical density of X-gal's precipitate in the {of}, less `beta_gal_background`.",
)
INTEGRATED = area(
    "beta_gal{part}_integrated_od",
    "Optical density of X-gal's precipitate over `beta_gal_background` times area, summed over the "
    "{of}: in proportion to the amount of precipitate.",
    DECONVOLUTION,
)
P95 = _od(
    "p95_od",
    "95th percentile over the {of}'s pixels of the optical density of X-gal's precipitate, "
    "smoothed, less `beta_gal_background`.",
)
STAINED = _od(
    "stained_fraction",
    "Share of the {of}'s area in which the smoothed optical density of X-gal's precipitate lies "
    "over `beta_gal_background` by more than the noise of the image's background allows.",
    "[judgement] over 3 robust SD of the background's pixels, or the level that the settings give",
)
BACKGROUND = _od(
    "background",
    "Optical density of X-gal's precipitate outside cells, subtracted wherever a column says so.",
    "field: mode of the pixels outside cells; local: median of the ring around the cell",
)
CLIPPED = _od(
    "clipped_fraction",
    "Share of the cell's pixels that count as unstained because a colour is at the camera's limit.",
    "pixels >= saturation level / pixels; see measurements.quality",
)
CLIPPED_AROUND = _od(
    "surroundings_clipped_fraction",
    "The same around the cell: where it is not near 0 the picture is overexposed, the light is "
    "unknown and weak stain is lost.",
    "pixels >= saturation level / pixels; see measurements.quality",
)
P95_FRACTION = 0.95


@dataclass(frozen=True, slots=True)
class BetaGalSettings:
    """How SA-β-Gal is measured.

    Attributes:
        light: dark level, encoding and shape of the light.
        stain: densities of red, green and blue of the stain, any length; an estimate from stained
            cells (`estimate_stain_vector`) or the default for X-gal.
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


def measure_beta_gal(
    rgb: NDArray[Any],
    cells: Regions,
    around: BackgroundPixels,
    settings: BetaGalSettings,
    nuclei_ring: Regions | None = None,
    blank: NDArray[Any] | None = None,
) -> Measured:
    """Measure the precipitate of X-gal in every cell.

    Args:
        rgb: (y, x, 3), any real dtype.
        cells: regions of whole cells.
        around: background pixels of the same cells.
        settings: light, stain and thresholds.
        nuclei_ring: ring around each cell's nucleus, with the cells' ids, where nuclei are known.
        blank: image of an empty field, where there is one.

    Returns:
        One value a cell and column; NaN where a cell lacks the part.

    Raises:
        MeasurementError: arrays do not fit, or regions are not about the same cells.
    """
    _check_alignment(cells, around, nuclei_ring)
    stain = stain_image(rgb, around.field, settings, blank)
    level = _background(stain, around, settings.background)
    smooth = ndimage.gaussian_filter(stain, settings.smoothing) if settings.smoothing else stain
    limit = _stained_level(smooth, around.field, settings)
    measured = _part(stain, smooth, cells, level, limit, "cell")
    if nuclei_ring is not None:
        measured |= _part(stain, smooth, nuclei_ring, level, limit, "ring")
    clipped = saturated(rgb)
    whole: dict[Column, Floats] = {
        BACKGROUND: level,
        CLIPPED: cells.mean(cells.gather(clipped)),
        CLIPPED_AROUND: around.rings.mean(around.rings.gather(clipped)),
    }
    measured |= {_named(column, "cell"): values for column, values in whole.items()}
    return measured | {LOG_CSI_BSI: log_csi_bsi(rgb, cells, around.rings, settings.light.dark)}


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
    light = incident_light(rgb, background, settings.light, blank)
    stain = np.zeros(background.shape, dtype=np.float32)
    for colour, weight in enumerate(stain_weights(settings.stain, settings.residual)):
        stain += np.float32(weight) * density(rgb, light, settings.light, colour)
    stain[saturated(rgb)] = 0
    return stain


def estimate_stain_vector(
    rgb: NDArray[Any],
    stained: NDArray[np.bool_],
    background: NDArray[np.bool_],
    settings: BetaGalSettings,
    blank: NDArray[Any] | None = None,
) -> Vector:
    """Colour of this microscope's X-gal precipitate, from strongly stained cells.

    Args:
        rgb: (y, x, 3), any real dtype.
        stained: bool (y, x), true in cells some of which are stained.
        background: bool (y, x), true where there is no cell.
        settings: light, and a first guess at the stain.
        blank: image of an empty field, where there is one.

    Returns:
        Unit vector for `BetaGalSettings.stain`.

    Raises:
        MeasurementError: arrays do not fit, or too few pixels are stained.
    """
    light = incident_light(rgb, background, settings.light, blank)
    usable = stained & ~saturated(rgb)
    weights = stain_weights(settings.stain, settings.residual)
    od = densities(rgb, light, settings.light)
    above = 2 * _stained_level((od @ weights).astype(np.float32), background, settings)
    return stain_direction(od[usable], weights, above)


def _part(
    stain: NDArray[np.float32],
    smooth: NDArray[np.float32],
    regions: Regions,
    level: Floats,
    limit: float,
    part: str,
) -> dict[Column, Floats]:
    """Statistics of one part of every cell over the stain around the cell."""
    mean = regions.mean(regions.gather(stain)) - level
    smoothed = regions.gather(smooth) - regions.spread(level)
    stained = np.where(np.isnan(smoothed), np.nan, smoothed > limit)
    values = {
        MEAN: mean,
        INTEGRATED: mean * regions.areas,
        P95: regions.quantiles(smoothed, (P95_FRACTION,))[0],
        STAINED: regions.mean(stained),
    }
    return {_named(column, part): data for column, data in values.items()}


def _named(column: Column, part: str) -> Column:
    ring = part == "ring"
    return column.bind(part="_ring" if ring else "", of="ring around the nucleus" if ring else part)


def _background(
    stain: NDArray[np.float32], around: BackgroundPixels, settings: BackgroundSettings
) -> Floats:
    """Level for each cell; 0, which the incident light was set to, where nothing is known."""
    found: Background = estimate_background(stain, around, settings)
    return np.nan_to_num(found.level, nan=0.0)


def _stained_level(
    stain: NDArray[np.float32], background: NDArray[np.bool_], settings: BetaGalSettings
) -> float:
    """Density over background from which on a pixel is stained.

    Where cells cover the field, the noise of single pixels stands in for the background's SD.
    """
    if settings.stained_od is not None:
        return settings.stained_od
    outside = stain[background & np.isfinite(stain)].astype(np.float64)
    enough = outside.size >= settings.background.minimum_pixels
    noise = robust_sd(outside) if enough else noise_sd(stain.astype(np.float64))
    return settings.noise_sd * noise


def _check_alignment(cells: Regions, around: BackgroundPixels, ring: Regions | None) -> None:
    others = {"surroundings": around.rings} | ({} if ring is None else {"nucleus ring": ring})
    for name, regions in others.items():
        if regions.shape != cells.shape or not np.array_equal(regions.ids, cells.ids):
            raise MeasurementError(
                f"The {name} has {len(regions)} regions in an image of {regions.shape}, the cells "
                f"{len(cells)} in {cells.shape}: make all with Regions.of(labels, ids=the cells' "
                "ids) from one label image."
            )
