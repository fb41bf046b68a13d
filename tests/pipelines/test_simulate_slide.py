"""The mosaic: the same pixels whatever part is asked for, exact truth, a file written by tiles."""

import numpy as np
import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.images import inspect
from pipelines.simulate.slide import (
    TILE,
    MosaicSettings,
    region,
    write_slide,
    write_slide_study,
)
from pipelines.study.check import check_study

SETTINGS = MosaicSettings((1100, 1300), diameter_px=24.0)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slide")
    write_slide(folder / "s.ome.tif", folder / "truth.tif", SETTINGS, 3, 0.5)
    return folder


def test_the_file(slide):
    info = inspect(slide / "s.ome.tif")
    assert (info.plane_shape, info.block, info.dtype) == ((1100, 1300), (TILE, TILE), "uint16")
    assert info.pixel_size_um == 0.5
    assert info.channel_names == ("dapi",)


def test_truth_belongs_to_the_image(slide):
    image, truth = (tifffile.imread(slide / name) for name in ("s.ome.tif", "truth.tif"))
    assert image.shape == truth.shape == SETTINGS.shape
    assert np.median(image[truth > 0]) > 1000
    assert np.median(image[truth == 0]) < 250
    areas = np.bincount(truth.ravel())[1:]
    areas = areas[areas > 0]
    assert areas.size > 700
    assert 2 * np.sqrt(np.median(areas) / np.pi) == pytest.approx(24, rel=0.1)


def test_nuclei_do_not_know_the_tiles(slide):
    """Truth is the same where a part that crosses tiles is asked for."""
    truth = tifffile.imread(slide / "truth.tif")
    _, part = region(SETTINGS, 3, 300, 400, (500, 600))
    assert np.array_equal(part, truth[300:800, 400:1000])


def test_the_same_seed_the_same_slide_of_any_size(slide):
    """A larger slide is another mosaic; the same one is the same."""
    again, _ = region(SETTINGS, 3, TILE, 0, (TILE, TILE))
    other, _ = region(SETTINGS, 4, TILE, 0, (TILE, TILE))
    image = tifffile.imread(slide / "s.ome.tif")
    assert np.array_equal(again, image[TILE : 2 * TILE, :TILE])
    assert not np.array_equal(again, other)


def test_a_study_of_it_passes_the_check(tmp_path):
    path = write_slide_study(tmp_path / "slide", 0, 1024)
    checked = check_study(path)
    assert not [p for p in checked.problems if p.level == "error"]
    with pytest.raises(StudyError, match="already holds a study"):
        write_slide_study(tmp_path / "slide", 0, 1024)
    with pytest.raises(StudyError, match="too few nuclei"):
        write_slide_study(tmp_path / "small", 0, 100)
