import numpy as np
import polars as pl
import pytest

from measurements.columns import Column
from pipelines.run import aggregate
from pipelines.run.aggregate import summarise_cells
from pipelines.tables import arrow_table, with_constants, write_parquet_rows


def key(name, dtype="str"):
    return Column(name, "", dtype, "m", "s", aggregate=False)


def value(name, dtype="float64"):
    return Column(name, "1", dtype, "m", "s")


def cells_file(folder):
    """Five images of three donors, one image without a cell, one donor unknown."""
    rng = np.random.default_rng(0)
    tables, rows = [], []
    for i, (donor, n) in enumerate([("B", 4), ("A", 7), ("B", 9), (None, 3), ("A", 0)]):
        measured = {
            "area": rng.lognormal(3, 1, n),
            "count": rng.integers(0, 9, n).astype(np.uint32),
            "bad": rng.random(n) < 0.3,
        }
        measured["area"][:1] = np.nan
        columns = {value(name, str(v.dtype)): v for name, v in measured.items()}
        constants = {key("image_id"): f"i{i}", key("donor"): donor, key("field", "int64"): i % 2}
        tables.append(with_constants(arrow_table(columns), constants))
        rows.append({"image_id": f"i{i}", "donor": donor, "field": i % 2, **measured})
    path = folder / "cells.parquet"
    write_parquet_rows(path, tables)
    return path, rows


@pytest.mark.parametrize("at_once", [1, 10, 2**22])
@pytest.mark.parametrize("keys", [["image_id"], ["donor"], ["donor", "field"]])
def test_equals_numpy_unit_by_unit(tmp_path, monkeypatch, keys, at_once):
    monkeypatch.setattr(aggregate, "VALUES_AT_ONCE", at_once)
    path, images = cells_file(tmp_path)
    found = summarise_cells(path, keys, ["area", "count"], ["bad"], ["bad"], {})
    assert found.columns[: len(keys) + 2] == [*keys, "n_cells", "n_excluded"]
    for row in found.iter_rows(named=True):
        members = [image for image in images if all(image[k] == row[k] for k in keys)]
        area, count, bad = (
            np.concatenate([m[n] for m in members]) for n in ("area", "count", "bad")
        )
        assert (row["n_cells"], row["n_excluded"]) == ((~bad).sum(), bad.sum())
        known = area[~bad & ~np.isnan(area)]
        assert row["area_mean"] == pytest.approx(known.mean())
        assert row["area_median"] == pytest.approx(np.median(known))
        assert row["area_sd"] == pytest.approx(known.std(ddof=1))
        assert row["count_mean"] == pytest.approx(count[~bad].mean())
        assert row["bad_fraction"] == 0
    assert found["n_cells"].sum() + found["n_excluded"].sum() == 23
    assert found.sort(keys).equals(found)


def test_an_image_is_summed_up_the_same_whatever_else_is_measured(tmp_path):
    path, _ = cells_file(tmp_path)
    together = summarise_cells(path, ["image_id"], ["area", "count"], ["bad"], [], {})
    alone = tmp_path / "alone.parquet"
    table = pl.read_parquet(path).filter(pl.col("image_id") == "i2").to_arrow()
    write_parquet_rows(alone, [table])
    expected = together.filter(pl.col("image_id") == "i2")
    assert summarise_cells(alone, ["image_id"], ["area", "count"], ["bad"], [], {}).equals(expected)


def test_a_table_without_a_cell(tmp_path):
    path, _ = cells_file(tmp_path)
    empty = tmp_path / "empty.parquet"
    write_parquet_rows(empty, [pl.read_parquet(path).clear().to_arrow()])
    found = summarise_cells(empty, ["image_id"], ["area"], ["bad"], ["bad"], {"bad": 0.05})
    assert found.height == 0
    assert found.columns == [
        "image_id", "n_cells", "n_excluded", "area_mean", "area_median", "area_sd",
        "bad_fraction", "bad_corrected_fraction",
    ]  # fmt: skip
