"""The study's design against its sample table: units, factors, references and controls."""

from collections.abc import Iterable, Mapping, Sequence

from pipelines.study.base import Scalar
from pipelines.study.csv_table import Value
from pipelines.study.messages import nearest
from pipelines.study.model import Statistics, Study
from pipelines.study.problems import Problem, error, warning
from pipelines.study.row import ImageRow
from pipelines.study.rules import Rule
from pipelines.study.samples import Samples
from pipelines.study.settings import Foci, FociThreshold

FEWEST_UNITS = 3
# YAML reads these words as true and false, unless they are quoted; a CSV file does not.
YAML_WORDS = {True: ("true", "yes", "on"), False: ("false", "no", "off")}


def design_problems(study: Study, samples: Samples) -> list[Problem]:
    """All that is wrong with statistics and positivity, given the images' sample columns."""
    problems = []
    if study.statistics is not None:
        problems += _statistics_problems(study.statistics, samples)
    for name, rule in study.positivity.items():
        problems += control_problems(f"positivity.{name}", rule, study, samples)
    for i, m in enumerate(study.measurements):
        if isinstance(m, Foci) and isinstance(m.threshold, FociThreshold):
            where = f"measurements.{i}.threshold"
            problems += control_problems(where, m.threshold, study, samples)
    return problems


def selected(rows: Iterable[ImageRow], selector: Mapping[str, Scalar]) -> list[ImageRow]:
    """The images whose sample columns hold the selector's values.

    Values are compared as numbers where both are, else as text, so that ``{dose: 0}`` finds the
    dose written as 0, 0.0 or '0'.
    """
    return [
        row
        for row in rows
        if all(_same(row.sample.get(column), value) for column, value in selector.items())
    ]


def unit_columns(study: Study, samples: Samples) -> tuple[str, ...]:
    """Sample columns that together name one unit, the rows of samples.csv.

    With statistics: the factors, the blocks and the unit. Without: every sample column that at
    least two images share a value of [judgement: a column that differs in every image, such as
    field, names the image and not the sample]; none where there is no such column.
    """
    if study.statistics is not None:
        design = study.statistics
        blocks = (design.blocks,) if design.blocks else ()
        return tuple(dict.fromkeys((*design.factors, *blocks, design.unit)))
    return tuple(
        column
        for column in samples.columns
        if len({row.sample[column] for row in samples.rows}) < len(samples.rows)
    )


def group_columns(study: Study) -> tuple[str, ...]:
    """Sample columns that are compared, the rows of groups.csv; none without statistics."""
    return study.statistics.factors if study.statistics is not None else ()


def _statistics_problems(design: Statistics, samples: Samples) -> list[Problem]:
    places = [("unit", design.unit)]
    places += [("factors", name) for name in design.factors]
    places += [("random", name) for name in design.random]
    places += [("reference", name) for name in design.reference]
    places += [("blocks", design.blocks)] if design.blocks else []
    problems = _missing_columns("statistics", places, samples)
    if problems or not samples.rows:
        return problems
    problems += [
        error("statistics.reference", f"'{name}' is not one of the factors")
        for name in design.reference
        if name not in design.factors
    ]
    problems += _missing_levels("statistics.reference", design.reference, samples)
    problems += _contrast_problems(design, samples)
    problems += _unit_problems(design, samples.rows)
    problems += _repeated_units(design, samples.rows)
    return problems


def _contrast_problems(design: Statistics, samples: Samples) -> list[Problem]:
    """Contrasts that name what is no factor, or a level that no image has."""
    problems = []
    for number, contrast in enumerate(design.contrasts):
        where = f"statistics.contrasts.{number}"
        (factor, levels) = next(iter(contrast.compare.items()))
        unknown = [name for name in (*contrast.within, factor) if name not in design.factors]
        problems += [
            error(where, f"'{name}' is not one of the factors; {nearest(name, design.factors)}")
            for name in unknown
        ]
        for selector in () if unknown else (contrast.within, *({factor: v} for v in levels)):
            problems += _missing_levels(where, selector, samples)
    return problems


def _repeated_units(design: Statistics, rows: Sequence[ImageRow]) -> list[Problem]:
    """Units measured under several levels: pairs that the study does not call so."""
    if design.blocks is not None:
        return []
    groups: dict[Value, set[tuple[Value, ...]]] = {}
    for row in rows:
        group = tuple(row.sample[factor] for factor in design.factors)
        groups.setdefault(row.sample[design.unit], set()).add(group)
    several = [str(unit) for unit, found in groups.items() if len(found) > 1]
    if not several:
        return []
    return [
        warning(
            "statistics.blocks",
            f"{len(several)} {design.unit}(s), such as {several[0]}, occur under several levels of "
            f"{' and '.join(design.factors)} and would be tested as if they were different ones; "
            f"'blocks: {design.unit}' compares within each",
        )
    ]


def _unit_problems(design: Statistics, rows: Sequence[ImageRow]) -> list[Problem]:
    """Empty design cells, and groups with fewer units than a test can use."""
    needed = (design.unit, *design.factors)
    problems = [
        error("statistics", f"image {row.image_id} has no value in column '{column}'")
        for row in rows
        for column in needed
        if row.sample[column] is None
    ]
    units: dict[tuple[Value, ...], set[Value]] = {}
    for row in rows:
        group = tuple(row.sample[factor] for factor in design.factors)
        units.setdefault(group, set()).add(row.sample[design.unit])
    for group, members in units.items():
        if len(members) < FEWEST_UNITS:
            named = ", ".join(f"{f} {v}" for f, v in zip(design.factors, group, strict=True))
            problems.append(
                warning(
                    "statistics",
                    f"{named}: {len(members)} {design.unit}(s); no test is possible under 2 and "
                    f"none is convincing under {FEWEST_UNITS}",
                )
            )
    return problems


def control_problems(
    where: str, rule: Rule | FociThreshold, study: Study, samples: Samples
) -> list[Problem]:
    """Control images of a rule that are missing, in a batch or altogether, or under test."""
    places = [("controls", name) for name in rule.controls]
    places += [("by", rule.by)] if rule.by else []
    problems = _missing_columns(where, places, samples)
    if problems or not rule.controls or not samples.rows:
        return problems
    controls = selected(samples.rows, rule.controls)
    if not controls:
        return [error(f"{where}.controls", f"no image has {_text(rule.controls)}")]
    if rule.by is not None:
        batches = {row.sample[rule.by] for row in samples.rows}
        bare = batches - {row.sample[rule.by] for row in controls}
        problems += [
            error(f"{where}.by", f"{rule.by} {batch} has no control image")
            for batch in sorted(bare, key=str)
        ]
    if study.statistics is not None:
        problems += _experimental_arms(where, rule, study.statistics, controls)
    return problems


def _experimental_arms(
    where: str, rule: Rule | FociThreshold, design: Statistics, controls: Sequence[ImageRow]
) -> list[Problem]:
    """Control images that carry a level under test: a gate set on them hides the effect."""
    problems = []
    for factor in design.factors:
        levels = {row.sample.get(factor) for row in controls}
        reference = design.reference.get(factor)
        tested = [v for v in levels if reference is None or not _same(v, reference)]
        if not tested or (reference is None and factor in rule.controls):
            continue
        named = ", ".join(sorted(map(str, tested)))
        problems.append(
            warning(
                f"{where}.controls",
                f"the control images {_text(rule.controls)} carry {factor} {named}, a level under "
                "test: a control must not be an experimental arm, or the gate hides its effect",
            )
        )
    return problems


def _missing_columns(
    where: str, places: Iterable[tuple[str, str | None]], samples: Samples
) -> list[Problem]:
    return [
        error(f"{where}.{key}", f"no sample column '{name}'; {nearest(name, samples.columns)}")
        for key, name in places
        if name is not None and name not in samples.columns and samples.columns
    ] or [
        error(f"{where}.{key}", f"the samples have no column '{name}'")
        for key, name in places
        if name is not None and not samples.columns and samples.rows
    ]


def _missing_levels(where: str, reference: Mapping[str, Scalar], samples: Samples) -> list[Problem]:
    problems = []
    for column, value in reference.items():
        levels = {str(row.sample.get(column)) for row in samples.rows}
        if not any(_same(row.sample.get(column), value) for row in samples.rows):
            hint = nearest(str(value), levels)
            problems.append(error(f"{where}.{column}", f"no image has {column} {value}; {hint}"))
    return problems


def _same(found: object, wanted: Scalar) -> bool:
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return float(found) == float(wanted)
    if isinstance(wanted, bool):
        return str(found).lower() in YAML_WORDS[wanted]
    return str(found) == str(wanted)


def _text(selector: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{column} {value}" for column, value in selector.items())
