"""Bleed-through and autofluorescence, estimated from control cells and taken off.

A cell's channels are x = autofluorescence + S s, with s the light of the dyes and S[c, d] the
signal of dye d in channel c for 1 in its own channel. S comes from cells that carry one dye,
s = S⁻¹ (x - autofluorescence), by least squares where there are more channels than dyes. This
is exact for sums and means above background. It holds nearly for medians where a cell's dyes lie
alike in the compartment, as freely diffusing proteins do in the cytoplasm; there the median is the
better choice, since it keeps out the pixels of a neighbour that the mask took in. It never holds
for ratios.

Cells differ in autofluorescence, and lipofuscin outshines weak reporters. Where a channel is to
spare, autofluorescence beyond the usual is therefore one more column of S, taken from how the
unlabelled cells differ from each other, as spectral cytometry does (Roederer 2001, Cytometry
45:194, for compensation; Schmutz et al. 2016, PLoS ONE 11:e0159961, for autofluorescence).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from measurements.background import robust_sd
from measurements.errors import MeasurementError
from measurements.slopes import Resampling, Slopes, free_slopes, slopes_through_zero

Floats = NDArray[np.float64]

AUTOFLUORESCENCE = "autofluorescence"
"""Name of the column of S that holds autofluorescence beyond the usual."""
MIN_CELLS = 20
"""Fewer cells of a control than this are refused [judgement]."""
FEW_UNLABELLED = 100
"""Fewer unlabelled cells get a note: autofluorescent cells are a few of a hundred, and how they
shine cannot be told from cells of which none is [judgement]."""
MIN_SIGNAL_SD = 3.0
"""The median control cell must outshine unlabelled cells by this many of their SD [judgement]."""
MAX_CONDITION = 20.0
"""Largest condition number of S; two dyes that leak b into each other have (1 + b) / (1 - b), 19
at 90 % [judgement]."""
FLAG_SD = 5.0
"""SD of the unlabelled cells beyond which a cell is autofluorescent [judgement]."""


@dataclass(frozen=True, slots=True)
class UnmixingSettings:
    """How S is estimated and when it is refused.

    Attributes:
        variable_autofluorescence: whether autofluorescence beyond the usual is a column of S where
            there are unlabelled cells and more channels than dyes.
        max_condition: condition number of S above which it is refused.
        resampling: of the control cells, for the intervals.
    """

    variable_autofluorescence: bool = True
    max_condition: float = MAX_CONDITION
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True, slots=True, eq=False)
class Unmixing:
    """What channels show of dyes.

    Attributes:
        channels: names of the channels, the rows of S.
        dyes: names of the dyes, the columns of S, each named as its own channel; the last may be
            `AUTOFLUORESCENCE`.
        matrix: S, (channels, dyes), 1 in each dye's own channel.
        autofluorescence: usual light of an unlabelled cell, (channels,).
        intervals: 95 % bootstrap interval of each entry, (channels, dyes, 2), NaN where there is
            none. Control cells are drawn; what differs between slides is not in it.
        n_cells: control cells that each column comes from, (dyes,).
        condition_number: of S: the most that an error of the channels grows by, relative to s.
        flag_level: amount of autofluorescence beyond the usual above which a cell is flagged, in
            grey values of its own channel; NaN where S has no such column.
        notes: what to bear in mind.
    """

    channels: tuple[str, ...]
    dyes: tuple[str, ...]
    matrix: Floats
    autofluorescence: Floats
    intervals: Floats
    n_cells: NDArray[np.int64]
    condition_number: float
    flag_level: float
    notes: tuple[str, ...]

    @property
    def inverse(self) -> Floats:
        """S⁻¹, or its least-squares pseudo-inverse, (dyes, channels)."""
        return np.asarray(np.linalg.pinv(self.matrix))


def estimate_unmixing(
    channels: Sequence[str],
    controls: Mapping[str, ArrayLike],
    unlabelled: ArrayLike | None,
    settings: UnmixingSettings | None = None,
) -> Unmixing:
    """Estimate S and autofluorescence from control cells.

    A slope is the least-absolute-deviation line through the unlabelled cells' median, which stray
    cells hardly move. Without unlabelled cells it is the Theil-Sen line, free in its intercept;
    autofluorescence then counts as 0 and remains in s.

    Args:
        channels: names of the channels.
        controls: dye -> mean or median above background of its single-colour control cells,
            (cells, channels). A dye has the name of its own channel. Cells out of the linear range
            must be NaN, see `linear_range`.
        unlabelled: the same of cells without these dyes, with any counterstain that the controls
            carry; None where there are none.
        settings: see `UnmixingSettings`.

    Raises:
        MeasurementError: names or shapes do not fit, a control has too few cells or does not
            shine, or S is so nearly singular that the dyes cannot be told apart.
    """
    settings = settings or UnmixingSettings()
    names, dyes = tuple(channels), tuple(controls)
    _check_names(names, dyes)
    bare = None if unlabelled is None else _finite(unlabelled, names, "unlabelled")
    level = np.zeros(len(names)) if bare is None else np.median(bare, axis=0)
    columns = []
    for dye, given in controls.items():
        cells = _finite(given, names, f"only {dye}")
        columns.append(_dye_slopes(cells, bare, names.index(dye), dye, settings.resampling))
    if bare is not None and settings.variable_autofluorescence and len(names) > len(dyes):
        dyes = (*dyes, AUTOFLUORESCENCE)
        varied = int(np.argmax(bare.std(axis=0)))
        columns.append(slopes_through_zero(bare - level, varied, settings.resampling))
    matrix = np.stack([column.values for column in columns], axis=1)
    intervals = np.stack([column.intervals for column in columns], axis=1)
    condition = _checked_condition(matrix, dyes, settings.max_condition)
    return Unmixing(
        channels=names,
        dyes=dyes,
        matrix=matrix,
        autofluorescence=level,
        intervals=intervals,
        n_cells=np.array([column.n_cells for column in columns]),
        condition_number=condition,
        flag_level=_flag_level(bare, level, matrix, dyes),
        notes=_notes(names, dyes, intervals, 0 if bare is None else len(bare)),
    )


def unmix(values: ArrayLike, unmixing: Unmixing) -> Floats:
    """Light of each dye in its own channel, s = S⁻¹ (x - autofluorescence).

    Nothing is clipped: dark cells scatter around 0, and cutting them off there would shift every
    mean and every gate.

    Args:
        values: (cells, channels), in the order of `unmixing.channels`, measured as the controls.
        unmixing: from controls taken with the same settings of the microscope.

    Returns:
        (cells, dyes); NaN in the whole row where any channel is NaN.

    Raises:
        MeasurementError: the number of channels is another.
    """
    x = _checked(values, unmixing.channels, "values")
    unmixed: Floats = (x - unmixing.autofluorescence) @ unmixing.inverse.T
    return unmixed


def unmixed_sd(sd: ArrayLike, unmixing: Unmixing) -> Floats:
    """SD of unmixed values from independent SDs of the channels, by error propagation.

    Taking bleed-through off adds the other channels' noise: sd_d² = Σ_c (S⁻¹)_dc² sd_c².

    Args:
        sd: (cells, channels), such as the standard error of each cell's mean.
        unmixing: see `unmix`.
    """
    variance = _checked(sd, unmixing.channels, "sd") ** 2
    propagated: Floats = np.sqrt(variance @ (unmixing.inverse**2).T)
    return propagated


def linear_range(values: ArrayLike, saturated_fraction: ArrayLike, allowed: float = 0.0) -> Floats:
    """Values with NaN for every cell that is saturated in any channel.

    A saturated channel no longer grows with the dye while the channels it leaks into do: such a
    cell would tilt S, and unmixing it leaves false light in the other channels.

    Args:
        values: (cells, channels).
        saturated_fraction: share of each cell's saturated pixels, (cells, channels).
        allowed: largest share that still counts as linear.

    Raises:
        MeasurementError: the shapes differ.
    """
    x, share = (np.asarray(a, dtype=np.float64) for a in (values, saturated_fraction))
    if x.shape != share.shape or x.ndim != 2:
        raise MeasurementError(
            f"values of shape {x.shape} and saturated fractions of shape {share.shape} were "
            "given; expected both (cells, channels)"
        )
    return np.where((share > allowed).any(axis=1, keepdims=True), np.nan, x)


def _dye_slopes(
    cells: Floats, bare: Floats | None, own: int, dye: str, resampling: Resampling
) -> Slopes:
    if bare is None:
        return free_slopes(cells, own)
    level = np.median(bare, axis=0)
    signal, scatter = float(np.median(cells[:, own]) - level[own]), robust_sd(bare[:, own])
    if not signal > MIN_SIGNAL_SD * scatter:
        raise MeasurementError(
            f"The control for {dye} is {signal:.3g} brighter in its own channel than unlabelled "
            f"cells, whose SD there is {scatter:.3g}; expected over {MIN_SIGNAL_SD:g} SD. Are the "
            "control images in the right order, and does the control express the dye?"
        )
    return slopes_through_zero(cells - level, own, resampling)


def _flag_level(bare: Floats | None, level: Floats, matrix: Floats, dyes: tuple[str, ...]) -> float:
    if bare is None or AUTOFLUORESCENCE not in dyes:
        return float("nan")
    amounts = (bare - level) @ np.linalg.pinv(matrix)[-1]
    return float(np.median(amounts) + FLAG_SD * robust_sd(amounts))


def _notes(
    channels: tuple[str, ...], dyes: tuple[str, ...], intervals: Floats, n_unlabelled: int
) -> tuple[str, ...]:
    notes = [
        f"{dyes[dye]} takes light off {channels[channel]}: check the background and the controls"
        for channel, dye in np.argwhere(intervals[..., 1] < 0)
    ]
    if n_unlabelled == 0:
        notes.append("no unlabelled cells: autofluorescence was not taken off")
    elif AUTOFLUORESCENCE not in dyes:
        notes.append(
            "autofluorescence beyond the usual was not taken off: a cell bright by it looks like "
            "one with every dye"
        )
    elif n_unlabelled < FEW_UNLABELLED:
        notes.append(
            f"{n_unlabelled} unlabelled cells, {FEW_UNLABELLED} recommended: among few cells there "
            "may be none that is autofluorescent, and such cells then look like others"
        )
    return tuple(notes)


def _checked_condition(matrix: Floats, dyes: tuple[str, ...], most: float) -> float:
    condition = float(np.linalg.cond(matrix))
    if condition <= most:
        return condition
    rounded = np.array2string(matrix, precision=2, suppress_small=True).replace("\n", "")
    raise MeasurementError(
        f"The dyes {', '.join(dyes)} cannot be told apart: their bleed-through matrix {rounded} "
        f"(rows are channels) has condition number {condition:.3g}, at most {most:g} is allowed. "
        "Check that every control shows its own dye alone, or use filters that part them."
    )


def _check_names(channels: tuple[str, ...], dyes: tuple[str, ...]) -> None:
    unknown = [dye for dye in dyes if dye not in channels]
    if unknown or not dyes or len(set(channels)) != len(channels):
        raise MeasurementError(
            f"Controls for {', '.join(dyes) or 'no dye'} and channels {', '.join(channels)} were "
            "given; expected different channels, and at least one dye, each named as a channel."
        )


def _finite(values: ArrayLike, channels: tuple[str, ...], what: str) -> Floats:
    """Rows without NaN, refused where they are few."""
    x = _checked(values, channels, what)
    kept = x[np.isfinite(x).all(axis=1)]
    if len(kept) < MIN_CELLS:
        raise MeasurementError(
            f"The control {what} has {len(kept)} usable cells of {len(x)} (others are saturated or "
            f"lack a channel); at least {MIN_CELLS} are needed."
        )
    return kept


def _checked(values: ArrayLike, channels: tuple[str, ...], what: str) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != len(channels):
        raise MeasurementError(
            f"{what}: an array of shape {x.shape} was given; expected (cells, {len(channels)}), "
            f"one column for each of {', '.join(channels)}"
        )
    return x
