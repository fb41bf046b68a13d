"""Size, shape and position of every region, from its mask alone."""

from dataclasses import dataclass

import numpy as np

from measurements.columns import Column, Measured, area, length, position
from measurements.contours import convex_areas, perimeters
from measurements.errors import MeasurementError
from measurements.regions import Floats, Regions, divide

MOMENTS = "second central moments of the pixel centres, as skimage.measure.regionprops"
BOUNDING_BOX = "skimage.measure.regionprops bbox"

AREA = area("{compartment}_area", "Area of the {compartment}'s mask.", "pixel count")
PERIMETER = length(
    "{compartment}_perimeter",
    "Length of the outline of the {compartment}'s mask, holes included.",
    "Crofton's formula in 4 directions; skimage.measure.perimeter_crofton; Rivollier 2010",
)
EQUIVALENT_DIAMETER = length(
    "{compartment}_equivalent_diameter",
    "Diameter of the circle with the {compartment}'s area.",
    "sqrt(4 area / pi)",
)
MAJOR_AXIS = length(
    "{compartment}_major_axis",
    "Long axis of the ellipse with the {compartment}'s second moments.",
    MOMENTS,
)
MINOR_AXIS = length(
    "{compartment}_minor_axis",
    "Short axis of the ellipse with the {compartment}'s second moments.",
    MOMENTS,
)
ECCENTRICITY = Column(
    "{compartment}_eccentricity",
    "1",
    "float64",
    "Focal distance over long axis of the {compartment}'s moment ellipse: 0 for a circle.",
    MOMENTS,
)
ORIENTATION = Column(
    "{compartment}_orientation",
    "rad",
    "float64",
    "Angle from the image's downward axis to the {compartment}'s long axis, -pi/2 to pi/2, "
    "counter-clockwise as displayed; NaN where both axes are equal.",
    MOMENTS,
    aggregate=False,
)
SOLIDITY = Column(
    "{compartment}_solidity",
    "1",
    "float64",
    "Area of the {compartment} over the area of its convex hull.",
    "hull over the middles of the pixels' edges, as skimage.measure.regionprops solidity",
)
FORM_FACTOR = Column(
    "{compartment}_form_factor",
    "1",
    "float64",
    "Circularity of the {compartment}: 1 for a circle, less for every other outline; a mask of a "
    "few pixels may exceed 1.",
    "4 pi area / perimeter²; Cox 1927 (J Paleontol 1:179)",
)
CENTROID_Y = position(
    "{compartment}_y",
    "Row of the {compartment}'s centroid; 0 is the first pixel's centre.",
    MOMENTS,
)
CENTROID_X = position(
    "{compartment}_x",
    "Column of the {compartment}'s centroid; 0 is the first pixel's centre.",
    MOMENTS,
)
BOX_Y = position(
    "{compartment}_box_y", "First row of the {compartment}'s bounding box.", BOUNDING_BOX
)
BOX_X = position(
    "{compartment}_box_x", "First column of the {compartment}'s bounding box.", BOUNDING_BOX
)
BOX_HEIGHT = length(
    "{compartment}_box_height", "Rows of the {compartment}'s bounding box.", BOUNDING_BOX
)
BOX_WIDTH = length(
    "{compartment}_box_width", "Columns of the {compartment}'s bounding box.", BOUNDING_BOX
)


@dataclass(frozen=True, slots=True, eq=False)
class Ellipses:
    """Ellipse with the same second moments as each region, lengths in px.

    Attributes:
        y: row of the centroid.
        x: column of the centroid.
        major: full length of the long axis, 4 √λ₁ with λ₁ the larger eigenvalue of the covariance
            of the region's pixel centres.
        minor: full length of the short axis, 4 √λ₂.
        eccentricity: √(1 - λ₂/λ₁), 0 where λ₁ is 0 (one pixel).
        orientation: radians, see `ORIENTATION`.
    """

    y: Floats
    x: Floats
    major: Floats
    minor: Floats
    eccentricity: Floats
    orientation: Floats


def measure_morphology(regions: Regions, compartment: str) -> Measured:
    """Measure the masks of one compartment.

    Args:
        regions: regions of a 2D label image.
        compartment: ``nucleus``, ``cytoplasm`` or ``cell``: the prefix of the column names.

    Returns:
        One float64 value a region and column, lengths in px; NaN for a region without pixels,
        except the area, which is 0.

    Raises:
        MeasurementError: the label image is not 2D.
    """
    if len(regions.shape) != 2:
        raise MeasurementError(f"Morphology needs a 2D label image, got shape {regions.shape}.")
    areas = regions.areas.astype(np.float64)
    outline = perimeters(regions)
    shapes = ellipses(regions)
    values = {
        AREA: areas,
        PERIMETER: outline,
        EQUIVALENT_DIAMETER: np.sqrt(4 * np.where(areas > 0, areas, np.nan) / np.pi),
        MAJOR_AXIS: shapes.major,
        MINOR_AXIS: shapes.minor,
        ECCENTRICITY: shapes.eccentricity,
        ORIENTATION: shapes.orientation,
        SOLIDITY: divide(areas, convex_areas(regions)),
        FORM_FACTOR: divide(4 * np.pi * areas, outline**2),
        CENTROID_Y: shapes.y,
        CENTROID_X: shapes.x,
        **_bounding_boxes(regions),
    }
    return {column.bind(compartment=compartment): data for column, data in values.items()}


def ellipses(regions: Regions) -> Ellipses:
    """Fit each region's moment ellipse.

    Args:
        regions: regions of a 2D label image.
    """
    y, x = (axis.astype(np.float64) for axis in np.divmod(regions.pixels, regions.shape[1]))
    centre_y, centre_x = regions.mean(y), regions.mean(x)
    dy, dx = y - regions.spread(centre_y), x - regions.spread(centre_x)
    yy, xx, xy = regions.mean(dy * dy), regions.mean(dx * dx), regions.mean(dy * dx)
    middle, half_gap = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    large, small = middle + half_gap, np.maximum(middle - half_gap, 0)
    # 1 - small/large would lose half of the digits for a circle.
    eccentricity = np.where(large == 0, 0.0, np.sqrt(divide(2 * half_gap, large)))
    angle = np.where(half_gap > 0, 0.5 * np.arctan2(2 * xy, yy - xx), np.nan)
    return Ellipses(centre_y, centre_x, 4 * np.sqrt(large), 4 * np.sqrt(small), eccentricity, angle)


def _bounding_boxes(regions: Regions) -> dict[Column, Floats]:
    y, x = (axis.astype(np.float64) for axis in np.divmod(regions.pixels, regions.shape[1]))
    top, left = regions.minimum(y), regions.minimum(x)
    return {
        BOX_Y: top,
        BOX_X: left,
        BOX_HEIGHT: regions.maximum(y) - top + 1,
        BOX_WIDTH: regions.maximum(x) - left + 1,
    }
