"""Settings of RNA spots."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.study.base import ChannelName, Lengths, Positive, Settings

Bounds = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=20)]


class UnusedChannel(Settings):
    """A channel that no probe was put into: what it shows at a spot's place is no RNA."""

    channel: ChannelName
    """The channel."""
    ratio: Positive = 0.25
    """Its contrast over the spot's own from which the spot is autofluorescence. Above what bleeds
    through, below what lipofuscin has at your exposures."""
    height: Positive = 4.0
    """Noise SDs that it must stand out by."""
    distance_px: Positive = 2.0
    """Largest shift between the channels, px."""


class Spots(Lengths):
    """RNA molecules (RNAscope, smFISH) as spots: counted in every cell, clusters by their light."""

    type: Literal["spots"]
    channel: ChannelName
    sigma_um: Positive | None = None
    """Standard deviation of a single molecule's spot, in µm; 1.3 px where neither is given."""
    sigma_px: Positive | None = None
    """The same in px."""
    threshold: Positive | None = None
    """Noise SDs that a spot stands out by; without it, told from the heights in each image."""
    unused: UnusedChannel | None = None
    """Channel in which autofluorescence is told; without it none is rejected."""
    single: Positive | None = None
    """Light of one molecule, grey values times px; without it, told from the isolated spots of all
    images together."""
    by: str | None = None
    """Sample column of batches, whose images are judged together."""
    bounds: Bounds = (1, 4, 10, 16)
    """Fewest molecules of a cell for RNAscope score 1, 2, 3 and so on (ACD's definition)."""
    clustered: Annotated[float, Field(ge=0, lt=1)] | None = 0.1
    """Share of molecules in clusters above which the last score but one becomes the last (ACD);
    null to score by number alone."""

    @model_validator(mode="before")
    @classmethod
    def _default_sigma(cls, data: object) -> object:
        if isinstance(data, dict) and not {"sigma_um", "sigma_px"} & data.keys():
            return {**data, "sigma_px": 1.3}
        return data

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(a >= b for a, b in zip(self.bounds, self.bounds[1:], strict=False)):
            raise ValueError(f"bounds: {list(self.bounds)} do not rise")
        if self.unused is not None and self.unused.channel == self.channel:
            raise ValueError(f"unused.channel: {self.channel} is the channel of the spots itself")
        if self.single is not None and self.by is not None:
            raise ValueError("give single, or by to have it told of each batch, one of them")
        return self
