"""One outcome of a study as numbers that tests take: units, and the levels below them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.statistics.comparisons import Group
from pipelines.statistics.design_matrix import Design
from pipelines.statistics.mixed import Moments
from pipelines.statistics.moments import (
    COUNTED,
    IMAGE,
    MEAN,
    SQUARES,
    Outcome,
    image_moments,
    merged,
)
from pipelines.statistics.unit_means import Units
from pipelines.study.model import Statistics


@dataclass(frozen=True, eq=False)
class Measured:
    """One outcome's cells, condensed.

    Attributes:
        outcome: what is compared, in which cells.
        groups: combinations of levels that have a unit, by code.
        units: one row a unit of a group: the keys, ``n`` cells, ``mean``, ``n_images``.
        images: one row an image of a unit: the keys, ``n``, ``mean``, ``squares``.
        random: columns that name the random levels, from the unit down to the image.
        logs: whether `images` are of logarithms; `units` never are.
    """

    outcome: Outcome
    groups: tuple[Group, ...]
    units: pl.DataFrame
    images: pl.DataFrame
    random: tuple[str, ...]
    logs: bool


def measure(
    outcome: Outcome,
    design: Statistics,
    cells: Path,
    exclude: Sequence[str],
    *,
    may_log: bool = True,
) -> Measured:
    """Condense an outcome's cells.

    A number is taken as logarithms for the model of cells where every cell is above 0: intensities
    vary by factors. A level that splits nothing (one image a donor) is left out of the model.

    Args:
        outcome: the column and the cells that count.
        design: the study's.
        cells: tables/cells.parquet.
        exclude: flag columns; a cell that carries any is left out.
        may_log: False to keep the numbers as they are.
    """
    unit = unit_keys(design)
    keys = tuple(dict.fromkeys((*unit, *design.random)))
    images = image_moments(cells, outcome, keys, exclude)
    units = merged(images, unit)
    found = set(units.select(design.factors).iter_rows())
    logs = may_log and outcome.kind == "number" and bool((images["smallest"] > 0).all())
    if logs:
        images = image_moments(cells, outcome, keys, exclude, logs=True)
    return Measured(
        outcome,
        tuple(group for group in groups_in_order(cells, design.factors) if group in found),
        units,
        images,
        _splitting(images, unit, (design.unit, *design.random, IMAGE)),
        logs,
    )


def unit_keys(design: Statistics) -> tuple[str, ...]:
    """Columns that together name a unit of a group."""
    blocks = (design.blocks,) if design.blocks else ()
    return tuple(dict.fromkeys((*design.factors, *blocks, design.unit)))


def groups_in_order(cells: Path, factors: Sequence[str]) -> list[Group]:
    """Combinations of levels as text, in the order of the cells table."""
    levels = pl.scan_parquet(cells).select(factors).unique(maintain_order=True).collect()
    return list(levels.select(pl.all().cast(pl.String).fill_null("")).iter_rows())


def _splitting(
    images: pl.DataFrame, above: Sequence[str], levels: Sequence[str]
) -> tuple[str, ...]:
    """The levels that have more members than the level above them, the first in any case."""
    names, kept = list(above), [levels[0]]
    members = images.select(names).n_unique()
    for name in dict.fromkeys(levels[1:]):
        names.append(name)
        if images.select(names).n_unique() > members:
            members = images.select(names).n_unique()
            kept.append(name)
    return tuple(kept)


def units_of(measured: Measured, design: Statistics) -> Units:
    """Means of units, for the tests that take them."""
    frame = measured.units
    return Units(
        frame[MEAN].to_numpy(),
        _groups(frame, measured.groups, design),
        _codes(frame, [design.blocks]) if design.blocks else None,
        [" ".join(group) for group in measured.groups],
    )


def moments_of(measured: Measured, design: Statistics) -> tuple[Moments, Design]:
    """Images and their fixed effects, for the model of cells.

    A level's members are told apart within the level above: clone 1 of two donors is two clones.
    """
    frame = measured.images
    blocked = [design.blocks] if design.blocks else []
    above = list(dict.fromkeys((*design.factors, *blocked, measured.random[0])))
    levels = [_codes(frame, above)]
    for name in measured.random[1:]:
        above.append(name)
        levels.append(_codes(frame, above))
    groups = _groups(frame, measured.groups, design)
    blocks = _codes(frame, [design.blocks]) if design.blocks else None
    cells = Moments(
        frame[COUNTED].to_numpy().astype(np.float64),
        frame[MEAN].to_numpy(),
        frame[SQUARES].to_numpy(),
        levels,
    )
    return cells, Design.of(groups, blocks, [" ".join(group) for group in measured.groups])


def _groups(frame: pl.DataFrame, groups: Sequence[Group], design: Statistics) -> NDArray[np.intp]:
    places = {group: code for code, group in enumerate(groups)}
    rows = frame.select(design.factors).iter_rows()
    return np.array([places[row] for row in rows], dtype=np.intp)


def _codes(frame: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.intp]:
    """A number for each combination of values, in order of first appearance."""
    rows = list(frame.select(columns).iter_rows())
    places = {row: code for code, row in enumerate(dict.fromkeys(rows))}
    return np.array([places[row] for row in rows], dtype=np.intp)
