"""What all settings are made of: names, positive numbers, and lengths in µm or px."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pipelines.errors import StudyError


def _column_name(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"'{name}' becomes part of column names: use lower-case letters, digits and _, "
            "starting with a letter"
        )
    return name


ChannelName = Annotated[str, AfterValidator(_column_name)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Scalar = str | int | float | bool


class Settings(BaseModel):
    """Base of all settings: immutable, unknown keys refused, docstrings become the schema's."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Lengths(Settings):
    """Settings that hold lengths, each given either in µm or in px.

    A subclass declares the two fields ``NAME_um`` and ``NAME_px``; exactly one must be given,
    unless both have defaults.
    """

    def in_px(self, name: str, pixel_size_um: float | None) -> float:
        """The length `name` in pixels.

        Raises:
            StudyError: the length is in µm and the pixel size is unknown.
        """
        px: float | None = getattr(self, f"{name}_px")
        um: float | None = getattr(self, f"{name}_um")
        if px is not None:
            return px
        assert um is not None  # held by _one_unit
        if pixel_size_um is None:
            raise StudyError(
                f"{name}_um: {um} cannot be used: the pixel size is unknown. "
                f"Give {name}_px, or pixel_size_um for the study."
            )
        return um / pixel_size_um

    def uses_um(self) -> tuple[str, ...]:
        """Names of the lengths that were given in µm."""
        return tuple(
            key for key in type(self).model_fields if key.endswith("_um") and getattr(self, key)
        )

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        names = [key[:-3] for key in type(self).model_fields if key.endswith("_um")]
        for name in names:
            given = [k for k in (f"{name}_um", f"{name}_px") if getattr(self, k) is not None]
            if len(given) != 1:
                found = " and ".join(given) or "neither"
                raise ValueError(f"give {name}_um or {name}_px, one of them; found {found}")
        return self
