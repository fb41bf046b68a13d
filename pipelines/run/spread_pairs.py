"""How cells lie about sources: pair correlation and K by ring, and each cell's own distance."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from measurements.columns import Column
from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.spread import (
    CrossType,
    Distances,
    Section,
    Window,
    cross_type,
    find_window,
    source_distances,
)
from pipelines.selection import chosen, place_of
from pipelines.study.neighbours import Neighbours
from pipelines.tables import append_arrow

Laid = tuple[Section, Window, Distances]


def pair_rows(sections: Sequence[Laid], bounds: Floats) -> list[dict[str, float]]:
    """Edge-corrected statistics of one unit for each ring within `bounds`.

    Sections are weighted by the pairs that each is expected to have, n m / area, and for the
    nearest source by the responding cells.

    Args:
        sections: of the unit.
        bounds: rising outer edges of the rings, px.
    """
    found = [_of_section(section, window, bounds) for section, window, _ in sections]
    g = _pooled([(both.g, weight) for both, _, weight, _ in found], bounds)
    of_all = _pooled([(every.g, weight) for _, every, weight, _ in found], bounds)
    k = _pooled([(both.k, weight) for both, _, weight, _ in found], bounds)
    nearest = _pooled([(both.nearest, n) for both, _, _, n in found], bounds)
    return [
        {
            "pair_correlation": g[i], "pair_correlation_of_all": of_all[i],
            "cross_k_um2": k[i], "source_within_fraction": nearest[i],
        }
        for i in range(bounds.size)
    ]  # fmt: skip


def _of_section(
    section: Section, window: Window, bounds: Floats
) -> tuple[CrossType, CrossType, float, float]:
    responding = section.responder & (section.response == 1)
    pair = (section.positions, section.source)
    both = cross_type(*pair, responding, window, bounds)
    every = cross_type(*pair, section.responder, window, bounds)
    n = float(responding.sum())
    return both, every, float(section.source.sum()) * n / window.area, n


def _pooled(weighted: Sequence[tuple[Floats, float]], bounds: Floats) -> Floats:
    use = [(values, weight) for values, weight in weighted if weight > 0]
    if not use:
        return np.full(bounds.size, np.nan)
    return np.asarray(np.average([v for v, _ in use], axis=0, weights=[w for _, w in use]))


def with_distances(
    table: pa.Table, asked: Sequence[Neighbours], exclude: Sequence[str]
) -> pa.Table:
    """The cells of one image with their distance to the nearest source of each question.

    Args:
        table: all columns of the image's cells.
        asked: the questions; one that names columns which are not there adds nothing here.
        exclude: flags whose cells are no sources and have no distance.
    """
    place = place_of(table.column_names)
    for settings in asked:
        if place is None or not {*settings.source} <= {*table.column_names}:
            continue
        frame = pl.from_arrow(table.select(_needed(place, settings, exclude, table)))
        assert isinstance(frame, pl.DataFrame)  # of a table
        kept = np.ones(frame.height, dtype=bool)
        for name in exclude:
            if name in frame.columns:
                kept &= ~frame[name].fill_null(value=False).to_numpy()
        positions = frame.select(f"{place}_y_um", f"{place}_x_um").to_numpy().astype(np.float64)
        kept &= np.isfinite(positions).all(axis=1)
        source = frame.select(chosen(settings.source).alias("_"))["_"].to_numpy()
        distance, certain = _distances(positions[kept], source[kept])
        for column, values in zip(_columns(settings), (distance, certain), strict=True):
            full, missing = np.zeros(frame.height, dtype=values.dtype), ~kept
            full[kept] = values
            missing[kept] |= ~np.isfinite(values)
            array = pa.array(full, mask=missing)
            table = append_arrow(table, column, array)
    return table


def _needed(place: str, settings: Neighbours, exclude: Sequence[str], table: pa.Table) -> list[str]:
    flags = [name for name in exclude if name in table.column_names]
    return list(dict.fromkeys([f"{place}_y_um", f"{place}_x_um", *settings.source, *flags]))


def _columns(settings: Neighbours) -> tuple[Column, Column]:
    which = ", ".join(f"{name} {value}" for name, value in settings.source.items())
    return (
        Column(f"{settings.name}_source_distance_um", "µm", "float64",
               f"Distance from the cell's centre to that of the nearest other source ({which}); "
               "empty without one.", "measurements.spread.source_distances"),
        Column(f"{settings.name}_source_distance_certain", "flag", "bool",
               "The tissue's edge is farther than that source, so that none beyond it is nearer.",
               "border method; Ripley 1988, Statistical Inference for Spatial Processes, ch. 3"),
    )  # fmt: skip


def _distances(positions: Floats, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nothing = np.zeros(len(positions))
    section = Section.of(positions, source, nothing)
    try:
        window = find_window(section.positions, section.spacing)
    except MeasurementError:
        return np.full(len(positions), np.nan), np.zeros(len(positions), dtype=bool)
    found = source_distances(section, window)
    return found.to_source, found.certain
