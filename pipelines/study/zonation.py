"""Settings of zonation: where each cell lies along an axis of the tissue, by what it expresses."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.study.base import ChannelName, NonNegative, Positive, Scalar, Settings

BETWEEN = "between"
UNASSIGNED = "unassigned"
Genes = Annotated[tuple[str, ...], Field(min_length=1)]


class Zonation(Settings):
    """Zones of a tissue, such as those of the liver lobule or along the crypt of the colon.

    Each image is a section. Needs `morphology`, which gives cells a place, and a pixel size.
    """

    type: Literal["zonation"]
    zones: Annotated[dict[ChannelName, Genes], Field(min_length=2, max_length=3)]
    """Zones in their order along the axis, and the columns of the cells table that are high in
    each, e.g. `{pericentral: [cyp2e1_count], midzonal: [hamp_count], periportal: [cyp2f2_count]}`.
    The first and the last make the score; with two zones, what lies between them is `between`."""
    values: Literal["counts", "intensity"] = "counts"
    """What these columns hold: molecules counted, or light above background."""
    reference: Annotated[dict[str, Scalar], Field(min_length=1)]
    """Sample columns and their values that select reference images, such as healthy animals: they
    set once how strong genes are and where zones part, for all images. Each reference animal is
    measured by the others."""
    width_um: Positive = 30.0
    """SD of the Gaussian that a cell's surroundings are averaged with, in µm."""
    least_counts: NonNegative = 10.0
    """Counts of the first and last zone's genes in its surroundings under which a cell has no zone:
    dimmed genes must not turn into a lost zone (with values: counts)."""
    least_share: NonNegative = 0.1
    """The same as a share of the reference's strong level (with values: intensity)."""
    landmarks: str | None = None
    """CSV with columns image (its id), y_um, x_um and zone (the first or the last): places at the
    ends of the axis, such as central and portal veins. Without it, there is no steepness."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the permutations."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        taken = {BETWEEN, UNASSIGNED, "score", "confidence", "order", "coherence", "steepness"}
        if twice := sorted(taken & set(self.zones)):
            raise ValueError(f"zones: '{twice[0]}' is a name that senescope uses; choose another")
        columns = [name for genes in self.zones.values() for name in genes]
        if repeated := next((n for n in columns if columns.count(n) > 1), None):
            raise ValueError(f"zones: {repeated} stands in two zones; each column marks one")
        return self

    @property
    def three(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Names and columns of the first, middle and last zone; a middle one may have none."""
        first, *middle, last = self.zones.items()
        between: list[tuple[str, tuple[str, ...]]] = middle or [(BETWEEN, ())]
        return (first, *between, last)
