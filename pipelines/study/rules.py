"""How a threshold is decided: the rule that every marker's gate follows."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.study.base import Scalar, Settings


class Rule(Settings):
    """How a threshold is decided."""

    rule: Literal["control_percentile", "gmm", "otsu", "fixed"] = "control_percentile"
    """Percentile of control cells, two-component mixture, Otsu, or a fixed value."""
    controls: dict[str, Scalar] = Field(default_factory=dict)
    """Sample columns and their values that select the control images: cells that are not
    senescent by design, never an experimental arm."""
    percentile: Annotated[float, Field(ge=50, lt=100)] = 95.0
    """Percentile of the control cells (control_percentile)."""
    value: float | None = None
    """The threshold itself (fixed)."""
    by: str | None = None
    """Sample column of batches or plates: one threshold each."""

    @model_validator(mode="after")
    def _fixed_has_a_value(self) -> Self:
        if (self.rule == "fixed") != (self.value is not None):
            raise ValueError("value is the threshold of rule fixed: give both or neither")
        return self
