"""`senescope inspect`, and the diameter that `check` is asked to hold a study against."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import ImageError
from pipelines.inspection.diameter import diameter_problems
from pipelines.inspection.look import look_at
from pipelines.study.check import check_study
from tests.studies import write_study

NUCLEI = Path(__file__).parent.parent / "data" / "nuclei" / "stardist.tif"


def test_what_a_file_holds_is_said_and_drawn(tmp_path):
    path = tmp_path / "run.ome.tif"
    rng = np.random.default_rng(0)
    pixels = rng.integers(100, 300, (2, 3, 2, 40, 60)).astype(np.uint16)
    pixels[1, 1, :, :10] = 4095  # a camera's limit, in a quarter of the picture
    with tifffile.TiffWriter(path) as writer:
        for name, scene in zip(("first", "second"), pixels, strict=True):
            about = {"axes": "ZCYX", "Name": name, "Channel": {"Name": ["DAPI", "p21"]}}
            writer.write(scene, photometric="minisblack", metadata=about)
    picture = tmp_path / "sheet.png"
    arguments = ["inspect", path, "--scene", "second", "--no-diameter", "--picture", picture]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    for expected in (
        "Z 3, C 2, Y 40, X 60; uint16",
        "2 scenes: first, second; shown: second",
        "3 planes of unknown distance",
        "no pixel size",
        "channel p21: 25.0% of the pixels are saturated",
    ):
        assert expected in done.output
    with Image.open(picture) as sheet:
        assert sheet.size[0] > 2 * 400


def test_channels_have_the_grey_values_of_the_chosen_time(tmp_path):
    path = tmp_path / "a.ome.tif"
    pixels = np.arange(2 * 2 * 4 * 5, dtype=np.uint16).reshape(2, 2, 4, 5)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "TCYX"})
    look = look_at(path, time=1)
    assert [(c.name, c.low, c.high) for c in look.channels] == [("0", 40, 59), ("1", 60, 79)]
    with pytest.raises(ImageError, match="no scene 'B'"):
        look_at(path, "B")


def test_eight_bits_and_a_flat_channel_are_doubted(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((30, 30), 7, np.uint8))
    assert [w.split(":")[0] for w in look_at(path).warnings][1:] == [
        "8 bit",
        "channel 0 has the value 7 in every pixel",
    ]


def test_pixels_that_are_no_numbers_are_a_sentence(tmp_path):
    # As registration and rotation leave them in float TIFF.
    path = tmp_path / "a.tif"
    pixels = np.random.default_rng(0).random((64, 100)).astype(np.float32)
    pixels[:, :5] = np.nan
    tifffile.imwrite(path, pixels)
    arguments = ["inspect", str(path), "--picture", str(tmp_path / "sheet.png")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "5.0% of the pixels are NaN or infinite" in done.output
    assert "Diameter: not measured" in done.output


def test_a_colour_picture_of_fluorescence_is_told_how_to_name_its_channels(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 99, (40, 40, 3), np.uint8)).save(path)
    assert any(
        "red, green and blue are the channels 0, 1 and 2" in w for w in look_at(path).warnings
    )


def test_check_warns_of_a_diameter_that_is_not_the_objects(tmp_path):
    study = write_study(tmp_path, images=1)
    shutil.copy(NUCLEI, tmp_path / "field0.tif")
    assert diameter_problems(check_study(study)) == []
    study.write_text(study.read_text().replace("diameter_px: 21", "diameter_px: 60"))
    [problem] = diameter_problems(check_study(study))
    assert problem.where == "segmentation.nuclei.diameter"
    assert "the study says 60 px" in problem.message
