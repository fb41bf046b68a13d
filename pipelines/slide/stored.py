"""A segmented slide as measuring wants it: labels from the store, pixels from the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from measurements.blocks import Box
from pipelines.field.pixels import Grey, rgb_to_grey
from pipelines.images import Field
from pipelines.slide.tasks import label_array


@dataclass(frozen=True)
class StoredSlide:
    """A slide on disk; picklable. See `pipelines.slide.measuring.SlideImage`.

    Attributes:
        field: the image.
        store: OME-Zarr of its labels.
    """

    field: Field
    store: Path

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.field.shape

    @property
    def pixel_size_um(self) -> float | None:
        """Edge of a pixel; None where unknown."""
        return self.field.pixel_size_um

    def labels(self, name: Literal["nuclei", "cells"], box: Box) -> NDArray[np.uint32]:
        """Labels in a box; cells are the nuclei where they have no cytoplasm."""
        there = name if (self.store / "labels" / name).is_dir() else "nuclei"
        labels: NDArray[np.uint32] = label_array(self.store, there)[_slices(box)]
        return labels

    def plane(self, channel: str, box: Box) -> Grey:
        """One channel's pixels in a box; of a picture the mean of its colours."""
        plane = self.field.plane(channel, _slices(box))
        return rgb_to_grey(plane) if channel == self.field.picture else plane

    def rgb(self, box: Box) -> Grey:
        """The picture's colours in a box, (y, x, 3)."""
        assert self.field.picture is not None  # the study was checked
        return self.field.plane(self.field.picture, _slices(box))

    def n_nuclei(self, ids: NDArray[np.uint32]) -> NDArray[np.int64]:
        """One in each: cells of a slide are made from nuclei."""
        return np.ones(ids.size, np.int64)


def _slices(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.bottom), slice(box.left, box.right)
