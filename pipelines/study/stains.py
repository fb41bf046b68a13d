"""Stains of a brightfield picture that are channels of their own, and whether they can be."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from measurements.errors import MeasurementError
from measurements.stains import KNOWN_STAINS, stain_weights, unit
from pipelines.study.base import NonNegative
from pipelines.study.problems import Problem, error, warning
from segmentation.catalogue import COMPACT

if TYPE_CHECKING:
    from pipelines.study.model import Study

Colours = tuple[NonNegative, NonNegative, NonNegative]
StainName = Literal["haematoxylin", "hematoxylin", "dab", "fast_red", "eosin", "lipofuscin"]
Weights = tuple[float, float, float]
MOST_STAINS = 3
PIGMENT = "lipofuscin"


def weights_of(stains: Mapping[str, StainName | Colours]) -> dict[str, Weights]:
    """Weights of red, green and blue that tell each stain from all others.

    Lipofuscin lies too near to a mixture of haematoxylin and DAB to be a third of them. It lies in
    granules, whose surroundings take off the haematoxylin that is there, and so is told from the
    stain alone that it is most like; the stains are told from each other as without it.

    Args:
        stains: name -> the stain, or its colour; alone, a stain is told from neutral grey.

    Raises:
        ValueError: there are too many, or they are too alike.
    """
    vectors = {name: _vector(stain) for name, stain in stains.items()}
    mixed = {name: vector for name, vector in vectors.items() if stains[name] != PIGMENT}
    if len(mixed) > MOST_STAINS:
        raise ValueError(
            f"stains: {len(mixed)} are given; three colours of a picture tell "
            f"{MOST_STAINS} stains at most"
        )
    found = {}
    for name, vector in vectors.items():
        others = [other for key, other in mixed.items() if key != name]
        told_from = others if name in mixed else sorted(others, key=_likeness(vector))[-1:]
        try:
            red, green, blue = stain_weights(vector, *told_from).tolist()
        except MeasurementError as failure:
            raise ValueError(f"stains.{name}: {failure}") from failure
        found[name] = (red, green, blue)
    return found


def mixed_vectors(stains: Mapping[str, StainName | Colours]) -> list[Colours]:
    """Colours of the stains that are told from each other: all but the pigment."""
    return [_vector(stain) for stain in stains.values() if stain != PIGMENT]


def _likeness(vector: Colours) -> Callable[[Colours], float]:
    """How alike another colour is: the cosine of the angle between them."""
    return lambda other: float(np.dot(unit(vector), unit(other)))


def _vector(stain: StainName | Colours) -> Colours:
    if isinstance(stain, tuple):
        return stain
    return KNOWN_STAINS["haematoxylin" if stain == "hematoxylin" else stain]


def check_stains(stains: Mapping[str, StainName | Colours], channels: Mapping[str, object]) -> None:
    """Refuse stains that no channel can be made from.

    Raises:
        ValueError: see `weights_of`; or no channel is a picture, or has a stain's name.
    """
    if not stains:
        return
    if "rgb" not in channels.values():
        raise ValueError(
            "stains: they are told from a brightfield picture; name it, such as "
            "channels: {picture: rgb}"
        )
    both = [name for name in stains if name in channels]
    if both:
        raise ValueError(f"stains.{both[0]}: a channel has this name, too; give another")
    weights_of(stains)


def stain_problems(study: "Study") -> list[Problem]:
    """What the study should not, or hardly, ask of its stains."""
    if not study.stains:
        return []
    problems = []
    nuclei = study.segmentation.nuclei
    if nuclei is not None and study.channels.get(nuclei.channel) == "rgb":
        text = (
            f"nuclei are looked for in '{nuclei.channel}', whose grey any stain darkens; give the "
            f"stain that nuclei have, one of {', '.join(study.stains)}"
        )
        problems.append(warning("segmentation.nuclei.channel", text))
    problems += [
        warning(
            where,
            f"'{part.channel}' is a stain of a section, and compact learned from few such pictures "
            "(it can miss most nuclei of dense tissue): look at qc/, or take cpsam_v2",
        )
        for where, part in study.cellpose_settings()
        if part.channel in study.stains and part.model == COMPACT
    ]
    for i, measurement in enumerate(study.measurements):
        channel = getattr(measurement, "channel", None)
        if measurement.type == "spots" and nuclei is not None and channel == nuclei.channel:
            text = f"spots are looked for in '{channel}', which nuclei are found in; give the dots'"
            problems.append(error(f"measurements.{i}.channel", text))
        if channel in study.stains and getattr(measurement, "stack", None) is not None:
            text = f"'{channel}' is a stain of a picture, which has one plane; leave stack out"
            problems.append(error(f"measurements.{i}.stack", text))
    return problems
