from pathlib import Path

import pytest

from pipelines.study.model import parse_study
from pipelines.study.samples import join_samples

STUDY = """
study: s
{source}
channels: {{dapi: 0, p21: 1}}
segmentation: {{nuclei: {{channel: dapi, diameter_px: 20}}}}
measurements: [{{type: morphology}}]
"""


def joined(folder: Path, table: str | None = None, source: str = "samples: samples.csv", files=()):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if table is not None:
        (folder / "samples.csv").write_text(table, encoding="utf-8")
    return join_samples(parse_study(STUDY.format(source=source), "s"), folder)


def test_rows_carry_typed_sample_columns(tmp_path):
    table = "image,donor,dose,well,batch\na.tif,WS1,1,01,0.5\nb.tif,H1,2,02,\n"
    samples = joined(tmp_path, table, files=["a.tif", "b.tif"])
    assert samples.problems == ()
    assert samples.columns == ("donor", "dose", "well", "batch")
    first, second = samples.rows
    assert first.sample == {"donor": "WS1", "dose": 1, "well": "01", "batch": 0.5}
    assert second.sample["batch"] is None
    assert first.image_id == "a"
    assert set(first.files) == {"dapi", "p21"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_any_usual_delimiter_and_a_byte_order_mark(tmp_path, delimiter):
    table = "\ufeffimage,donor\na.tif,x\n".replace(",", delimiter)
    samples = joined(tmp_path, table, files=["a.tif"])
    assert samples.problems == ()
    assert samples.rows[0].sample == {"donor": "x"}


def test_a_glob_gives_one_row_a_file(tmp_path):
    samples = joined(tmp_path, "image,donor\nd1/*.tif,x\n", files=["d1/b.tif", "d1/a.tif"])
    assert [row.image_id for row in samples.rows] == ["a", "b"]


def test_same_names_in_two_folders_get_their_folder(tmp_path):
    samples = joined(tmp_path, "image\nd1/a.tif\nd2/a.tif\n", files=["d1/a.tif", "d2/a.tif"])
    assert [row.image_id for row in samples.rows] == ["d1__a", "d2__a"]


def test_one_file_a_channel(tmp_path):
    table = "image_dapi,image_p21\na_dapi.ome.tif,a_p21.ome.tif\n"
    samples = joined(tmp_path, table, files=["a_dapi.ome.tif", "a_p21.ome.tif"])
    assert {c: p.name for c, p in samples.rows[0].files.items()} == {
        "dapi": "a_dapi.ome.tif",
        "p21": "a_p21.ome.tif",
    }
    assert samples.rows[0].image_id == "a"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "is empty"),
        ("image\n", "no rows"),
        ("file\na.tif\n", "no column 'image'"),
        ("image,image\na.tif,a.tif\n", "twice"),
        ("image\nnone.tif\n", "line 2: there is no file none.tif"),
        ("image\n*.png\n", "no file matches *.png"),
        ("image\na.tif\na.tif\n", "more than one row"),
        ("image\na.tif\n./a.tif\n", "more than one row"),
        ("image,donor\na.tif\n", "1 fields where the header has 2"),
        ("image_dapi\na.tif\n", "no column image_p21"),
        ("image_dapi,image_p12\na.tif,a.tif\n", "did you mean 'p21'?"),
        ("image,cell_id\na.tif,1\n", "senescope writes"),
        ("image\n/etc/hostname\n", "outside the folders"),
        ("image,truth_nuclei\na.tif,mask.tif\n", "no file mask.tif"),
    ],
)
def test_each_fault_of_the_table_is_named(tmp_path, table, expected):
    samples = joined(tmp_path, table, files=["a.tif"])
    assert any(expected in problem for problem in samples.problems), samples.problems


def test_all_faults_are_collected(tmp_path):
    samples = joined(tmp_path, "image\nx.tif\na.tif\ny.tif\n", files=["a.tif"])
    assert len(samples.problems) == 2


def test_a_pattern_names_the_sample_columns(tmp_path):
    files = ["raw/WS1_c1_01.tif", "raw/H2_c1_02.tif", "raw/notes.txt"]
    source = "images: 'raw/{donor}_{clone}_{field}.tif'"
    samples = joined(tmp_path, source=source, files=files)
    assert samples.problems == ()
    assert [dict(row.sample) for row in samples.rows] == [
        {"donor": "H2", "clone": "c1", "field": "02"},
        {"donor": "WS1", "clone": "c1", "field": "01"},
    ]


@pytest.mark.parametrize("pattern", ["raw/*.tif", "{a b}.tif", "{a}_{a}.tif", "{a}.png"])
def test_a_useless_pattern_is_a_problem(tmp_path, pattern):
    samples = joined(tmp_path, source=f"images: '{pattern}'", files=["x_y.tif"])
    assert len(samples.problems) == 1
