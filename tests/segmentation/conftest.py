"""Real nuclei with their truth, and the shipped model."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

if TYPE_CHECKING:
    from segmentation.models import Model

NUCLEI = Path(__file__).parents[1] / "data" / "nuclei"


@pytest.fixture(scope="session")
def compact() -> "Model":
    from segmentation.models import load_model  # here, so that tests without it start at once

    return load_model("compact", gpu=False, precision="float32")


@pytest.fixture(scope="session")
def nuclei() -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        image = tifffile.imread(NUCLEI / f"{name}.tif")
        return image, tifffile.imread(NUCLEI / f"{name}_masks.tif")

    return read
