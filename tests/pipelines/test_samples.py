from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipelines.study.model import parse_study
from pipelines.study.samples import join_samples
from tests.vendor_files import write_plate

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
    problems = (*samples.problems, *samples.absent)
    assert any(expected in problem for problem in problems), problems


def test_all_faults_are_collected(tmp_path):
    samples = joined(tmp_path, "image\nx.tif\na.tif\ny.tif\n", files=["a.tif"])
    assert len((*samples.problems, *samples.absent)) == 2


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
    assert len((*samples.problems, *samples.absent)) == 1


def scenes_of(tmp_path, table, channels="{dna: DAPI}"):
    study = parse_study(
        f"study: s\nsamples: samples.csv\nchannels: {channels}\n"
        "segmentation: {nuclei: {channel: dna, diameter_px: 9}}\n"
        "measurements: [{type: morphology}]\n",
        "s",
    )
    (tmp_path / "samples.csv").write_text(table)
    return join_samples(study, tmp_path)


def test_scenes_and_times_of_a_file_become_rows(tmp_path):
    pixels = np.arange(2 * 2 * 1 * 1 * 8 * 9, dtype=np.uint16).reshape(2, 2, 1, 1, 8, 9)
    with tifffile.TiffWriter(tmp_path / "run.ome.tif") as writer:
        for name, scene in zip(("well A1", "well B2"), pixels, strict=True):
            about = {"axes": "TCZYX", "Name": name}
            writer.write(scene, photometric="minisblack", metadata=about)
    tifffile.imwrite(tmp_path / "one.tif", pixels[0, 0, 0, 0])
    found = scenes_of(tmp_path, "image,donor\nrun.ome.tif,d1\none.tif,d2\n", "{dna: 0}")
    assert found.problems == ()
    assert found.columns == ("donor", "scene", "time_point")
    rows = {row.image_id: row for row in found.rows}
    assert [*rows] == [
        "run_well_A1_t000",
        "run_well_A1_t001",
        "run_well_B2_t000",
        "run_well_B2_t001",
        "one",
    ]
    assert dict(rows["run_well_B2_t001"].sample) == {
        "donor": "d1",
        "scene": "well B2",
        "time_point": 1,
    }
    assert dict(rows["one"].sample) == {"donor": "d2", "scene": None, "time_point": None}
    assert (rows["run_well_B2_t001"].place, rows["one"].place) == ("scene 1, time point 1", "")
    table = "image,image_scene,image_time,scene\nrun.ome.tif,well B2,1,mine\n"
    [row] = scenes_of(tmp_path, table, "{dna: 0}").rows
    assert (row.image_id, row.scene, row.time, row.sample["scene"]) == ("run", 1, 1, "mine")


@pytest.mark.parametrize(
    ("choice", "message"),
    [("well C1,0", "no scene 'well C1'"), ("0,7", "no time point '7'"), ("9,", "no scene '9'")],
)
def test_a_scene_that_is_not_there_is_a_problem(tmp_path, choice, message):
    with tifffile.TiffWriter(tmp_path / "run.ome.tif") as writer:
        for _ in range(2):
            pixels = np.zeros((2, 8, 9), np.uint16)
            writer.write(pixels, photometric="minisblack", metadata={"axes": "TYX"})
    table = f"image,image_scene,image_time\nrun.ome.tif,{choice}\n"
    [problem] = scenes_of(tmp_path, table, "{dna: 0}").problems
    assert message in problem


def test_one_annotation_is_not_that_of_several_images(tmp_path):
    pixels = np.zeros((2, 8, 9), np.uint16)
    path = tmp_path / "run.ome.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "m.tif", pixels[0])
    found = scenes_of(tmp_path, "image,truth_nuclei\nrun.ome.tif,m.tif\n", "{dna: 0}")
    assert "holds 2 images" in found.problems[0]


def test_wells_of_a_plate_are_folders_of_their_own(tmp_path):
    pixels = np.zeros((2, 1, 1, 1, 32, 32), np.uint16)
    write_plate(tmp_path / "plate.ome.zarr", pixels)
    found = scenes_of(tmp_path, "image\nplate.ome.zarr\n")
    assert [row.image_id for row in found.rows] == ["plate_A_1_0", "plate_B_2_0"]
    assert [row.sample["scene"] for row in found.rows] == ["A/1/0", "B/2/0"]
    assert found.rows[1].files["dna"] == tmp_path / "plate.ome.zarr" / "B/2/0"
    assert found.rows[1].scene is None
