"""The model of cells that stands beside the test of unit means, by what the outcome is."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.statistics import mixed, overdispersed
from pipelines.statistics.design_matrix import Design
from pipelines.statistics.measured import Measured, moments_of, units_of
from pipelines.statistics.mixed import MixedFit, fit_mixed
from pipelines.statistics.moments import COUNTED, MEAN
from pipelines.statistics.overdispersed import (
    BINOMIAL,
    COUNTS,
    fit_counts,
    fit_fractions,
    no_estimate,
)
from pipelines.statistics.results import TestResult, joined
from pipelines.statistics.unit_means import Units
from pipelines.study.model import Statistics

Floats = NDArray[np.float64]
Compare = Callable[[Sequence[float]], TestResult]
"""From weights of the groups to the comparison's test."""


def variance_components(measured: Measured, design: Statistics) -> MixedFit | str:
    """How much units, nested levels and cells vary, on the scale of `measured.images`."""
    return fit_mixed(*moments_of(measured, design))


def cell_model(measured: Measured, design: Statistics, components: MixedFit | str) -> Compare:
    """Fit the model once, to test any comparison with.

    Fractions and counts are modelled as totals of units, other numbers cell by cell.
    """
    if measured.outcome.kind == "number":
        matrix = moments_of(measured, design)[1]
        return lambda weights: mixed.compare(components, weights, matrix, logs=measured.logs)
    flags = measured.outcome.kind == "flag"
    test = BINOMIAL if flags else COUNTS
    units, totals, cells, note = _informative(measured, design, flags=flags)
    matrix = Design.of(units.groups, units.blocks, units.names)
    why = no_estimate(totals, cells if flags else np.full(cells.size, np.inf), matrix)
    fit = why or (fit_fractions if flags else fit_counts)(totals, cells, matrix)

    def compare(weights: Sequence[float]) -> TestResult:
        result = overdispersed.compare(fit, test, weights, matrix)
        return replace(result, note=joined(note, result.note))

    return compare


def _informative(
    measured: Measured, design: Statistics, *, flags: bool
) -> tuple[Units, Floats, Floats, str]:
    """Units, their totals and cells, without blocks that say nothing of a ratio.

    A block where no cell counts, or every cell is positive, fits any ratio between its groups; left
    in, it would add a degree of freedom without information.
    """
    units = units_of(measured, design)
    cells = measured.units[COUNTED].to_numpy().astype(np.float64)
    # Back to whole numbers: the mean of n cells times n is one but for rounding.
    totals = np.rint(measured.units[MEAN].to_numpy() * cells)
    if units.blocks is None:
        return units, totals, cells, ""
    silent = [
        block
        for block in np.unique(units.blocks)
        if not (mine := totals[units.blocks == block]).any()
        or (flags and (mine == cells[units.blocks == block]).all())
    ]
    kept = ~np.isin(units.blocks, silent)
    if kept.all() or not kept.any():
        return units, totals, cells, ""
    some = Units(units.values[kept], units.groups[kept], units.blocks[kept], units.names)
    note = f"{len(silent)} block(s) with no or only positive cells left out"
    return some, totals[kept], cells[kept], note
