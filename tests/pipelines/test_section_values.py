"""Values of sections: units from their images, weighted, and what is missing."""

import numpy as np
import pytest

from pipelines.run.section_values import with_units


def test_units_are_sums_and_weighted_means_of_their_images():
    rows = [
        {"image_id": "a", "animal": "m1", "n_cells": 10, "area": 1.0, "density": 10.0},
        {"image_id": "b", "animal": "m1", "n_cells": 30, "area": 3.0, "density": 2.0},
        {"image_id": "c", "animal": "m2", "n_cells": 5, "area": np.nan, "density": np.nan},
    ]
    found = with_units(rows, ["animal"], ["n_cells", "area"], {"density": "area"})
    assert [(r["level"], r.get("image_id"), r["n_images"]) for r in found] == [
        ("image", "a", 1), ("image", "b", 1), ("image", "c", 1), ("unit", None, 2),
        ("unit", None, 1),
    ]  # fmt: skip
    first, second = found[3:]
    assert (first["n_cells"], first["area"]) == (40, 4.0)
    assert first["density"] == pytest.approx((10 * 1 + 2 * 3) / 4)
    assert np.isnan(second["density"])
    assert isinstance(first["n_cells"], int)
