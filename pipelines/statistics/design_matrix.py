"""Groups and blocks of units as a matrix of fixed effects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Design:
    """One column a group (its mean), and one a block but the first.

    Attributes:
        matrix: shape (units, columns).
        groups: code of each unit's group, shape (units,).
        blocks: code of each unit's block, shape (units,); None without blocks.
        names: of the groups, by code.
    """

    matrix: Floats
    groups: NDArray[np.intp]
    blocks: NDArray[np.intp] | None
    names: Sequence[str]

    @classmethod
    def of(
        cls, groups: NDArray[np.intp], blocks: NDArray[np.intp] | None, names: Sequence[str]
    ) -> "Design":
        """The design of units.

        Args:
            groups: code of each unit's group, every code present.
            blocks: code of each unit's block; None without blocks.
            names: of the groups.
        """
        columns = [groups[:, None] == np.arange(len(names))]
        if blocks is not None:
            columns.append(blocks[:, None] == np.unique(blocks)[1:])
        return cls(np.hstack(columns).astype(np.float64), groups, blocks, names)

    @property
    def df(self) -> int:
        """Units minus the rank of the matrix."""
        return int(self.matrix.shape[0] - np.linalg.matrix_rank(self.matrix))

    @property
    def folds(self) -> list[NDArray[np.bool_]]:
        """Units that are kept as one unit, or one whole block, at a time is left out."""
        members = np.arange(self.groups.size) if self.blocks is None else self.blocks
        return [members != member for member in np.unique(members)]

    @property
    def strata(self) -> NDArray[np.intp]:
        """Group of the unit that each fold leaves out; 0 for blocks, which hold all groups."""
        return self.groups if self.blocks is None else np.zeros(len(self.folds), dtype=np.intp)

    def contrast(self, weights: Sequence[float]) -> Floats:
        """Weights of groups as weights of all columns."""
        padded = np.zeros(self.matrix.shape[1])
        padded[: len(weights)] = weights
        return padded


def estimable(matrix: Floats, contrast: Floats) -> bool:
    """Whether the data determine a weighted sum of coefficients (Searle 1971, ch. 5)."""
    projected = contrast @ np.linalg.pinv(matrix) @ matrix
    return bool(np.allclose(projected, contrast, atol=1e-8))
