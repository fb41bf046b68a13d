"""Reporter cells: unmixed channels, and the class that every cell is in.

Class errors start at the gate: a control percentile of p calls 100 - p % of the negative cells
positive in each channel, so that with two reporters and the 95th a tenth of the negative cells
leaves its class. Use the 99.5th or more where there are control cells enough.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.flags import Flags
from measurements.unmixing import AUTOFLUORESCENCE, Unmixing, unmix

UNASSIGNED = "unassigned"
UNMEASURED = "unmeasured"
FLAG_SHARE = 0.1
"""An autofluorescent cell's amount exceeds this share of its strongest dye, since errors of S grow
with the dye [judgement]."""

UNMIXED = Column(
    "{dye}_{compartment}_unmixed",
    "a.u.",
    "float64",
    "Light of {dye} in the {compartment}, {statistic} of its pixels above background, without the "
    "usual autofluorescence and what other dyes leak into its channel; around 0 in cells without "
    "it, so that half of them are below.",
    "S⁻¹ (value above background - autofluorescence), S from single-colour controls; "
    "measurements.unmixing",
)
AMOUNT = Column(
    "autofluorescence_{compartment}_unmixed",
    "a.u.",
    "float64",
    "Autofluorescence of the {compartment} beyond that of the usual unlabelled cell, in grey "
    "values of the channel in which unlabelled cells differ most.",
    "last row of S⁻¹; how unlabelled cells differ is a column of S",
)
AUTOFLUORESCENT = Column(
    "autofluorescent",
    "flag",
    "bool",
    "The cell shines in all channels in the ratio of the unlabelled cells, as lipofuscin does; "
    "its reporters are less certain.",
    "[judgement] amount over 5 SD of the unlabelled cells and over a tenth of its strongest dye",
)
REPORTER_CLASS = Column(
    "reporter_class",
    "key",
    "str",
    "Class of the cell by the reporters it is positive for: one of the study's classes, "
    "unassigned where none covers the combination, unmeasured where a reporter has no value.",
    "combinations of positive and negative, as the study defines them",
    aggregate=False,
)
BLEED_CHANNEL = Column("channel", "key", "str", "Channel that is looked at.", "controls")
BLEED_DYE = Column("dye", "key", "str", "Dye that gives light there.", "controls")
BLEED = Column(
    "bleed_through",
    "1",
    "float64",
    "Light of the dye in the channel, for 1 in its own.",
    "least absolute deviation through the unlabelled cells' median; measurements.slopes",
)
BLEED_LOW = Column(
    "bleed_through_ci_low", "1", "float64", "Lower end of its 95 % interval.", "bootstrap of cells"
)
BLEED_HIGH = Column(
    "bleed_through_ci_high", "1", "float64", "Upper end of its 95 % interval.", "bootstrap of cells"
)
BLEED_CELLS = Column("n_cells", "count", "int64", "Control cells that it comes from.", "controls")


def measure_reporters(
    values: ArrayLike, unmixing: Unmixing, compartment: str, statistic: str = "median"
) -> Measured:
    """Take bleed-through and autofluorescence off every cell.

    Args:
        values: level above background in one compartment, (cells, channels of `unmixing`).
        unmixing: estimated from the same statistic of the same compartment.
        compartment: its name in the columns. Use the cytoplasm where there is a nuclear stain:
            there the stain's channel shows autofluorescence and little else.
        statistic: of the compartment's pixels, for the columns' meaning.

    Returns:
        `UNMIXED` for every dye; `AMOUNT` and `AUTOFLUORESCENT` where S has a column for it.
    """
    unmixed = unmix(values, unmixing)
    measured: dict[Column, NDArray[np.generic]] = {}
    for dye, light in zip(unmixing.dyes, unmixed.T, strict=True):
        column = AMOUNT if dye == AUTOFLUORESCENCE else UNMIXED
        measured[column.bind(dye=dye, compartment=compartment, statistic=statistic)] = light
    if AUTOFLUORESCENCE in unmixing.dyes:
        measured[AUTOFLUORESCENT] = autofluorescent(unmixed, unmixing)
    return measured


def autofluorescent(unmixed: ArrayLike, unmixing: Unmixing) -> NDArray[np.bool_]:
    """Cells that shine in all channels in the ratio of the unlabelled ones, as lipofuscin does.

    Such a cell's column of autofluorescence is over `Unmixing.flag_level` and over a tenth of its
    strongest dye. It is flagged, not dropped.

    Args:
        unmixed: from `unmix`, (cells, dyes).
        unmixing: the same.

    Raises:
        MeasurementError: S has no column of autofluorescence.
    """
    if AUTOFLUORESCENCE not in unmixing.dyes:
        raise MeasurementError(
            "Autofluorescent cells cannot be told from cells with every dye: give unlabelled cells "
            "and at least one channel more than there are dyes, such as that of the nuclear stain "
            "measured in the cytoplasm."
        )
    s = np.asarray(unmixed, dtype=np.float64)
    limit = np.maximum(unmixing.flag_level, FLAG_SHARE * s[:, :-1].max(axis=1, initial=0))
    flagged: NDArray[np.bool_] = s[:, -1] > limit
    return flagged


def bleed_through_table(unmixing: Unmixing) -> Measured:
    """One row for every channel and dye: what decided the unmixing, for a table of its own."""
    pairs = list(product(range(len(unmixing.dyes)), range(len(unmixing.channels))))
    dye, channel = np.array(pairs, dtype=np.int64).T
    return {
        BLEED_DYE: np.array(unmixing.dyes)[dye],
        BLEED_CHANNEL: np.array(unmixing.channels)[channel],
        BLEED: unmixing.matrix[channel, dye],
        BLEED_LOW: unmixing.intervals[channel, dye, 0],
        BLEED_HIGH: unmixing.intervals[channel, dye, 1],
        BLEED_CELLS: unmixing.n_cells[dye],
    }


def classify(
    positives: Mapping[str, ArrayLike], classes: Mapping[str, Sequence[str]]
) -> NDArray[np.str_]:
    """Give every cell exactly one class.

    Args:
        positives: channel -> one value a cell: booleans, or 1, 0 and NaN (not measured).
        classes: name -> signs such as ``["mcherry+", "gfp-"]``. A channel that a class leaves out
            may be either.

    Returns:
        One name a cell. ``unmeasured`` where a channel that any class names has no value,
        ``unassigned`` where no class covers the cell's combination.

    Raises:
        MeasurementError: a class names an unknown channel or contradicts itself, or two classes
            cover the same combination.
    """
    flags = Flags.of(positives)
    signs = {name: _signs(name, given, flags.markers) for name, given in classes.items()}
    used = [c for c in flags.markers if any(c in required for required in signs.values())]
    table = _class_of_combination(signs, used)
    columns = [flags.markers.index(channel) for channel in used]
    place = flags.positive[:, columns] @ (1 << np.arange(len(used)))
    measured = flags.measured[:, columns].all(axis=1)
    named: NDArray[np.str_] = np.where(measured, np.array(table)[place], UNMEASURED)
    return named


def class_counts(named: NDArray[np.str_], classes: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Cells in every class, zeros kept, ``unassigned`` and ``unmeasured`` last."""
    counts = Counter(named.tolist())
    return {name: counts[name] for name in (*classes, UNASSIGNED, UNMEASURED)}


def _signs(name: str, given: Sequence[str], channels: tuple[str, ...]) -> dict[str, bool]:
    """Channel -> positive, of one class."""
    if name in (UNASSIGNED, UNMEASURED):
        raise MeasurementError(f"No class may be called {name}: cells without a class are.")
    if isinstance(given, str) or not given:
        raise MeasurementError(
            f"Class {name} is {given!r}; expected a list of signs such as "
            f'["{channels[0]}+"], at least one.'
        )
    signs: dict[str, bool] = {}
    for sign in given:
        channel = sign[:-1].strip()
        if sign[-1:] not in ("+", "-") or channel not in channels:
            raise MeasurementError(
                f"Class {name} asks for {sign!r}; expected a channel with + or - behind it, the "
                f"channels being {', '.join(channels)}."
            )
        if channel in signs:
            raise MeasurementError(f"Class {name} names {channel} twice: {', '.join(given)}.")
        signs[channel] = sign.endswith("+")
    return signs


def _class_of_combination(signs: Mapping[str, Mapping[str, bool]], used: list[str]) -> list[str]:
    """Class of each combination of the channels; the first channel is the lowest bit."""
    if not signs:
        raise MeasurementError("No classes were given; expected at least one.")
    table = []
    for bits in product((False, True), repeat=len(used)):
        state = dict(zip(used, reversed(bits), strict=True))
        fits = [n for n, required in signs.items() if required.items() <= state.items()]
        if len(fits) > 1:
            shown = " ".join(f"{c}{'+' if on else '-'}" for c, on in state.items())
            raise MeasurementError(
                f"Cells that are {shown} fit {' and '.join(fits)}: name more channels in these "
                "classes, so that every cell has one."
            )
        table.append(fits[0] if fits else UNASSIGNED)
    return table
