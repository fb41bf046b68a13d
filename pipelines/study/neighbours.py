"""Settings of spread: whether a response is more frequent near certain cells."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.study.base import ChannelName, NonNegative, Positive, Scalar, Settings

Selection = Annotated[dict[str, Scalar | tuple[Scalar, ...]], Field(min_length=1)]


class Neighbours(Settings):
    """Whether a response spreads from source cells to their neighbours, and how far.

    Each image is a section. Needs `morphology`, which gives cells a place, and a pixel size.
    """

    type: Literal["neighbours"]
    name: ChannelName = "spread"
    """Name of the question in tables/spread.csv and of the cells' column NAME_source_distance_um;
    needed where a study asks more than one."""
    source: Selection
    """Columns of the cells table and the value, or values, of the cells that it spreads from, e.g.
    `{reporter_class: [primary, double]}`. They never respond themselves."""
    response: str
    """Flag column of the cells table that may spread, e.g. p21_positive."""
    among: dict[str, Scalar | tuple[Scalar, ...]] = Field(default_factory=dict)
    """Cells whose response is asked about; without it, all that are no source."""
    strata: str | None = None
    """Column of the cells table, e.g. a zone: cells are compared within each of its values."""
    rings_um: Annotated[tuple[NonNegative, ...], Field(min_length=2)] = (0, 15, 30, 60, 120)
    """Edges of the rings around sources, rising from 0, in µm. The last one is also how far an
    effect may reach for its range to be fitted."""
    contact_um: Positive | None = None
    """Cells nearer than this to a source may touch it and show its light: they are left out of the
    test, and the result with them stands beside. Without it, twice the median distance of
    neighbouring cells."""
    shifts: Annotated[int, Field(ge=19)] = 999
    """Random shifts that say what chance brings."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the shifts."""

    @model_validator(mode="after")
    def _rings_rise(self) -> Self:
        rising = all(a < b for a, b in zip(self.rings_um, self.rings_um[1:], strict=False))
        if self.rings_um[0] != 0 or not rising:
            raise ValueError(f"rings_um: {list(self.rings_um)} do not rise from 0")
        if self.contact_um is not None and self.contact_um >= self.rings_um[-1]:
            raise ValueError(f"contact_um: {self.contact_um:g} is not below the last of rings_um")
        return self
