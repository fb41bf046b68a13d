"""Cells coloured by a column of their table."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Rgba = tuple[float, float, float, float]

UNKNOWN: Rgba = (0.45, 0.45, 0.45, 1.0)
NO: Rgba = (0.35, 0.45, 0.65, 1.0)
YES: Rgba = (1.0, 0.69, 0.0, 1.0)
PERCENTILES = (2.0, 98.0)
_STEPS = 5


@dataclass(frozen=True)
class Coloured:
    """Colours of cells, and what they mean.

    Attributes:
        colors: (n, 4) red, green, blue and opacity from 0 to 1, one row a cell.
        legend: colours and what each stands for, in words.
    """

    colors: NDArray[np.float64]
    legend: tuple[tuple[Rgba, str], ...]


def colours_of(values: pl.Series) -> Coloured:
    """Colours for a column: yes and no, a colour a word, or dark to bright for numbers.

    Numbers run from their 2nd to their 98th percentile in this image, so that one odd cell does
    not take all the contrast; values beyond have the end's colour, missing ones are grey.
    """
    if values.dtype == pl.Boolean:
        return _of_words(values, {False: NO, True: YES}, {False: "no", True: "yes"})
    if not values.dtype.is_numeric():
        return _of_categories(values.cast(pl.String))
    return _of_numbers(values.cast(pl.Float64).fill_null(np.nan).to_numpy())


def _of_numbers(values: NDArray[np.float64]) -> Coloured:
    from matplotlib import colormaps

    finite = values[np.isfinite(values)]
    colors = np.tile(np.array(UNKNOWN), (values.size, 1))
    if not finite.size:
        return Coloured(colors, ((UNKNOWN, "no value"),))
    low, high = np.percentile(finite, PERCENTILES)
    ramp = colormaps["viridis"]
    known = np.isfinite(values)
    colors[known] = ramp(np.clip((values[known] - low) / ((high - low) or 1.0), 0, 1))
    steps = np.linspace(0, 1, _STEPS if high > low else 1)
    legend = [(_rgba(ramp(step)), f"{low + step * (high - low):.4g}") for step in steps]
    return Coloured(colors, tuple(legend if known.all() else [*legend, (UNKNOWN, "no value")]))


def _of_categories(values: pl.Series) -> Coloured:
    from matplotlib import colormaps

    words = sorted(values.drop_nulls().unique().to_list())
    ramp = colormaps["tab10" if len(words) <= 10 else "tab20"]
    colors: dict[object, Rgba] = {word: _rgba(ramp(i % ramp.N)) for i, word in enumerate(words)}
    return _of_words(values, colors, {word: word for word in words})


def _of_words(values: pl.Series, colors: dict[object, Rgba], words: dict[object, str]) -> Coloured:
    given = values.to_list()
    found = np.array([colors.get(value, UNKNOWN) for value in given], np.float64).reshape(-1, 4)
    present = set(given)
    legend = [(colors[value], word) for value, word in words.items() if value in present]
    return Coloured(
        found, tuple(legend if None not in present else [*legend, (UNKNOWN, "no value")])
    )


def _rgba(color: tuple[float, ...]) -> Rgba:
    r, g, b, a = (float(part) for part in color)
    return r, g, b, a
