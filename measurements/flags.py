"""Positive, negative or not measured: what several markers say of the same cells."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from measurements.errors import MeasurementError


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """Markers of the same cells.

    Attributes:
        markers: names.
        positive: (cells, markers); False where not measured.
        measured: (cells, markers).
    """

    markers: tuple[str, ...]
    positive: NDArray[np.bool_]
    measured: NDArray[np.bool_]

    @classmethod
    def of(cls, given: Mapping[str, ArrayLike]) -> "Flags":
        """Read flags.

        Args:
            given: marker -> one value a cell: booleans, or numbers 1, 0 and NaN (not measured).

        Raises:
            MeasurementError: no marker, different lengths, or other values.
        """
        columns = {name: np.asarray(values) for name, values in given.items()}
        shapes = {name: column.shape for name, column in columns.items()}
        if not shapes or len(set(shapes.values())) > 1 or len(next(iter(shapes.values()))) != 1:
            raise MeasurementError(
                f"Flags of shapes {shapes} were given; expected at least one marker, and one value "
                "a cell for each, of the same cells."
            )
        for name, column in columns.items():
            if column.dtype.kind not in "buif":
                raise MeasurementError(
                    f"Flags of {name} are {column.dtype}; expected booleans, or 1, 0 and NaN."
                )
        table = np.column_stack([column.astype(np.float64) for column in columns.values()])
        other = table[~np.isnan(table) & (table != 0) & (table != 1)]
        if other.size:
            raise MeasurementError(
                f"Flags hold {other[0]:g}; expected booleans, or 1, 0 and NaN: gate the values "
                "first, see measurements.gating.positive."
            )
        return cls(tuple(columns), table == 1, ~np.isnan(table))
