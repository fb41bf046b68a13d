"""Which groups are compared: the study's contrasts, or every level against its reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipelines.errors import StudyError
from pipelines.study.base import Scalar
from pipelines.study.messages import nearest
from pipelines.study.model import Contrast, Statistics

Group = tuple[str, ...]
"""One level of every factor, as text, in the order of the factors."""


@dataclass(frozen=True)
class Comparison:
    """Two sides, each the plain average of one or more groups.

    Attributes:
        factor: the factor that differs between the sides.
        levels: its two levels, the reference last.
        within: levels of other factors that both sides share, in words; empty for all.
        first: groups of the first side.
        second: groups of the reference side, matched one to one with `first`.
    """

    factor: str
    levels: tuple[str, str]
    within: str
    first: tuple[Group, ...]
    second: tuple[Group, ...]

    @property
    def name(self) -> str:
        """Such as ``treatment: inhibitor - vehicle, within model MEK1``."""
        named = f"{self.factor}: {self.levels[0]} - {self.levels[1]}"
        return f"{named}, within {self.within}" if self.within else named

    def weights(self, groups: Sequence[Group]) -> list[float]:
        """Weight of each group's mean in the estimate: they sum to 1 and to -1 on the sides."""
        share = 1.0 / len(self.first)
        return [share * (g in self.first) - share * (g in self.second) for g in groups]


def comparisons(design: Statistics, groups: Sequence[Group]) -> list[Comparison]:
    """Plan the comparisons of a study.

    Args:
        design: factors, references, contrasts.
        groups: combinations of levels that have a unit, in the order of the sample table.

    Returns:
        The contrasts of the study. Without any: for each factor every level against its reference
        (every pair of levels where it has none), within each combination of the other factors.

    Raises:
        StudyError: a contrast names a factor or a level that the data do not have.
    """
    if design.contrasts:
        return [_planned(contrast, design, groups) for contrast in design.contrasts]
    found = []
    for index, factor in enumerate(design.factors):
        others = list(dict.fromkeys(g[:index] + g[index + 1 :] for g in groups))
        for rest in others:
            present = [g[index] for g in groups if g[:index] + g[index + 1 :] == rest]
            within = dict(zip(_without(design.factors, index), rest, strict=True))
            for first, second in _pairs(present, design.reference.get(factor)):
                found.append(_between(factor, (first, second), within, design.factors, groups))
    return found


def _pairs(levels: Sequence[str], reference: Scalar | None) -> list[tuple[str, str]]:
    """Levels to compare, reference last."""
    if reference is None:
        return [(b, a) for a, b in combinations(levels, 2)]
    known = [level for level in levels if same_level(level, reference)]
    return [(level, known[0]) for level in levels if known and level != known[0]]


def _planned(contrast: Contrast, design: Statistics, groups: Sequence[Group]) -> Comparison:
    factor, (first, second) = next(iter(contrast.compare.items()))
    levels = (
        _level(factor, first, design.factors, groups),
        _level(factor, second, design.factors, groups),
    )
    within = {
        name: _level(name, value, design.factors, groups) for name, value in contrast.within.items()
    }
    comparison = _between(factor, levels, within, design.factors, groups)
    if not comparison.first:
        raise StudyError(
            f"statistics.contrasts: no unit was measured on both sides of '{comparison.name}'"
        )
    return comparison


def _between(
    factor: str,
    levels: tuple[str, str],
    within: Mapping[str, str],
    factors: Sequence[str],
    groups: Sequence[Group],
) -> Comparison:
    """The groups of both sides; a group without its partner on the other side is left out."""
    at = factors.index(factor)
    fixed = {factors.index(name): value for name, value in within.items()}
    sides: list[dict[Group, Group]] = [
        {
            g[:at] + g[at + 1 :]: g
            for g in groups
            if g[at] == level and all(g[i] == value for i, value in fixed.items())
        }
        for level in levels
    ]
    shared = [rest for rest in sides[0] if rest in sides[1]]
    return Comparison(
        factor,
        levels,
        ", ".join(f"{name} {value}" for name, value in within.items()),
        tuple(sides[0][rest] for rest in shared),
        tuple(sides[1][rest] for rest in shared),
    )


def _level(factor: str, value: Scalar, factors: Sequence[str], groups: Sequence[Group]) -> str:
    if factor not in factors:
        raise StudyError(
            f"statistics.contrasts: '{factor}' is not one of the factors; "
            f"{nearest(factor, factors)}"
        )
    levels = list(dict.fromkeys(group[factors.index(factor)] for group in groups))
    for level in levels:
        if same_level(level, value):
            return level
    raise StudyError(
        f"statistics.contrasts: no image that was measured has {factor} {value}; "
        f"{nearest(str(value), levels)}"
    )


def same_level(found: str, wanted: Scalar) -> bool:
    """Whether a level of the sample table is the one that the study file names."""
    try:
        return float(found) == float(str(wanted))
    except ValueError:
        return found.lower() == str(wanted).lower()


def _without(names: Sequence[str], index: int) -> list[str]:
    return [name for i, name in enumerate(names) if i != index]
