"""What the axes of a figure stand for, and where a group stands on the horizontal one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LOG_RATIO = 20.0
SERIES_ROOM = 0.8


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is drawn upwards.

    Attributes:
        label: axis label without the unit.
        unit: unit as in the column's definition; ``1``, ``count`` and ``flag`` are not printed.
        share: the values are 0 or 1 (or means of those) and are shown in per cent, without cells.
    """

    label: str
    unit: str = "1"
    share: bool = False

    @property
    def axis_label(self) -> str:
        """Label with its unit, e.g. ``area (µm²)``."""
        unit = "% of cells" if self.share else self.unit
        return self.label if unit in {"1", "count", "flag", ""} else f"{self.label} ({unit})"


@dataclass(frozen=True, slots=True)
class Level:
    """One group on the horizontal axis: its printed name, its number if it has one, its series."""

    name: str
    number: float | None = None
    series: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """What is drawn along: `levels` in drawing order by group key, under the axis `label`."""

    label: str
    levels: Mapping[str, Level]

    @property
    def numeric(self) -> bool:
        """Whether the levels are numbers, as doses or hours are."""
        return len(self.levels) > 0 and all(v.number is not None for v in self.levels.values())


def positions(levels: Sequence[Level]) -> list[float]:
    """Horizontal places of the levels: one apart or, for numbers, to scale.

    Numbers from 0 up that span a factor of 20 or more are placed by their logarithm, with 0 one
    typical step left of the smallest. Levels with the same number, of different series, stand
    side by side.

    Args:
        levels: in drawing order.

    Returns:
        One place a level; the closest two different numbers are 1 apart.
    """
    numbers = [level.number for level in levels if level.number is not None]
    if not numbers or len(numbers) < len(levels):
        return [float(index) for index in range(len(levels))]
    values = np.asarray(numbers, dtype=np.float64)
    positive = values[values > 0]
    if values.min() >= 0 and positive.size and positive.max() / positive.min() >= LOG_RATIO:
        logs = np.log10(np.where(values > 0, values, 1.0))
        lowest = np.log10(positive.min())
        typical = np.median(np.diff(np.unique(np.log10(positive))))
        values = np.where(values > 0, logs, lowest - typical)
    steps = np.diff(np.unique(values))
    places = (values - values.min()) / (steps.min() if steps.size else 1.0)
    series = list(dict.fromkeys(level.series for level in levels))
    middle = (len(series) - 1) / 2
    return [
        float(place + (series.index(level.series) - middle) * SERIES_ROOM / len(series))
        for place, level in zip(places, levels, strict=True)
    ]


def closest(places: Mapping[str, float]) -> float:
    """Distance of the two closest different places; 1 for a single one."""
    steps = np.diff(np.unique(list(places.values())))
    return float(steps.min()) if steps.size else 1.0
