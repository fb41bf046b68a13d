"""What is wrong with questions of spread, before a pixel is read."""

from pipelines.study.asked import asked, unplaced
from pipelines.study.model import Study
from pipelines.study.neighbours import Neighbours
from pipelines.study.problems import Problem, error, warning


def neighbours_problems(study: Study) -> list[Problem]:
    """All that can be known of questions of spread from the study file alone."""
    found = asked(study, Neighbours)
    if not found:
        return []
    problems = unplaced(study, found[0][0])
    names = [settings.name for _, settings in found]
    for where, settings in found:
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
