"""The threshold above which a cell is positive for a marker: one rule book for every marker.

Order of preference: the percentile of control cells, two components on the log intensity where
there are no controls, Otsu, a fixed value. A rule that cannot answer does not guess: it returns a
`Gate` whose threshold is NaN and whose note says why.

Log scale: `two_component` and `otsu` work on z = arcsinh(x / s), which is log(2x / s) for x >> s
and, unlike the logarithm, takes the values at and below 0 that background subtraction leaves.
s is the SD of the dim cells, from the sample itself: (25th - 2.5th percentile) / 1.285, so
multiplying all intensities by a factor multiplies the threshold by it. A smaller s would tear one
population that lies around 0 into two: the density of arcsinh(x / s) for x normal with mean 0 has
two peaks as soon as s < SD (its second log derivative at 0 is 1 - s²/SD²).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from measurements.errors import MeasurementError
from measurements.mixtures import best_split, refine
from measurements.modality import clipped_end, has_valley
from measurements.resampling import Draws, interval, largest_contrast, weighted_quantile

Floats = NDArray[np.float64]

MIN_CELLS = 20
"""Fewer cells make two components unanswerable, and any other rule's note say so [judgement]."""
OTSU_NO_VALLEY = "Otsu always splits; a dip test finds no valley here: perhaps one population"
UNIT_SHARE = 0.5
"""Share of the variance of being positive that lies between units, above which a note says so."""
DIM_QUANTILES = (0.025, 0.25)
DIM_WIDTH_IN_SD = 1.285
"""Distance between these quantiles of a normal, in SD."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A decided threshold, with what decided it.

    Attributes:
        rule: ``control_percentile``, ``two_component``, ``otsu`` or ``fixed``.
        threshold: a cell above it is positive, in the unit of the values; NaN where refused.
        n_cells: finite values that the threshold was derived from (controls, or all cells); 0 for
            a fixed one.
        ci_low: lower end of the threshold's 95 % bootstrap interval; NaN where there is none.
        ci_high: upper end of it.
        note: why the rule refused, or what to bear in mind; empty where there is nothing to say.
        observed_control_fraction: fraction of the controls above the threshold; NaN without
            controls.
        alpha: fraction of negative cells expected above the threshold, 1 - percentile / 100; NaN
            for the rules that do not set it.
    """

    rule: str
    threshold: float
    n_cells: int
    ci_low: float = np.nan
    ci_high: float = np.nan
    note: str = ""
    observed_control_fraction: float = np.nan
    alpha: float = np.nan


def control_percentile(
    values: ArrayLike,
    *,
    percentile: float = 95.0,
    seed: int,
    n_boot: int = 1000,
    units: ArrayLike | None = None,
) -> Gate:
    """Threshold at a percentile of control cells, which calls 5 % of them positive at the 95th.

    The 95th percentile of reference cells is the rule of FAST (GeroScience 46:4185). Quantiles are
    interpolated linearly (Hyndman & Fan 1996, type 7).

    Args:
        values: intensities of the control cells, 1-D, any real dtype; non-finite ones are dropped.
        percentile: at least 50 and below 100.
        seed: of the bootstrap.
        n_boot: resamples for the interval; 0 for none.
        units: donor, animal or image of each cell. Given, whole units are resampled: cells of one
            unit resemble each other, and resampling cells would make the interval too narrow.

    Raises:
        MeasurementError: the percentile or the arrays' shapes do not fit.
    """
    if not 50 <= percentile < 100:
        raise MeasurementError(
            f"percentile: {percentile} was given; expected at least 50 and below 100, such as 95"
        )
    alpha = (100 - percentile) / 100
    x, codes, notes = _cleaned(values, units)
    if x.size == 0:
        return _refused("control_percentile", 0, [*notes, "no control cells"], alpha)
    needed = max(MIN_CELLS, int(np.ceil(1 / alpha - 1e-9)))
    if x.size < needed:
        notes.append(f"{x.size} control cells, {needed} recommended for percentile {percentile:g}")
    threshold = float(np.percentile(x, percentile))

    def thresholds(places: Floats, weights: Floats) -> Floats:
        return weighted_quantile(places, weights, percentile / 100)

    low, high, limits = interval(x, codes, thresholds, Draws(seed, n_boot))
    above = float(np.mean(x > threshold))
    note = "; ".join([*notes, *limits])
    return Gate("control_percentile", threshold, x.size, low, high, note, above, alpha)


def two_component(
    values: ArrayLike, *, seed: int, n_boot: int = 1000, units: ArrayLike | None = None
) -> Gate:
    """Threshold where two normals on the log scale are equally likely, or a refusal.

    Two normals can always be fitted, and fit any skewed population better than one once there are
    many cells. The split is believed only where all of this holds: a fit whose posteriors cross
    between its means, Ashman's D over 2, at least 1 % and 5 cells on either side, and a valley at
    the crossing (dip test at 0.5 %, see `measurements.modality.has_valley`). Positive cells that
    merely widen a shoulder of the negatives are therefore not found: two normals of equal SD with
    3 SD between them have a valley only where the smaller holds over 19 % of the cells (de
    Helguero's condition), and no rule without controls can tell a shoulder from a skewed tail.

    Args:
        values: intensities of all cells, 1-D, any real dtype; non-finite ones are dropped.
        seed: of the bootstrap. The threshold itself involves no chance.
        n_boot: resamples for the interval, which takes the two components for granted; 0 for none.
        units: donor, animal or image of each cell, for the interval as in `control_percentile`
            and for a note where the two populations are rather two sets of units.

    Raises:
        MeasurementError: the arrays' shapes do not fit.
    """
    x, codes, notes = _cleaned(values, units)
    problem = _not_splittable(x)
    if problem:
        return _refused("two_component", x.size, [*notes, problem])
    scale = _log_scale(x)
    z = np.arcsinh(x / scale)
    found = best_split(z)
    if found is None:
        return _refused("two_component", x.size, [*notes, "no two separate components"])
    cut = float(found.crossing()[0])
    if not has_valley(z, cut):
        notes.append("one population, or too few cells to tell: no valley between the components")
        return _refused("two_component", x.size, notes)

    def thresholds(places: Floats, weights: Floats) -> Floats:
        start = found.take(np.zeros(len(weights), dtype=np.intp))
        return refine(places, weights, start, tolerance=1e-4, max_steps=100).crossing()

    low, high, limits = interval(z, codes, thresholds, Draws(seed, n_boot))
    note = "; ".join([*notes, *limits, *_unit_note(z > cut, codes)])
    return _unscaled(Gate("two_component", cut, x.size, low, high, note), scale)


def otsu(
    values: ArrayLike, *, seed: int, n_boot: int = 1000, units: ArrayLike | None = None
) -> Gate:
    """Threshold of largest between-class variance on the log scale (Otsu 1979, IEEE SMC 9:62).

    Exact: every gap between sorted values is tried, and the threshold is the middle of the best
    one. Otsu splits whatever it is given, so the note always says whether there is a valley at the
    threshold; it does not refuse, because whoever chose Otsu chose that.

    Args:
        values: intensities of all cells, 1-D, any real dtype; non-finite ones are dropped.
        seed: of the bootstrap.
        n_boot: resamples for the interval; 0 for none.
        units: as in `two_component`.

    Raises:
        MeasurementError: the arrays' shapes do not fit.
    """
    x, codes, notes = _cleaned(values, units)
    if np.unique(x).size < 2:
        return _refused("otsu", x.size, [*notes, "no two different values"])
    if x.size < MIN_CELLS:
        notes.append(f"{x.size} cells, {MIN_CELLS} recommended")
    scale = _log_scale(x)
    z = np.arcsinh(x / scale)
    places, counts = np.unique(z, return_counts=True)
    cut = float(largest_contrast(places, counts[None, :].astype(np.float64))[0])

    valley = not clipped_end(x) and has_valley(z, cut)
    notes.append("Otsu always splits; a dip test finds a valley here" if valley else OTSU_NO_VALLEY)
    low, high, limits = interval(z, codes, largest_contrast, Draws(seed, n_boot))
    note = "; ".join([*notes, *limits, *_unit_note(z > cut, codes)])
    return _unscaled(Gate("otsu", cut, x.size, low, high, note), scale)


def fixed(value: float) -> Gate:
    """A threshold that the user gives; it has no interval.

    Raises:
        MeasurementError: the value is not finite.
    """
    if not np.isfinite(value):
        raise MeasurementError(f"fixed threshold: {value} was given; expected a finite number")
    return Gate("fixed", float(value), 0)


def corrected_fraction(observed: ArrayLike, alpha: float) -> Floats:
    """Positive fraction without the negatives above the threshold, (observed - α) / (1 - α).

    Rogan & Gladen 1978 (Am. J. Epidemiol. 107:71) with specificity 1 - α and sensitivity 1: a
    lower bound where positive cells stay below the threshold. Below 0 where fewer cells than α are
    above it; not clipped there, since the mean of clipped fractions is too high.

    Args:
        observed: fractions of cells above the threshold; NaN stays NaN.
        alpha: fraction of negative cells above it; NaN where that is unknown gives NaN.

    Raises:
        MeasurementError: observed is outside [0, 1] or alpha outside [0, 1).
    """
    fractions = np.asarray(observed, dtype=np.float64)
    if np.any((fractions < 0) | (fractions > 1)) or alpha < 0 or alpha >= 1:
        raise MeasurementError(
            f"observed {fractions} and alpha {alpha} were given; expected fractions, alpha below 1"
        )
    corrected: Floats = (fractions - alpha) / (1 - alpha)
    return corrected


def positive(values: ArrayLike, gate: Gate) -> NDArray[np.bool_]:
    """Cells above the threshold; a cell without a value (NaN) is not positive.

    Raises:
        MeasurementError: the gate was refused; calling every cell negative would be a result.
    """
    if np.isnan(gate.threshold):
        raise MeasurementError(f"{gate.rule} gave no threshold ({gate.note}): choose another rule")
    above: NDArray[np.bool_] = np.asarray(values, dtype=np.float64) > gate.threshold
    return above


def _refused(rule: str, n_cells: int, notes: list[str], alpha: float = np.nan) -> Gate:
    return Gate(rule, np.nan, n_cells, note="; ".join(notes), alpha=alpha)


def _cleaned(
    values: ArrayLike, units: ArrayLike | None
) -> tuple[Floats, NDArray[np.intp] | None, list[str]]:
    """Finite values in float64, unit codes from 0 on, and a note on what was dropped."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise MeasurementError(f"values of shape {x.shape} were given; expected one value a cell")
    finite = np.isfinite(x)
    lost = int(x.size - finite.sum())
    notes = [f"{lost} of {x.size} values not finite, dropped"] if lost else []
    if units is None:
        return x[finite], None, notes
    names = np.asarray(units)
    if names.shape != x.shape:
        raise MeasurementError(
            f"units of shape {names.shape} for values of shape {x.shape}; expected one unit a cell"
        )
    return x[finite], np.unique(names[finite], return_inverse=True)[1], notes


def _not_splittable(x: Floats) -> str:
    """Why two components cannot be looked for, or an empty string."""
    if x.size < MIN_CELLS:
        return f"{x.size} cells, at least {MIN_CELLS} needed"
    if np.unique(x).size < 3:
        return "fewer than three different values"
    end = clipped_end(x)
    if end is not None:
        return f"many cells share the {end} value: clipped or saturated, not a population"
    return ""


def _log_scale(x: Floats) -> float:
    """SD of the dim cells; the smallest magnitude where the dim cells are all equal."""
    low, high = np.quantile(x, DIM_QUANTILES)
    if high > low:
        return float(high - low) / DIM_WIDTH_IN_SD
    return float(np.abs(x[x != 0]).min())


def _unscaled(gate: Gate, scale: float) -> Gate:
    """The gate in the unit of the values, from one on z = arcsinh(value / scale)."""
    cut, low, high = (
        float(scale * np.sinh(z)) for z in (gate.threshold, gate.ci_low, gate.ci_high)
    )
    return replace(gate, threshold=cut, ci_low=low, ci_high=high)


def _unit_note(above: NDArray[np.bool_], codes: NDArray[np.intp] | None) -> list[str]:
    """A note where most of the variance of being positive lies between units.

    Units that differ in staining or exposure make two populations just as senescence does.
    """
    if codes is None or not 0 < above.mean() < 1:
        return []
    cells = np.bincount(codes)
    fractions = np.bincount(codes, above) / cells
    between = np.average((fractions - above.mean()) ** 2, weights=cells)
    share = between / (above.mean() * (1 - above.mean()))
    if share <= UNIT_SHARE:
        return []
    return [f"{share:.0%} of the split lies between units: check that staining does not differ"]
