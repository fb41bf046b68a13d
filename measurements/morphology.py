"""Size, shape and position of every region, from its mask alone."""

from dataclasses import dataclass

import numpy as np

from measurements.columns import Column, Measured, area, length, position
from measurements.contours import convex_areas, perimeters, row_stretches
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
    boxes = _boxes(regions)
    shapes = ellipses(regions, boxes)
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
        BOX_Y: boxes.y,
        BOX_X: boxes.x,
        BOX_HEIGHT: boxes.height,
        BOX_WIDTH: boxes.width,
    }
    return {column.bind(compartment=compartment): data for column, data in values.items()}


def measure_size(regions: Regions, compartment: str) -> Measured:
    """Area and solidity alone, of `measure_morphology`'s columns.

    Args:
        regions: regions of a 2D label image.
        compartment: as in `measure_morphology`.
    """
    areas = regions.areas.astype(np.float64)
    values = {AREA: areas, SOLIDITY: divide(areas, convex_areas(regions))}
    return {column.bind(compartment=compartment): data for column, data in values.items()}


def ellipses(regions: Regions, boxes: "Boxes") -> Ellipses:
    """Fit each region's moment ellipse.

    Moments are taken in coordinates of the region's own box, run by run (a run of n pixels about
    its middle has the second moment n (n² - 1) / 12), so that they do not depend on where the
    region lies.

    Args:
        regions: regions of a 2D label image.
        boxes: their bounding boxes.
    """
    total = regions.areas
    stretches, n = row_stretches(regions), regions.runs.length
    own = stretches.region
    y = stretches.y + regions.origin[0] - boxes.y[own]
    x = stretches.x + regions.origin[1] - boxes.x[own] + (n - 1) / 2
    centre_y, centre_x = (divide(regions.per_run(np.add, n * axis), total) for axis in (y, x))
    dy, dx = y - centre_y[own], x - centre_x[own]
    within = n * (n.astype(np.float64) ** 2 - 1) / 12
    yy, xx, xy = (
        divide(regions.per_run(np.add, moment), total)
        for moment in (n * dy**2, n * dx**2 + within, n * dy * dx)
    )
    middle, half_gap = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    large, small = middle + half_gap, np.maximum(middle - half_gap, 0)
    # 1 - small/large would lose half of the digits for a circle.
    eccentricity = np.where(large == 0, 0.0, np.sqrt(divide(2 * half_gap, large)))
    angle = np.where(half_gap > 0, 0.5 * np.arctan2(2 * xy, yy - xx), np.nan)
    return Ellipses(
        boxes.y + centre_y,
        boxes.x + centre_x,
        4 * np.sqrt(large),
        4 * np.sqrt(small),
        eccentricity,
        angle,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Bounding box of each region in px, in the image that `Regions.origin` refers to."""

    y: Floats
    x: Floats
    height: Floats
    width: Floats


def _boxes(regions: Regions) -> Boxes:
    stretches = row_stretches(regions)
    top, left = (regions.per_run(np.minimum, axis) for axis in (stretches.y, stretches.x))
    height = regions.per_run(np.maximum, stretches.y) - top + 1
    width = regions.per_run(np.maximum, stretches.end) - left
    return Boxes(top + regions.origin[0], left + regions.origin[1], height, width)
