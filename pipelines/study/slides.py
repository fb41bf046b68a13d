"""Which images are slides, and what is not done with slides."""

from collections.abc import Mapping
from math import prod

from pipelines.images import Field
from pipelines.study.model import Study
from pipelines.study.problems import Problem, error
from pipelines.study.reporters import Reporters
from pipelines.study.settings import (
    BetaGal,
    CellposeCells,
    Foci,
    Measurement,
)


def is_slide(image: Field, above_px: int) -> bool:
    """Whether an image is so large that it is worked on in blocks.

    Args:
        image: the image, from its header.
        above_px: pixels (rows x columns) that make a slide.
    """
    return prod(image.shape) > above_px


def why_not_in_blocks(measurement: Measurement) -> str | None:
    """Why something cannot be measured block by block; None where it can."""
    if isinstance(measurement, Reporters) and measurement.haze:
        return "haze is told from the whole image, which slides are never; leave haze out"
    if isinstance(measurement, Foci) and measurement.stack is not None:
        return "foci are looked for in one plane of slides, never in a stack; leave stack out"
    if isinstance(measurement, BetaGal) and measurement.blank is not None:
        return "the light of a slide is taken from its own background; leave blank out"
    return None


def slide_problems(study: Study, slides: Mapping[str, object]) -> list[Problem]:
    """What the study asks for that slides do not have; nothing where no image is a slide."""
    if not slides:
        return []
    first = next(iter(slides))
    size = (
        f"image {first} is a slide (over compute.slide_above_px, "
        f"{study.compute.slide_above_px:,} pixels)"
    )
    asked = [
        (f"measurements.{i}", why)
        for i, m in enumerate(study.measurements)
        if (why := why_not_in_blocks(m)) is not None
    ]
    if study.segmentation.nuclei is None or isinstance(study.segmentation.cells, CellposeCells):
        asked.append(
            ("segmentation.cells", "cells of a slide are expand, voronoi or nuclei, not cellpose")
        )
    if study.z == "best_focus" and any(_has_stack(image) for image in slides.values()):
        asked.append(("z", "best_focus is not chosen for slides; give max or mean"))
    return [error(where, f"{size}: {what}") for where, what in asked]


def _has_stack(image: object) -> bool:
    return isinstance(image, Field) and any(s.info.n_z > 1 for s in image.sources.values())
