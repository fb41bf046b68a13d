"""Classes of reporter cells: which combination of positive and negative channels is which.

Nothing but names here: a study's classes can be checked before anything is measured.
"""

from collections.abc import Mapping, Sequence
from itertools import product

from measurements.errors import MeasurementError

UNASSIGNED = "unassigned"
UNMEASURED = "unmeasured"

Classes = Mapping[str, Sequence[str]]
"""Name of a class -> signs such as ``["mcherry+", "gfp-"]``; a channel left out may be either."""
Signs = Mapping[str, bool]
"""Channel -> positive."""


def default_classes(channels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """One class for each combination, named by the channels that are positive in it.

    Args:
        channels: names of the reporters, such as mcherry and gfp, which give the classes negative,
            mcherry, gfp and mcherry_gfp.
    """
    states = sorted(product((False, True), repeat=len(channels)), key=lambda s: (sum(s), s[::-1]))
    return {
        "_".join(c for c, on in zip(channels, state, strict=True) if on) or "negative": tuple(
            c + ("+" if on else "-") for c, on in zip(channels, state, strict=True)
        )
        for state in states
    }


def class_problems(channels: Sequence[str], classes: Classes) -> list[str]:
    """All that keeps every cell from having exactly one class, in sentences.

    Args:
        channels: names of the reporters.
        classes: see `Classes`.
    """
    signs, problems = {}, []
    for name, given in classes.items():
        try:
            signs[name] = read_signs(name, given, channels)
        except MeasurementError as error:
            problems.append(str(error))
    if problems:
        return problems
    for state in _states(channels):
        fits = _fitting(state, signs)
        if len(fits) > 1:
            problems.append(_in_two(state, fits))
        elif not fits:
            problems.append(f"Cells that are {_shown(state)} have no class: add one for them.")
    return problems


def class_of_combination(channels: Sequence[str], classes: Classes) -> list[str]:
    """Class of each combination of channels; the first channel is the lowest bit.

    Args:
        channels: names of the reporters.
        classes: see `Classes`; a combination that none covers is ``unassigned``.

    Raises:
        MeasurementError: a class names an unknown channel or contradicts itself, two classes cover
            the same combination, or there is none.
    """
    if not classes:
        raise MeasurementError("No classes were given; expected at least one.")
    signs = {name: read_signs(name, given, channels) for name, given in classes.items()}
    table = []
    for state in _states(channels):
        fits = _fitting(state, signs)
        if len(fits) > 1:
            raise MeasurementError(_in_two(state, fits))
        table.append(fits[0] if fits else UNASSIGNED)
    return table


def read_signs(name: str, given: Sequence[str], channels: Sequence[str]) -> dict[str, bool]:
    """Channel -> positive, of one class.

    Raises:
        MeasurementError: a sign is not a channel with + or -, or a channel stands there twice.
    """
    if name in (UNASSIGNED, UNMEASURED):
        raise MeasurementError(f"No class may be called {name}: cells without a class are.")
    if isinstance(given, str) or not given:
        raise MeasurementError(
            f"Class {name} is {given!r}; expected a list of signs such as "
            f'["{channels[0]}+"], at least one.'
        )
    signs: dict[str, bool] = {}
    for sign in given:
        channel = sign[:-1].strip()
        if sign[-1:] not in ("+", "-") or channel not in channels:
            raise MeasurementError(
                f"Class {name} asks for {sign!r}; expected a channel with + or - behind it, the "
                f"channels being {', '.join(channels)}."
            )
        if channel in signs:
            raise MeasurementError(f"Class {name} names {channel} twice: {', '.join(given)}.")
        signs[channel] = sign.endswith("+")
    return signs


def _states(channels: Sequence[str]) -> list[dict[str, bool]]:
    """Every combination, counted up with the first channel as the lowest bit."""
    bits = product((False, True), repeat=len(channels))
    return [dict(zip(channels, reversed(state), strict=True)) for state in bits]


def _fitting(state: Signs, signs: Mapping[str, Signs]) -> list[str]:
    return [name for name, needed in signs.items() if needed.items() <= state.items()]


def _in_two(state: Signs, fits: Sequence[str]) -> str:
    return (
        f"Cells that are {_shown(state)} fit {' and '.join(fits)}: name more channels in these "
        "classes, so that every cell has one."
    )


def _shown(state: Signs) -> str:
    return " ".join(channel + ("+" if on else "-") for channel, on in state.items())
