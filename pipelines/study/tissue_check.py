"""What is wrong with zonation and densities, before a cell is measured."""

from pathlib import Path

from pipelines.errors import StudyError
from pipelines.study.asked import asked, repeated, unplaced
from pipelines.study.csv_table import parse_csv
from pipelines.study.density import Density
from pipelines.study.design import control_problems
from pipelines.study.model import Study
from pipelines.study.problems import Problem, error
from pipelines.study.rules import Rule
from pipelines.study.samples import Samples
from pipelines.study.zonation import Zonation

Landmarks = dict[str, list[tuple[float, float, str]]]
"""Image -> y and x in µm and zone of each landmark."""
LANDMARK_COLUMNS = ("image", "y_um", "x_um", "zone")


def tissue_problems(study: Study, samples: Samples, folder: Path) -> list[Problem]:
    """All that can be known of zonation and densities from the study file and its tables."""
    zonations, densities = asked(study, Zonation), asked(study, Density)
    if not zonations and not densities:
        return []
    problems = unplaced(study, (*zonations, *densities)[0][0]) + repeated(zonations)
    names = [density.name for _, density in densities]
    problems += [
        error("measurements", f"two densities have the name '{name}'")
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    for where, settings in zonations:
        problems += _zonation_problems(where, settings, study, samples)
        problems += _landmark_problems(where, settings, samples, folder)
    return problems


def _zonation_problems(
    where: str, settings: Zonation, study: Study, samples: Samples
) -> list[Problem]:
    rule = Rule(rule="control_percentile", controls=settings.reference)
    found = control_problems(where, rule, study, samples)
    return [Problem(p.level, p.where.replace(".controls", ".reference"), p.message) for p in found]


def _landmark_problems(
    where: str, settings: Zonation, samples: Samples, folder: Path
) -> list[Problem]:
    try:
        found = read_landmarks(settings, folder)
    except StudyError as problem:
        return [error(f"{where}.landmarks", str(problem))]
    ids = {row.image_id for row in samples.rows}
    if settings.landmarks is None or ids & set(found):
        return []
    some = ", ".join(sorted(found)[:3])
    text = f"no landmark is of an image of the study; they are of {some or 'no image'}"
    return [error(f"{where}.landmarks", text)]


def read_landmarks(settings: Zonation, folder: Path) -> Landmarks:
    """Read the places at the ends of the axis; nothing where the study names none.

    Args:
        settings: of the zonation.
        folder: of the study file.

    Raises:
        StudyError: the table cannot be read, or holds something else.
    """
    if settings.landmarks is None:
        return {}
    try:
        text = (folder / settings.landmarks).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise StudyError(f"{settings.landmarks} cannot be read: {problem}") from problem
    header, records, problems = parse_csv(text, settings.landmarks)
    if missing := [name for name in LANDMARK_COLUMNS if name not in header]:
        raise StudyError(f"{settings.landmarks} has no column '{missing[0]}'")
    if problems:
        raise StudyError(problems[0])
    ends = (settings.three[0][0], settings.three[2][0])
    found: Landmarks = {}
    for line, record in enumerate(records, start=2):
        if record["zone"] not in ends:
            raise StudyError(
                f"{settings.landmarks} line {line}: zone '{record['zone']}' is neither {ends[0]} "
                f"nor {ends[1]}, the ends of the axis"
            )
        try:
            place = (float(record["y_um"]), float(record["x_um"]), record["zone"])
        except ValueError as problem:
            raise StudyError(f"{settings.landmarks} line {line}: {problem}") from problem
        found.setdefault(record["image"], []).append(place)
    return found
