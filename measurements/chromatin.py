"""How a nucleus's chromatin is spread: texture, condensed spots, and how much DNA there is.

Senescent nuclei are larger, and some condense their chromatin into foci (SAHF); none of this
proves senescence. All but the DNA content are relative to the nucleus's own brightness, so that
gain, exposure and staining cancel; they depend on the optics and on the pixel size, so compare
images of one microscope only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.regions import Floats, Regions, divide
from measurements.texture import LEVELS, cooccurrence_texture

HARALICK = (
    "Haralick et al. 1973 (IEEE TSMC 3:610), 16 levels from the background to twice the nucleus's "
    "median, 4 directions; measurements.texture"
)
CV = Column(
    "{channel}_chromatin_cv",
    "1",
    "float64",
    "Coefficient of variation of {channel} over the nucleus: SD of its pixels over their mean "
    "above background; camera noise and the blurred rim are in it.",
    "sd / mean above background",
)
CONDENSED = Column(
    "{channel}_condensed_area_fraction",
    "1",
    "float64",
    "Share of the nucleus whose {channel} lies far above the nucleus's own level.",
    "the bright part of heterogeneity, Young et al. 1986 (Cytometry 7:467); [judgement] over 1.5 x "
    "the median above background, after smoothing to the optics",
)
SPOTS = Column(
    "{channel}_condensed_spots",
    "count",
    "uint32",
    "Condensed spots of {channel} in the nucleus, as SAHF are: connected pixels of that share, no "
    "smaller than what the optics make of a point.",
    "[judgement] area of at least 2 pi sigma² of the smoothing",
)
CONTRAST = Column(
    "{channel}_texture_contrast",
    "1",
    "float64",
    "Mean squared difference of {channel} between pixels one resolved detail apart, in grey levels "
    "of an eighth of the nucleus's median: coarse or condensed chromatin has more.",
    HARALICK,
)
CORRELATION = Column(
    "{channel}_texture_correlation",
    "1",
    "float64",
    "Correlation of {channel} between pixels one resolved detail apart: near 1 for large smooth "
    "structures, near 0 for noise; NaN where nothing varies.",
    HARALICK,
)
ENTROPY = Column(
    "{channel}_texture_entropy",
    "bit",
    "float64",
    "Entropy of pairs of grey levels of {channel} one resolved detail apart: 0 for an even "
    "nucleus.",
    HARALICK,
)
DNA_CONTENT = Column(
    "{channel}_dna_content",
    "a.u.·px",
    "float64",
    "Integrated {channel} of the nucleus above background: proportional to its DNA where the stain "
    "is, and the nucleus is whole.",
    "sum - area x background",
)


@dataclass(frozen=True, slots=True)
class ChromatinSettings:
    """How chromatin is measured.

    Attributes:
        scale: px of the smallest detail that the optics resolve.
        condensed: times the nucleus's median above background from which a pixel is condensed.
    """

    scale: float = 2.0
    condensed: float = 1.5

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if self.scale <= 0 or self.condensed <= 1:
            raise MeasurementError(
                f"Chromatin needs a scale above 0 and a condensed level above 1, got {self.scale} "
                f"and {self.condensed}."
            )

    @property
    def smoothing(self) -> float:
        """SD of the Gaussian that takes pixel noise off before spots are looked for, px."""
        return self.scale / 2


def measure_chromatin(
    image: NDArray[Any],
    channel: str,
    nuclei: Regions,
    background: Floats,
    settings: ChromatinSettings,
) -> Measured:
    """Measure the chromatin of every nucleus.

    Args:
        image: the channel of the DNA stain (y, x), any real dtype.
        channel: its name in the columns.
        nuclei: regions of the nuclei.
        background: the channel's background for each of them.
        settings: see `ChromatinSettings`.

    Returns:
        One value a nucleus and column; NaN (0 spots) where the image lacks the nucleus, or where
        it is not above the background.
    """
    pixels = nuclei.gather(image)
    above = nuclei.mean(pixels) - background
    median = nuclei.median(nuclei.read(image)) - background
    usable = np.where(median > 0, median, np.nan)
    fraction, spots = _condensed(image, nuclei, background, usable, settings)
    texture = cooccurrence_texture(
        _levels(pixels, nuclei, background, usable), nuclei, max(1, round(settings.scale))
    )
    dark = np.isnan(usable)
    values: dict[Column, NDArray[Any]] = {
        CV: divide(nuclei.sd(pixels), above),
        CONDENSED: fraction,
        SPOTS: spots.astype(np.uint32),
        CONTRAST: np.where(dark, np.nan, texture.contrast),
        CORRELATION: np.where(dark, np.nan, texture.correlation),
        ENTROPY: np.where(dark, np.nan, texture.entropy),
        DNA_CONTENT: nuclei.sum(pixels) - nuclei.areas * background,
    }
    return {column.bind(channel=channel): data for column, data in values.items()}


def _levels(
    pixels: Floats, nuclei: Regions, background: Floats, median: Floats
) -> NDArray[np.int64]:
    """Image of grey levels: 0 at the background, `LEVELS` / 2 at the nucleus's median."""
    relative = (pixels - nuclei.spread(background)) / nuclei.spread(median)
    steps = np.nan_to_num(np.floor(relative * (LEVELS / 2)), nan=0.0)
    image = np.zeros(int(np.prod(nuclei.shape)), dtype=np.int64)
    image[nuclei.pixels] = np.clip(steps, 0, LEVELS - 1).astype(np.int64)
    return image.reshape(nuclei.shape)


def _condensed(
    image: NDArray[Any],
    nuclei: Regions,
    background: Floats,
    median: Floats,
    settings: ChromatinSettings,
) -> tuple[Floats, NDArray[np.int64]]:
    """Share of each nucleus that is condensed, and its spots."""
    smooth = ndimage.gaussian_filter(image.astype(np.float64), settings.smoothing)
    relative = (nuclei.gather(smooth) - nuclei.spread(background)) / nuclei.spread(median)
    condensed = relative > settings.condensed
    fraction = np.where(np.isnan(median), np.nan, nuclei.mean(condensed.astype(np.float64)))
    index = np.zeros(int(np.prod(nuclei.shape)), dtype=np.int32)
    index[nuclei.pixels] = (nuclei.rows + 1) * condensed
    # Connected pixels of one value: spots of touching nuclei stay apart.
    planes = index.reshape(nuclei.shape)
    spots = label(planes, background=0, connectivity=2).ravel()  # type: ignore[no-untyped-call]
    areas = np.bincount(spots)
    owner = np.zeros(areas.size, dtype=np.int64)
    owner[spots] = index
    large = (areas >= 2 * np.pi * settings.smoothing**2) & (owner > 0)
    return fraction, np.bincount(owner[large] - 1, minlength=len(nuclei))
