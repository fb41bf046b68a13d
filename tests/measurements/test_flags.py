import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.flags import Flags


def test_booleans_and_numbers_are_read_alike():
    flags = Flags.of({"p21": np.array([True, False, True]), "gh2ax": [1.0, np.nan, 0.0]})
    assert flags.markers == ("p21", "gh2ax")
    np.testing.assert_array_equal(flags.positive, [[True, True], [False, False], [True, False]])
    np.testing.assert_array_equal(flags.measured, [[True, True], [True, False], [True, True]])


def test_no_cells():
    assert Flags.of({"p21": np.zeros(0, dtype=bool)}).positive.shape == (0, 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "at least one marker"),
        ({"a": [True], "b": [True, False]}, "one value a cell"),
        ({"a": [[True]]}, "one value a cell"),
        ({"a": True}, "one value a cell"),
        ({"a": ["yes"]}, "expected booleans"),
        ({"a": [0.0, 0.4]}, "gate the values first"),
    ],
)
def test_what_is_refused(given, said):
    with pytest.raises(MeasurementError, match=said):
        Flags.of(given)
