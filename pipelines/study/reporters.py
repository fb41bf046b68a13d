"""Settings of reporters: channels, control images, gates and classes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from measurements.reporter_classes import class_problems, default_classes
from pipelines.study.base import ChannelName, Scalar, Settings
from pipelines.study.messages import nearest
from pipelines.study.rules import Rule

MAX_CHANNELS = 6


class ReporterGate(Rule):
    """When a cell is positive for a reporter."""

    controls: dict[str, Scalar] = Field(default_factory=dict)
    """Sample columns and their values that select images of cells that carry the reporter and do
    not express it, such as animals without doxycycline. Without any, rule control_percentile takes
    the unlabelled images of `bleed_through`, whose cells are darker than such cells."""
    percentile: Annotated[float, Field(ge=50, lt=100)] = 99.5
    """Percentile of the control cells; each channel calls the rest of the negative cells positive,
    so that with two channels 95 would take a tenth of them out of their class."""

    @property
    def by_unlabelled(self) -> bool:
        """Whether the unlabelled images of `bleed_through` are the controls."""
        return self.rule == "control_percentile" and not self.controls

    @model_validator(mode="after")
    def _controls_are_used(self) -> Self:
        if self.controls and self.rule != "control_percentile":
            raise ValueError(
                f"controls select the control images of rule control_percentile, not of {self.rule}"
            )
        return self


class Reporters(Settings):
    """Reporter proteins such as mCherry and GFP: unmixed, gated, and a class for every cell.

    Measured in the cytoplasm, where the nuclear stain's channel shows autofluorescence; in the
    nucleus where the study has no cells. The median is taken, above the local background.
    """

    type: Literal["reporters"]
    channels: Annotated[tuple[ChannelName, ...], Field(min_length=1, max_length=MAX_CHANNELS)]
    """The reporters' channels."""
    bleed_through: str | None = None
    """CSV of control images, with the columns of the sample table that name files and `stained`:
    the reporter that is alone in the image, or `unlabelled` (also: the channel of the nuclear
    stain) where there is none. Nuclei are to be stained in all of them. Without it nothing is
    unmixed."""
    gates: dict[ChannelName, ReporterGate] = Field(default_factory=dict)
    """How each channel's threshold is decided; the defaults hold for channels left out."""
    classes: dict[ChannelName, tuple[str, ...]] = Field(default_factory=dict)
    """Class -> its channels with + or -; one left out may be either. Every combination belongs to
    exactly one class. Without any, each combination is a class named by its positive channels."""
    haze: bool = False
    """Take off the light that bright cells spread over their surroundings. Needs outlines of whole
    cells and free background between them."""

    def gate(self, channel: str) -> ReporterGate:
        """The gate of a channel."""
        return self.gates.get(channel, ReporterGate())

    def signs(self) -> dict[str, tuple[str, ...]]:
        """The classes, the default ones where none are given."""
        return self.classes or default_classes(self.channels)

    @model_validator(mode="after")
    def _gates_and_classes_fit_the_channels(self) -> Self:
        problems = [f"channels: {c} stands there twice." for c in _twice(self.channels)]
        problems += [
            f"gates: '{name}' is not one of the channels; {nearest(name, self.channels)}."
            for name in self.gates
            if name not in self.channels
        ]
        problems += [f"classes: {text}" for text in class_problems(self.channels, self.signs())]
        if self.bleed_through is None:
            problems += [
                f"gates.{name}: give controls, another rule, or bleed_through with unlabelled "
                "images: a percentile needs control cells."
                for name in self.channels
                if self.gate(name).by_unlabelled
            ]
        if problems:
            raise ValueError(" ".join(problems))
        return self


def _twice(names: tuple[str, ...]) -> list[str]:
    return [name for i, name in enumerate(names) if name in names[:i]]
