"""Scores of files and folders."""

import csv

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import StudyError
from pipelines.scoring import error_picture, score_files, summary


def labels(*places: tuple[int, int, int]) -> np.ndarray:
    image = np.zeros((40, 40), np.uint16)
    for number, (y, x, side) in enumerate(places, 1):
        image[y : y + side, x : x + side] = number
    return image


@pytest.fixture
def folders(tmp_path):
    found, truth = tmp_path / "found", tmp_path / "truth"
    found.mkdir()
    truth.mkdir()
    tifffile.imwrite(found / "a_labels.tif", labels((2, 2, 10)))
    tifffile.imwrite(truth / "a_masks.tif", labels((2, 2, 10), (20, 20, 10)))
    return found, truth


def test_a_folder_against_a_folder(folders, tmp_path):
    results = score_files(*folders, tmp_path / "out", lambda _: None)
    assert (results[0].name, results[0].quality.ap50, results[0].quality.missed) == ("a", 0.5, 1)
    assert "1 image, 2 true objects, 1 found: AP 0.5 0.500" in summary(results)
    with (tmp_path / "out" / "scores.csv").open() as file:
        row = next(csv.DictReader(file))
    assert (row["image"], row["ap50"], row["error"]) == ("a", "0.5", "")
    assert (tmp_path / "out" / "a_errors.png").is_file()


def test_what_has_no_partner_and_what_cannot_be_read_are_named(folders, tmp_path):
    found, truth = folders
    tifffile.imwrite(found / "lone.tif", labels((2, 2, 10)))
    tifffile.imwrite(found / "small.tif", labels((2, 2, 10))[:20])
    tifffile.imwrite(truth / "small.tif", labels((2, 2, 10)))
    results = {one.name: one.error for one in score_files(found, truth, None, lambda _: None)}
    assert results["a"] is None
    assert "has no truth" in results["lone"]
    assert "one shape" in results["small"]
    done = CliRunner().invoke(app, ["score", str(found), str(truth)])
    assert done.exit_code == 1
    assert "2 images could not be scored" in done.output


def test_two_files(folders):
    found, truth = folders
    one = score_files(found / "a_labels.tif", truth / "a_masks.tif", None, lambda _: None)
    assert one[0].quality.n_truth == 2


def test_a_file_against_a_folder_and_nothing(folders, tmp_path):
    found, truth = folders
    with pytest.raises(StudyError, match="two folders"):
        score_files(found, truth / "a_masks.tif", None, lambda _: None)
    with pytest.raises(StudyError, match="There is no"):
        score_files(tmp_path / "gone", truth, None, lambda _: None)


def test_errors_have_their_colours():
    truth = labels((2, 2, 10), (20, 2, 10), (20, 20, 14))
    found = labels((2, 2, 10), (2, 25, 8))
    found[20:34, 20:27], found[20:34, 27:34] = 7, 8
    picture = error_picture(truth, found)
    assert picture[6, 6].tolist() == [150, 150, 150]
    assert picture[25, 6].tolist() == [230, 159, 0]
    assert picture[5, 28].tolist() == [86, 180, 233]
    assert picture[27, 24].tolist() == [240, 228, 66]
    assert picture[38, 38].tolist() == [0, 0, 0]
