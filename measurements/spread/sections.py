"""What a test of spread is given: the cells of one section, and how to look at them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import spatial

from measurements.errors import MeasurementError
from measurements.regions import Floats

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class SpreadSettings:
    """How spread is looked for.

    Attributes:
        rings: edges of the rings about sources, px, rising from 0.
        contact: cells nearer to a source than this, px, may touch it and show its light. They are
            told apart everywhere, and left out of the test. None takes twice the median distance
            of neighbouring cells [judgement: in a packed tissue few cells that touch have centres
            farther apart].
        n_shifts: random shifts that say what chance brings.
        seed: seed of the shifts.
    """

    rings: tuple[float, ...]
    contact: float | None = None
    n_shifts: int = 999
    seed: int = 0

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.rings, self.rings[1:], strict=False))
        if len(self.rings) < 2 or self.rings[0] != 0 or not rising:
            raise MeasurementError(
                f"The rings' edges are {self.rings}; expected two or more, rising from 0."
            )
        if self.contact is not None and not 0 <= self.contact < self.rings[-1]:
            raise MeasurementError(
                f"The contact distance is {self.contact}; expected 0 or more, below the last "
                f"ring's edge of {self.rings[-1]}."
            )
        if self.n_shifts < 19:
            raise MeasurementError(
                f"{self.n_shifts} shifts were asked for; 19 are the least that allow p = 0.05."
            )

    def contact_of(self, section: "Section") -> float:
        """The contact distance of a section, px."""
        return 2 * section.spacing if self.contact is None else self.contact

    def bounds(self, contact: float) -> Floats:
        """Edges of the rings with the contact distance as one of them, without 0."""
        edges = {*self.rings[1:], contact} - {0.0}
        return np.array(sorted(edges))


@dataclass(frozen=True)
class Section:
    """Cells of one section.

    Attributes:
        positions: (n, 2) y and x of the cells' centres, px.
        source: (n,) cells from which the response may spread; never responders themselves.
        response: (n,) 1 where the cell responds, 0 where not, NaN where that is not known.
        among: (n,) cells whose response is asked about; sources and unknown ones are left out.
        stratum: (n,) zone of the tissue or the like: cells are only compared within one.
    """

    positions: Floats
    source: Bools
    response: Floats
    among: Bools
    stratum: NDArray[np.int64]

    @staticmethod
    def of(
        positions: ArrayLike,
        source: ArrayLike,
        response: ArrayLike,
        among: ArrayLike | None = None,
        stratum: ArrayLike | None = None,
    ) -> "Section":
        """Read a section from anything that makes arrays; cells without a place are left out.

        Raises:
            MeasurementError: the arrays do not fit each other.
        """
        places = np.asarray(positions, dtype=np.float64).reshape(-1, 2)
        n = len(places)
        flags = np.asarray(source, dtype=bool)
        answers = np.asarray(response, dtype=np.float64)
        asked = np.ones(n, dtype=bool) if among is None else np.asarray(among, dtype=bool)
        zones = np.zeros(n, dtype=np.int64) if stratum is None else np.asarray(stratum)
        for name, given in (
            ("source", flags), ("response", answers), ("among", asked), ("stratum", zones)
        ):  # fmt: skip
            if given.shape != (n,):
                raise MeasurementError(
                    f"{name} has the shape {given.shape}; expected one value for each of the "
                    f"{n} positions."
                )
        if not np.isin(answers[np.isfinite(answers)], (0, 1)).all():
            raise MeasurementError("A response is neither 0 nor 1 nor NaN: give a positivity.")
        placed = np.isfinite(places).all(axis=1)
        _, numbered = np.unique(zones[placed], return_inverse=True)
        return Section(
            places[placed], flags[placed], answers[placed], asked[placed], numbered.astype(np.int64)
        )

    @cached_property
    def responder(self) -> Bools:
        """Cells whose response counts."""
        return self.among & ~self.source & np.isfinite(self.response)

    @cached_property
    def spacing(self) -> float:
        """Median distance from a cell to the nearest other one, px; 0 for a single cell."""
        if len(self.positions) < 2:
            return 0.0
        nearest = spatial.cKDTree(self.positions).query(self.positions, k=2)[0][:, 1]
        return float(np.median(nearest))
