"""Exported cells, read back by the libraries that others read them with."""

import csv
import json

import flowio
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from measurements.columns import Column
from pipelines.errors import StudyError
from pipelines.export.annotated import write_annotated
from pipelines.export.cytometry import write_cytometry
from pipelines.export.run import export_run
from pipelines.export.source import read_source
from pipelines.export.spreadsheet import divided, write_spreadsheets
from pipelines.run.layout import Layout
from pipelines.tables import append_arrow, arrow_table, with_constants, write_parquet_rows


def key(name, dtype="str"):
    return Column(name, "key", dtype, f"{name}.", "test", aggregate=False)


def number(name, unit="a.u.", *, aggregate=True):
    return Column(name, unit, "float64", f"{name}.", "test", aggregate=aggregate)


def one_image(image, donor, dose, values, first_id=1):
    n = len(values)
    values = np.asarray(values, dtype=np.float64)
    measured = {
        key("cell_id", "uint32"): np.arange(first_id, first_id + n, dtype=np.uint32),
        number("gfp_unmixed"): values,
        number("nucleus_area_um2", "µm²"): 100 + np.arange(n, dtype=np.float64),
        number("nucleus_x_um", "µm", aggregate=False): 10.0 * np.arange(n),
        number("nucleus_y_um", "µm", aggregate=False): 5.0 * np.arange(n),
        Column("touches_border", "flag", "bool", "Edge.", "test"): np.arange(n) == 0,
        number("mostly_missing"): np.full(n, np.nan),
    }
    table = with_constants(
        arrow_table(measured), {key("image_id"): image, key("donor"): donor, key("dose"): dose}
    )
    positive = pa.array(values > 0, mask=np.isnan(values))
    flag = Column("gfp_positive", "flag", "bool", "GFP+.", "test")
    named = pa.array(["double" if v > 0 else "negative" for v in values])
    return append_arrow(append_arrow(table, flag, positive), key("reporter_class"), named)


IMAGES = {
    "a_1": ("MAR1", "0", [-2.5, 1e-7, 0.1 + 0.2]),
    "b_1": ("Müller", "1-2", [3.0, np.nan]),
}


def write_run(folder, images=IMAGES, units=("donor",)):
    layout = Layout(folder)
    tables = (one_image(name, *said) for name, said in images.items())
    write_parquet_rows(layout.cells, tables)
    study = {"name": "s", "sample_columns": ["donor", "dose"], "unit_columns": list(units)}
    layout.provenance.write_text(json.dumps({"study": study}))
    return layout


@pytest.fixture
def source(tmp_path):
    write_run(tmp_path / "run")
    return read_source(tmp_path / "run")


def rows_of(path, encoding="utf-8-sig", **options):
    with path.open(newline="", encoding=encoding) as file:
        return list(csv.DictReader(file, **options))


def test_numbers_come_back_as_they_are(source, tmp_path):
    done = write_spreadsheets(source, tmp_path / "out")
    (path,) = done.paths
    assert path.name == "cells.csv"
    rows = rows_of(path)
    assert [row["image_id"] for row in rows] == ["a_1"] * 3 + ["b_1"] * 2
    assert [float(row["gfp_unmixed"] or "nan") for row in rows][:4] == [-2.5, 1e-7, 0.1 + 0.2, 3.0]
    assert rows[4]["gfp_unmixed"] == ""
    assert [row["gfp_positive"] for row in rows] == ["FALSE", "TRUE", "TRUE", "TRUE", ""]
    assert rows[3]["donor"] == "Müller"
    assert list(rows[0]) == pq.read_schema(source.layout.cells).names


def test_excel_is_told_of_utf8_only_where_it_matters(source, tmp_path):
    marked = write_spreadsheets(source, tmp_path / "out").paths[0].read_bytes()
    assert marked.startswith(b"\xef\xbb\xbfimage_id,")
    write_run(tmp_path / "plain", {"a": ("d1", "0", [1.0])})
    plain = write_spreadsheets(read_source(tmp_path / "plain"), tmp_path / "out2").paths[0]
    assert plain.read_bytes().startswith(b"image_id,")


def test_texts_that_excel_changes_are_named(source, tmp_path):
    changed = write_spreadsheets(source, tmp_path / "out").changed
    assert set(changed) == {"donor MAR1", "dose 1-2"}


@pytest.mark.parametrize(
    "text", ["SEPT2", "1-Mar", "2/3", "2024-05-01", "1E5", "007", "1234567890123456", "=A1", "-x"]
)
def test_more_texts_that_excel_changes(tmp_path, text):
    write_run(tmp_path, {"a": (text, "x", [1.0])})
    assert write_spreadsheets(read_source(tmp_path), tmp_path / "o").changed == (f"donor {text}",)


@pytest.mark.parametrize(
    "text", ["WS1", "h1c2", "Channel1-13-B-01", "march hare", "e5", "7", "A_1"]
)
def test_texts_that_excel_leaves_alone(tmp_path, text):
    write_run(tmp_path, {"a": (text, "x", [1.0])})
    assert write_spreadsheets(read_source(tmp_path), tmp_path / "o").changed == ()


def test_decimal_commas(source, tmp_path):
    path = write_spreadsheets(source, tmp_path / "out", decimal_comma=True).paths[0]
    assert rows_of(path, delimiter=";")[0]["gfp_unmixed"] == "-2,5"


def test_long_tables_are_divided_at_images(tmp_path):
    images = {f"i{i}": ("d", "x", np.arange(3.0)) for i in range(4)}
    write_run(tmp_path / "run", images)
    source = read_source(tmp_path / "run")
    done = write_spreadsheets(source, tmp_path / "out", most_rows=7)
    assert [path.name for path in done.paths] == ["cells_1_of_2.csv", "cells_2_of_2.csv"]
    parts = [rows_of(path) for path in done.paths]
    assert [[row["image_id"] for row in rows] for rows in parts] == [
        ["i0"] * 3 + ["i1"] * 3,
        ["i2"] * 3 + ["i3"] * 3,
    ]
    # What an earlier export left would be read as more cells.
    write_spreadsheets(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cells.csv"]


def test_division_keeps_every_row_and_no_file_too_long():
    for groups in ([5], [2, 2, 2], [10, 1], [0, 3, 0], [], [1_048_576, 2]):
        most = 1_048_575 if max(groups, default=0) > 100 else 4
        plan = divided(groups, most)
        assert max(sum(piece.length for piece in file) for file in plan) <= most
        seen = [
            (piece.group, piece.start + i)
            for f in plan
            for piece in f
            for i in ((0, piece.length - 1) if piece.length > 100 else range(piece.length))
        ]
        if most == 4:
            assert seen == [(g, r) for g, rows in enumerate(groups) for r in range(rows)]
        assert sum(piece.length for file in plan for piece in file) == sum(groups)


def test_one_fcs_file_a_sample_with_sizes_first(source, tmp_path):
    done = write_cytometry(source, tmp_path)
    assert [file.path.name for file in done.files] == ["MAR1.fcs", "Müller.fcs"]
    assert set(done.left_out) == {"mostly_missing", "gfp_unmixed", "gfp_positive"}
    read = flowio.FlowData(done.files[0].path)
    assert read.pnn_labels == [
        "row", "cell_id", "nucleus_area_um2", "nucleus_x_um", "nucleus_y_um", "touches_border"
    ]  # fmt: skip
    assert read.text["sample_donor"] == "MAR1"
    assert read.text["sample_dose"] == "0"
    assert read.as_array()[:, 0].tolist() == [0, 1, 2]


def test_fcs_channels_may_be_chosen_and_files_parted_by_image(source, tmp_path):
    done = write_cytometry(source, tmp_path, "image_id", ["gfp_*", "*area*"])
    assert [file.path.name for file in done.files] == ["a_1.fcs", "b_1.fcs"]
    read = flowio.FlowData(done.files[0].path)
    assert read.pnn_labels == ["row", "cell_id", "nucleus_area_um2"]
    with pytest.raises(StudyError, match="called yfp"):
        write_cytometry(source, tmp_path, None, ["yfp*"])


def test_units_of_several_columns_share_a_name(tmp_path):
    write_run(tmp_path / "run", units=("dose", "donor"))
    done = write_cytometry(read_source(tmp_path / "run"), tmp_path / "out")
    assert [file.path.name for file in done.files] == ["0_MAR1.fcs", "1-2_Müller.fcs"]


def test_anndata(source, tmp_path):
    anndata = pytest.importorskip("anndata")
    assert write_annotated(source, tmp_path / "cells.h5ad")
    data = anndata.read_h5ad(tmp_path / "cells.h5ad")
    assert list(data.var_names) == ["gfp_unmixed", "nucleus_area_um2", "mostly_missing"]
    assert list(data.var["unit"]) == ["a.u.", "µm²", "a.u."]
    assert list(data.obs_names) == ["a_1:1", "a_1:2", "a_1:3", "b_1:1", "b_1:2"]
    np.testing.assert_array_equal(data[:, "gfp_unmixed"].X.ravel()[:4], [-2.5, 1e-7, 0.1 + 0.2, 3])
    np.testing.assert_array_equal(data.obsm["spatial"][:3], [[0, 0], [10, 5], [20, 10]])
    assert list(data.obs["reporter_class"]) == [
        "negative",
        "double",
        "double",
        "double",
        "negative",
    ]
    assert list(data.obs["donor"]) == ["MAR1"] * 3 + ["Müller"] * 2
    assert data.obs["gfp_positive"].isna().tolist() == [False] * 4 + [True]
    assert data.uns["senescope"]["study"] == "s"


def test_anndata_without_its_library_names_the_extra(source, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    with pytest.raises(Exception, match=r"senescope\[anndata\]"):
        write_annotated(source, tmp_path / "cells.h5ad")


def test_what_is_said(tmp_path):
    write_run(tmp_path)
    said = export_run(tmp_path, "csv")
    assert "5 cells" in said[0]
    assert "MAR1" in said[-1]
    assert "Text/CSV" in said[-1]
    columns = {row["column"]: row for row in rows_of(tmp_path / "export" / "columns.csv", "utf-8")}
    assert columns["nucleus_area_um2"]["unit"] == "µm²"
    said = export_run(tmp_path, "fcs", tmp_path / "elsewhere")
    assert "2 files, 5 events" in said[0]
    assert "mostly_missing" in said[1]


def test_what_is_no_run(tmp_path):
    with pytest.raises(StudyError, match="provenance"):
        export_run(tmp_path, "csv")


def test_the_table_is_left_as_it_is(source, tmp_path):
    before = source.layout.cells.read_bytes()
    write_spreadsheets(source, tmp_path / "out")
    write_cytometry(source, tmp_path / "out")
    assert source.layout.cells.read_bytes() == before
    assert pl.read_parquet(source.layout.cells).height == 5
