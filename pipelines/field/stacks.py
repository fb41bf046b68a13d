"""Z-stacks that foci are looked for in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.images import Field
from pipelines.study.model import Study
from pipelines.study.settings import Foci
from pipelines.study.stacks import check_stacks, z_step_um


@dataclass(frozen=True, eq=False)
class Stack:
    """All planes of one channel.

    Attributes:
        planes: (z, y, x) pixels as the file has them.
        z_step_um: distance of the planes; None where unknown.
    """

    planes: NDArray[np.generic]
    z_step_um: float | None


def read_stacks(field: Field, study: Study) -> Mapping[str, Stack]:
    """Read the stacks that the study looks for foci in.

    Raises:
        ImageError: they cannot be read, or are no stacks of known distance.
    """
    check_stacks(field, study)
    return {
        settings.channel: Stack(field.stack(settings.channel), z_step_um(field, settings))
        for settings in study.measurements
        if isinstance(settings, Foci) and settings.stack is not None
    }
