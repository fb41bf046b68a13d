"""Means over the surroundings of each cell, as a sparse matrix."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse, spatial

from measurements.errors import MeasurementError
from measurements.regions import Floats

REACH = 2.0


@dataclass(frozen=True)
class Surroundings:
    """Which cells lie about which.

    Attributes:
        weights: (n, n) sparse, rows sum to 1: a Gaussian of the distance, the cell itself included.
        effective: (n,) number of cells that such a mean is worth, 1 / sum of squared weights.
        near: (m, 2) pairs of cells within one SD of the Gaussian, each once.
    """

    weights: sparse.csr_array
    effective: Floats
    near: np.ndarray

    @staticmethod
    def of(positions: Floats, width: float) -> "Surroundings":
        """Lay out the surroundings.

        Args:
            positions: (n, 2) cells, px.
            width: SD of the Gaussian, px, which ends at twice that.

        Raises:
            MeasurementError: the width is not above 0, or a cell has no place.
        """
        if not width > 0 or not np.isfinite(positions).all():
            raise MeasurementError(
                f"Surroundings of {width} px were asked for; expected a width above 0 and cells "
                "that all have a place."
            )
        n = len(positions)
        pairs = spatial.cKDTree(positions).query_pairs(REACH * width, output_type="ndarray")
        apart = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
        weight = np.exp(-((apart / width) ** 2) / 2)
        rows = np.concatenate([pairs[:, 0], pairs[:, 1], np.arange(n)])
        columns = np.concatenate([pairs[:, 1], pairs[:, 0], np.arange(n)])
        values = np.concatenate([weight, weight, np.ones(n)])
        total = np.bincount(rows, values, n)
        values = values / total[rows]
        matrix = sparse.csr_array((values, (rows, columns)), shape=(n, n))
        return Surroundings(
            matrix, 1 / np.bincount(rows, values**2, n), pairs[apart <= width].astype(np.int64)
        )

    def mean(self, values: Floats) -> Floats:
        """Mean of (n, k) values over each cell's surroundings, (n, k)."""
        return np.asarray(self.weights @ np.asarray(values, dtype=np.float64))
