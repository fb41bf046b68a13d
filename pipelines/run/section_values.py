"""Tables of values that whole sections have: one row an image, one a unit, and what tests take."""

from collections.abc import Mapping, Sequence

import numpy as np

from measurements.columns import Column

Row = dict[str, object]
IMAGE_LEVEL, UNIT_LEVEL = "image", "unit"
LEVEL = Column(
    "level", "key", "str", "image: one section; unit: a unit's sections together.", "run"
)
IMAGE = Column("image_id", "key", "str", "Name of the image; empty for a unit.", "sample table")
N_IMAGES = Column("n_images", "count", "int64", "Sections.", "run")
N_CELLS = Column("n_cells", "count", "int64", "Cells with a place, excluded ones left out.", "run")


def with_units(
    rows: Sequence[Row],
    units: Sequence[str],
    sums: Sequence[str],
    means: Mapping[str, str],
) -> list[Row]:
    """The rows of images, and behind them one row for each unit.

    Args:
        rows: of the images, with `units`.
        units: columns that together name a unit.
        sums: columns that are added up over the images of a unit.
        means: columns that are averaged -> the column that weighs the images.
    """
    members: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        members.setdefault(tuple(row[name] for name in units), []).append(row)
    found = [{"level": IMAGE_LEVEL, "n_images": 1} | row for row in rows]
    for key, mine in members.items():
        unit: Row = {"level": UNIT_LEVEL, "n_images": len(mine)}
        unit |= dict(zip(units, key, strict=True))
        unit |= {name: sum_of(mine, name) for name in sums}
        unit |= {name: _mean(mine, name, weight) for name, weight in means.items()}
        found.append(unit)
    return found


def sum_of(rows: Sequence[Row], name: str) -> float | int:
    """Sum of a column, whole where all of its values are."""
    total = float(np.nansum(_numbers(rows, name)))
    return int(total) if all(isinstance(row[name], int) for row in rows) else total


def _numbers(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)


def _mean(rows: Sequence[Row], name: str, weight: str) -> float:
    values, weights = _numbers(rows, name), _numbers(rows, weight)
    use = np.isfinite(values) & (weights > 0)
    return float(np.average(values[use], weights=weights[use])) if use.any() else float("nan")
