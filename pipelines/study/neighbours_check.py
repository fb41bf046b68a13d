"""What is wrong with questions of spread, before a pixel is read."""

from pipelines.study.model import Study
from pipelines.study.neighbours import Neighbours
from pipelines.study.problems import Problem, error, warning
from pipelines.study.settings import Morphology


def neighbours_problems(study: Study) -> list[Problem]:
    """All that can be known of questions of spread from the study file alone."""
    asked = [
        (f"measurements.{i}", m)
        for i, m in enumerate(study.measurements)
        if isinstance(m, Neighbours)
    ]
    if not asked:
        return []
    problems = []
    if not any(isinstance(m, Morphology) for m in study.measurements):
        problems.append(error(asked[0][0], "cells get their place from {type: morphology}; add it"))
    if study.pixel_size_um == "unknown":
        problems.append(error(asked[0][0], "rings_um needs a pixel size, which is 'unknown'"))
    names = [settings.name for _, settings in asked]
    for where, settings in asked:
        if names.count(settings.name) > 1:
            problems.append(error(f"{where}.name", f"'{settings.name}' stands there twice"))
        problems += _doubles(study, where, settings)
    return problems


def _doubles(study: Study, where: str, settings: Neighbours) -> list[Problem]:
    """Classes with a source's reporters that would be counted as responders."""
    given = settings.source.get("reporter_class")
    if study.reporters is None or given is None or settings.among:
        return []
    sources = [str(name) for name in (given if isinstance(given, tuple) else (given,))]
    signs = study.reporters.signs()
    lit = {s for name in sources for s in signs.get(name, ()) if s.endswith("+")}
    left = [name for name, given in signs.items() if name not in sources and lit & set(given)]
    return [
        warning(
            f"{where}.source",
            f"cells of class {name} carry a source's reporter and count as responders; add it to "
            "source, or name the responders in among",
        )
        for name in left
    ]
