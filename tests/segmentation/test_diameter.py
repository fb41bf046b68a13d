"""The proposed diameter, on annotated fields and where there is nothing to measure."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from segmentation.diameter import Diameter, propose_diameter
from segmentation.models import load_model

DATA = Path(__file__).parent.parent / "data" / "nuclei"


def true_diameter(masks):
    areas = np.bincount(masks.ravel())[1:]
    return float(np.median(np.sqrt(4 / np.pi * areas[areas > 0])))


@pytest.mark.parametrize("name", ["stardist", "dsb_sparse"])
def test_it_is_that_of_annotated_nuclei(name):
    image = tifffile.imread(DATA / f"{name}.tif")
    kept = image.copy()
    truth = true_diameter(tifffile.imread(DATA / f"{name}_masks.tif"))
    found = propose_diameter(image, load_model("compact"))
    assert found is not None
    assert found.px == pytest.approx(truth, rel=0.1)
    assert found.low_px < truth * 1.05 < found.high_px * 1.05
    assert (image == kept).all()


@pytest.mark.parametrize("image", [np.zeros((64, 64), np.uint8), np.full((64, 80), 7.0)])
def test_an_empty_image_has_none(image):
    assert propose_diameter(image, load_model("compact")) is None


def test_a_diameter_agrees_within_its_interval_and_a_fifth():
    found = Diameter(20.0, 18.0, 22.0, 30)
    assert [found.agrees(d) for d in (14.9, 15.1, 26.3, 26.5)] == [False, True, True, False]
