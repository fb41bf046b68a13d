import sys

import numpy as np
import pytest

from measurements import foci_ufish
from measurements.errors import MeasurementError
from measurements.regions import Regions
from tests.measurements.label_images import disc, spot

SHAPE = (64, 80)
LABELS = disc(SHAPE, 32, 32, 25).astype(int)


def test_missing_package_names_the_extra(monkeypatch):
    foci_ufish._session.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MeasurementError, match=r"senescope\[ufish\]"):
        foci_ufish.find_foci_ufish(np.ones(SHAPE), Regions.of(LABELS))


def test_spots_in_nuclei_are_found():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ufish")
    places = np.array([[30.3, 20.0], [38.0, 41.4]])
    image = 100 + sum(900 * spot(SHAPE, y, x, 1.3) for y, x in [*places, (32, 70)])
    for picture in (image, np.stack([image, image])):
        found, row = foci_ufish.find_foci_ufish(picture, Regions.of(LABELS))
        distance = np.hypot(*(found[:, None, -2:] - places).transpose(2, 0, 1))
        assert (distance.min(axis=1) < 1.0).all()
        assert (distance.min(axis=0) < 1.0).all()
        assert (row == 0).all()
