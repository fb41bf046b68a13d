"""Settings of densities: cells, or what they hold, for each mm² of tissue."""

from typing import Literal

from pipelines.study.base import ChannelName, Settings
from pipelines.study.neighbours import Selection


class Density(Settings):
    """Cells of a class, and what they hold, for each mm² of tissue: tables/densities.csv.

    Needs `morphology`, which gives cells a place, and a pixel size.
    """

    type: Literal["density"]
    name: ChannelName
    """Name of the class; NAME_per_mm2 is an outcome for the statistics."""
    cells: Selection
    """Columns of the cells table and the value, or values, of the cells that are counted, e.g.
    `{macrophage_positive: true}`."""
    sums: tuple[str, ...] = ()
    """Columns that are summed over these cells, such as spots of Il1b: NAME_COLUMN_per_mm2."""
    area: Literal["tissue", "image"] = "tissue"
    """Area that is divided by: that which cells fill, lumens and tears included, or the image."""
