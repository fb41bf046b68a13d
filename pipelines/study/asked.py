"""What checks ask alike: which measurements there are, once or twice, and what they need."""

from collections.abc import Sequence
from typing import TypeVar

from pipelines.study.model import Study
from pipelines.study.problems import Problem, error
from pipelines.study.settings import Measurement, Morphology

M = TypeVar("M")


def asked(study: Study, kind: type[M]) -> list[tuple[str, M]]:
    """The measurements of one kind, each with its place in the study file."""
    return [
        (f"measurements.{i}", m) for i, m in enumerate(study.measurements) if isinstance(m, kind)
    ]


def repeated(found: Sequence[tuple[str, Measurement]]) -> list[Problem]:
    """All but the first of measurements that a study can have once."""
    return [
        error(where, f"{measurement.type} stands twice; one of them is enough")
        for where, measurement in found[1:]
    ]


def unplaced(study: Study, where: str) -> list[Problem]:
    """What is missing for cells to have a place in µm."""
    problems = []
    if not any(isinstance(m, Morphology) for m in study.measurements):
        problems.append(error(where, "cells get their place from {type: morphology}; add it"))
    if study.pixel_size_um == "unknown":
        problems.append(error(where, "lengths in µm need a pixel size, which is 'unknown'"))
    return problems
