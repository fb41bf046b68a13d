"""Columns of SA-β-Gal; `measurements.beta_gal` fills them."""

from measurements.columns import Column, area

DECONVOLUTION = (
    "colour deconvolution, Ruifrok & Johnston 2001 (Anal Quant Cytol Histol 23:291), with a "
    "neutral residual; OD = -log10((I - dark) / (I0 - dark))"
)
CLIPPING = "pixels >= saturation level / pixels; see measurements.quality"
MOST_CLIPPED = 0.05
"""Share of the background at the camera's limit from which on an image is called overexposed."""


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
    CLIPPING,
)
CLIPPED_AROUND = _od(
    "surroundings_clipped_fraction",
    "The same around the cell: where it is not near 0 the picture is overexposed, the light is "
    "unknown and weak stain is lost.",
    CLIPPING,
)
LEAST_OUTSIDE = 0.01
"""Share of a picture outside cells under which its light is hardly known."""

IMAGE_OUTSIDE = Column(
    "beta_gal_image_background_fraction",
    "1",
    "float64",
    "Share of the pixels outside cells, which the light is told by unless a blank field is given; "
    f"under {LEAST_OUTSIDE:g} it may be taken from cells, whose stain then reads too low, and the "
    "image carries a warning.",
    "[judgement] for the limit",
)
IMAGE_LENDERS = Column(
    "beta_gal_image_light_lenders",
    "count",
    "float64",
    "Images of the batch whose background told the light of this one, which cells cover; 0 where "
    "the light is the image's own or that of a blank field. provenance.json names them.",
    "measurements.borrowed_light",
)
IMAGE_CLIPPED = Column(
    "beta_gal_image_clipped_fraction",
    "1",
    "float64",
    "Share of the pixels outside cells at which a colour is at the camera's limit, so that the "
    f"light is unknown; an image with more than {MOST_CLIPPED:g} carries a warning.",
    CLIPPING + "; [judgement] for the limit",
)
IMAGE_JPEG = Column(
    "beta_gal_image_jpeg",
    "1",
    "float64",
    "1 where the grey values show that the picture went through JPEG, whatever file it is in; its "
    "colours were restored as far as that is possible.",
    "measurements.jpeg",
)
VECTOR = Column(
    "beta_gal_stain_{colour}",
    "1",
    "float64",
    "Optical density in {colour} of X-gal's precipitate that the image was measured with, of a "
    "vector of length 1.",
    "default, study file, or estimate from stained control images; measurements/beta_gal.md",
)
COLOURS = ("red", "green", "blue")

IMAGE_COLUMNS = (
    *(column.bind(part="_image", of="whole image") for column in (MEAN, INTEGRATED, STAINED)),
    IMAGE_OUTSIDE,
    IMAGE_CLIPPED,
    IMAGE_JPEG,
    IMAGE_LENDERS,
    *(VECTOR.bind(colour=colour) for colour in COLOURS),
)
"""What is known of the image as a whole."""


def named(column: Column, part: str) -> Column:
    """A column of the cell, the ring around its nucleus or the image."""
    names = {"cell": "", "ring": "_ring", "image": "_image"}
    of = {"ring": "ring around the nucleus", "image": "whole image"}
    return column.bind(part=names[part], of=of.get(part, part))
