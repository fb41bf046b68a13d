"""Reporter cells: unmixed channels, and the class that every cell is in.

Class errors start at the gate: a control percentile of p calls 100 - p % of the negative cells
positive in each channel, so that with two reporters and the 95th a tenth of the negative cells
leaves its class. Use the 99.5th or more where there are control cells enough.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.flags import Flags
from measurements.regions import Floats, Regions
from measurements.reporter_classes import (
    UNASSIGNED,
    UNMEASURED,
    Classes,
    class_of_combination,
    read_signs,
)
from measurements.unmixing import AUTOFLUORESCENCE, Unmixing, unmix

FLAG_SHARE = 0.1
"""An autofluorescent cell's amount exceeds this share of its strongest dye, since errors of S grow
with the dye [judgement]."""
LARGEST_CLIPPED_SHARE = 0.5
"""Share of a cell's pixels at the camera's limit from which on its median is that limit."""

RAW = Column(
    "{channel}_{compartment}_median_above_background",
    "a.u.",
    "float64",
    "Median grey value of {channel} in the {compartment} less the cell's local background{haze}; "
    "what reporters are unmixed from.",
    "[judgement] the median keeps out the pixels of a neighbour that the mask took in",
)
HAZE = Column(
    "{channel}_{compartment}_haze",
    "a.u.",
    "float64",
    "Light of {channel} that bright cells spread into the {compartment} and that was taken off, "
    "median of its pixels; 0 in images too full of cells to tell.",
    "fit between the cells; measurements.haze",
)
HAZE_TAKEN_OFF = ", the light that bright cells spread taken off both"
UNMIXED = Column(
    "{dye}_{compartment}_unmixed",
    "a.u.",
    "float64",
    "Light of {dye} in the {compartment}, {statistic} of its pixels above background, without the "
    "usual autofluorescence and what other dyes leak into its channel; around 0 in cells without "
    "it, so that half of them are below; missing where another dye's channel is at the camera's "
    "limit in half of the pixels, since what that dye leaks is unknown then.",
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
CLASS_FLAG = Column(
    "reporter_class_{name}",
    "flag",
    "bool",
    "The cell's reporter_class is {name}; missing where the class is unmeasured.",
    REPORTER_CLASS.source,
)
UNMEASURED_FLAG = Column(
    f"reporter_class_{UNMEASURED}",
    "flag",
    "bool",
    "The cell has no class, since a reporter has no value or its threshold was refused.",
    "missing values",
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
BLEED_USUAL = Column(
    "autofluorescence",
    "a.u.",
    "float64",
    "Light of the usual unlabelled cell in the channel, which is taken off before unmixing.",
    "median of the unlabelled cells above background; 0 without any",
)
BLEED_CONTROLS = Column(
    "control_images", "key", "str", "Control images that it comes from.", "control table"
)


def measure_reporter_channel(
    image: NDArray[Any],
    channel: str,
    compartment: str,
    regions: Regions,
    background: Floats,
    *,
    haze: bool,
) -> Measured:
    """Measure one channel as `unmix` wants it.

    Args:
        image: one channel, any real dtype, haze taken off where that was asked for.
        channel: its name in the column.
        compartment: name of the regions in the column.
        regions: one a cell; NaN where a cell lacks the compartment.
        background: local background of each, of the same image.
        haze: whether haze was taken off, for the column's meaning.
    """
    column = RAW.bind(channel=channel, compartment=compartment, haze=HAZE_TAKEN_OFF if haze else "")
    return {column: regions.median(regions.gather(image)) - background}


def measure_reporters(
    values: ArrayLike,
    unmixing: Unmixing,
    compartment: str,
    statistic: str = "median",
    clipped: ArrayLike | None = None,
) -> Measured:
    """Take bleed-through and autofluorescence off every cell.

    A dye at the camera's limit leaks more than its own channel says, which would read as light of
    the others: they have no value there. Its own stays, as the least that it can be.

    Args:
        values: level above background in one compartment, (cells, channels of `unmixing`).
        unmixing: estimated from the same statistic of the same compartment.
        compartment: its name in the columns. Use the cytoplasm where there is a nuclear stain:
            there the stain's channel shows autofluorescence and little else.
        statistic: of the compartment's pixels, for the columns' meaning.
        clipped: share of each cell's pixels at the camera's limit, (cells, channels); None where
            none is.

    Returns:
        `UNMIXED` for every dye; `AMOUNT` and `AUTOFLUORESCENT` where S has a column for it.
    """
    unmixed = unmix(values, unmixing)
    measured: dict[Column, NDArray[np.generic]] = {}
    hidden = _hidden(unmixing, clipped)
    for dye, light in zip(unmixing.dyes, unmixed.T, strict=True):
        column = AMOUNT if dye == AUTOFLUORESCENCE else UNMIXED
        if dye in hidden:
            light = np.where(hidden[dye], np.nan, light)
        measured[column.bind(dye=dye, compartment=compartment, statistic=statistic)] = light
    if AUTOFLUORESCENCE in unmixing.dyes:
        measured[AUTOFLUORESCENT] = autofluorescent(unmixed, unmixing)
    return measured


def _hidden(unmixing: Unmixing, clipped: ArrayLike | None) -> dict[str, NDArray[np.bool_]]:
    """Dye -> cells in which another dye's channel is at the camera's limit."""
    if clipped is None:
        return {}
    limit = np.asarray(clipped, dtype=np.float64) >= LARGEST_CLIPPED_SHARE
    full = {c: limit[:, n] for n, c in enumerate(unmixing.channels) if c in unmixing.dyes}
    return {
        dye: np.any([full[other] for other in full if other != dye], axis=0)
        for dye in full
        if len(full) > 1
    }


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
        BLEED_USUAL: unmixing.autofluorescence[channel],
    }


def bleed_through_columns() -> tuple[Column, ...]:
    """Columns of `bleed_through_table`, in their order."""
    return (
        BLEED_DYE, BLEED_CHANNEL, BLEED, BLEED_LOW, BLEED_HIGH, BLEED_CELLS, BLEED_USUAL
    )  # fmt: skip


def classify(positives: Mapping[str, ArrayLike], classes: Classes) -> NDArray[np.str_]:
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
    signs = [read_signs(name, given, flags.markers) for name, given in classes.items()]
    used = [c for c in flags.markers if any(c in required for required in signs)]
    table = class_of_combination(used, classes)
    columns = [flags.markers.index(channel) for channel in used]
    place = flags.positive[:, columns] @ (1 << np.arange(len(used)))
    measured = flags.measured[:, columns].all(axis=1)
    named: NDArray[np.str_] = np.where(measured, np.array(table)[place], UNMEASURED)
    return named


def class_counts(named: NDArray[np.str_], classes: Classes) -> dict[str, int]:
    """Cells in every class, zeros kept, ``unassigned`` and ``unmeasured`` last."""
    counts = Counter(named.tolist())
    return {name: counts[name] for name in (*classes, UNASSIGNED, UNMEASURED)}
