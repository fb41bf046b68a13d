"""What a column of a result table is: its name, unit, type, meaning and source.

A measurement never returns bare numbers. It returns ``Measured``: a mapping from `Column` to one
value a region, so that a number cannot reach a table without its definition. Lengths and areas
are measured in pixels; `in_physical_units` is the one place where pixels become micrometres.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

PX_SUFFIX = {1: "_px", 2: "_px2"}
UM_SUFFIX = {1: "_um", 2: "_um2"}
PX_UNIT = {1: "px", 2: "px²"}
UM_UNIT = {1: "µm", 2: "µm²"}


@dataclass(frozen=True, slots=True)
class Column:
    """Definition of one column.

    Attributes:
        name: snake_case name without a length unit; the table's name gets ``_um``, ``_um2``,
            ``_px`` or ``_px2`` added where `length_power` is not 0.
        unit: unit of the values where `length_power` is 0: ``a.u.`` for grey values of the file,
            ``a.u.·px`` for sums of them, ``count``, ``1`` for ratios, ``flag`` for booleans,
            ``key`` for identifiers.
        dtype: numpy name of the type in the table, e.g. ``float64``, ``uint32``, ``bool``, ``str``.
        meaning: one sentence that defines the number.
        source: where the definition comes from: a paper, a library's function, or ``[judgement]``
            with the reason where the field has no standard.
        length_power: 1 for a length, 2 for an area, 0 for everything else.
        aggregate: whether a mean over cells says anything; False for keys and positions.
    """

    name: str
    unit: str
    dtype: str
    meaning: str
    source: str
    length_power: int = 0
    aggregate: bool = True

    def bind(self, **names: str) -> "Column":
        """Fill the placeholders of `name` and `meaning`, such as ``{channel}``."""
        return replace(self, name=self.name.format(**names), meaning=self.meaning.format(**names))


Measured = Mapping[Column, NDArray[np.generic]]


def length(name: str, meaning: str, source: str) -> Column:
    """Define a column that holds a length, measured in pixels."""
    return Column(name, "px", "float64", meaning, source, length_power=1)


def position(name: str, meaning: str, source: str) -> Column:
    """Define a column that holds a coordinate in the image: a length that no mean is taken of."""
    return replace(length(name, meaning, source), aggregate=False)


def area(name: str, meaning: str, source: str) -> Column:
    """Define a column that holds an area, measured in pixels."""
    return Column(name, "px²", "float64", meaning, source, length_power=2)


def in_physical_units(measured: Measured, pixel_size_um: float | None) -> Measured:
    """Turn pixel lengths and areas into micrometres and put the unit into the column's name.

    Args:
        measured: values in pixels, any number of columns.
        pixel_size_um: edge length of a pixel in µm; None where it is unknown, which keeps pixels
            and says so in the names (``_px``, ``_px2``).

    Returns:
        The same columns in the same order, float64 where scaled.
    """
    converted: dict[Column, NDArray[np.generic]] = {}
    for column, values in measured.items():
        power = column.length_power
        if power == 0:
            converted[column] = values
        elif pixel_size_um is None:
            named = replace(column, name=column.name + PX_SUFFIX[power], unit=PX_UNIT[power])
            converted[named] = values
        else:
            named = replace(column, name=column.name + UM_SUFFIX[power], unit=UM_UNIT[power])
            converted[named] = np.asarray(values, dtype=np.float64) * pixel_size_um**power
    return converted
