"""The cells as AnnData (Virshup et al. 2024, JOSS 9:4371), for scanpy, squidpy and their kin."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from measurements.columns import Column
from pipelines.errors import SenescopeError
from pipelines.export.source import CELL_ID, IMAGE_ID, Source
from pipelines.files import replacing

PLACES = ("cell", "nucleus")
UNITS = ("um", "px")


def write_annotated(source: Source, path: Path) -> bool:
    """Write ``cells.h5ad``.

    X holds the measured numbers, NaN where a cell has none; var their units, meanings and sources;
    obs the image, the sample columns, flags and classes; obsm['spatial'] the centroids (x, y) of
    the cells, else of the nuclei, in the image of each, where morphology was measured.

    Returns:
        Whether there are centroids.

    Raises:
        SenescopeError: anndata is not installed.
    """
    try:
        import anndata
        import pandas as pd
    except ModuleNotFoundError as error:
        raise SenescopeError(
            "Writing AnnData needs the library anndata; install it with "
            "`pip install 'senescope[anndata]'`, or `uv sync --extra anndata` in a copy of the "
            "repository."
        ) from error
    table = source.table()
    names = [f"{i}:{c}" for i, c in zip(table[IMAGE_ID].to_pylist(), table[CELL_ID].to_pylist(),
                                        strict=True)]  # fmt: skip
    features = [c for c in source.columns if source.is_number(c) and c.aggregate]
    described = [c.name for c in source.columns if not source.is_number(c)]
    obs = pd.DataFrame({name: _observed(table[name]) for name in described}, index=names)
    for name in described:
        if obs[name].dtype == object:
            obs[name] = obs[name].astype("category")
    data = anndata.AnnData(
        X=_numbers(table, features),
        obs=obs,
        var=pd.DataFrame(
            {key: [getattr(c, key) for c in features] for key in ("unit", "meaning", "source")},
            index=[column.name for column in features],
        ),
        uns={"senescope": {"version": version("senescope"), "study": str(source.study["name"])}},
    )
    places = _places(source)
    if places:
        data.obsm["spatial"] = _numbers(table, places)
    with replacing(path) as temporary:
        data.write_h5ad(temporary, compression="gzip")
    return bool(places)


def _places(source: Source) -> list[Column]:
    """Columns of the centroids, x and y; none where they were not measured."""
    known = {column.name: column for column in source.columns}
    for place in PLACES:
        for unit in UNITS:
            names = [f"{place}_{axis}_{unit}" for axis in ("x", "y")]
            if set(names) <= known.keys():
                return [known[name] for name in names]
    return []


def _numbers(table: pa.Table, columns: list[Column]) -> NDArray[np.float64]:
    arrays = [table[column.name].cast(pa.float64()).to_numpy() for column in columns]
    return np.column_stack(arrays) if arrays else np.zeros((table.num_rows, 0))


def _observed(column: pa.ChunkedArray) -> NDArray[np.generic]:
    """A key or flag; one with missing flags as text, which every reader of h5ad knows."""
    if pa.types.is_boolean(column.type) and column.null_count:
        return np.array([None if v is None else str(v) for v in column.to_pylist()], dtype=object)
    values: NDArray[np.generic] = column.to_numpy()
    return values
