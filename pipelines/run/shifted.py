"""Images all of whose cells differ from a gate's controls, said at the end of a run.

A marker rises in cells that express it and leaves the others where the controls are. Light that is
no marker, such as the autofluorescence of old cells, raises all of them over the gate; a channel
that was exposed less, or that shows no cells, takes all of them off it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from measurements.gating import MIN_CELLS
from pipelines.run.parts import Part
from pipelines.study.controls import STAINED
from pipelines.study.design import selected
from pipelines.study.model import Positivity, Study
from pipelines.words import counted, some

Values = NDArray[np.float64]
OF_LIGHT = ("_above_background", "_unmixed")
"""Ends of the names of columns that hold light of a channel or a reporter."""
DIM, BRIGHT = 0.1, 0.9
"""Quantiles of an image's cells that stand for nearly all of them [judgement]."""
RAISED = (
    "brighter than the middle one of the controls: a marker in all cells, or autofluorescence or "
    "background, which a gate takes for it; compare with unlabelled cells of the same treatment"
)
LOWERED = (
    "darker than nine in ten of the controls: does the channel show these cells, in the exposure "
    "of the controls?"
)


def shift_warnings(study: Study, parts: Sequence[Part], apart: Sequence[Part]) -> list[str]:
    """What gates by control cells are to be read with.

    Args:
        study: the settings, the reporters' gates among the rules of positivity.
        parts: the images.
        apart: control images that are in no table.
    """
    return [
        f"{name}: nearly all cells of {counted(len(images), 'image')} ({some(images)}) are {text}"
        for name, rule in study.positivity.items()
        if rule.rule == "control_percentile" and rule.of.endswith(OF_LIGHT)
        for text, images in _shifted(rule, study, parts, apart).items()
        if images
    ]


def _shifted(
    rule: Positivity, study: Study, parts: Sequence[Part], apart: Sequence[Part]
) -> Mapping[str, list[str]]:
    """Images whose cells are nearly all brighter or darker than the controls of their batch."""
    among = [*parts, *apart] if STAINED in rule.controls else parts
    ids = {row.image_id for row in selected([p.row for p in among], rule.controls)}
    flags = study.exclude.flags
    controls: dict[object, list[Values]] = {}
    for part in among:
        if part.image_id in ids:
            controls.setdefault(_level(part, rule), []).append(_kept(part, rule.of, flags))
    batches = {level: np.concatenate(values) for level, values in controls.items()}
    found: dict[str, list[str]] = {RAISED: [], LOWERED: []}
    for part in parts:
        usual = batches.get(_level(part, rule), np.zeros(0))
        own = _kept(part, rule.of, flags)
        if part.image_id in ids or min(own.size, usual.size) < MIN_CELLS:
            continue
        if np.quantile(own, DIM) > np.median(usual):
            found[RAISED].append(part.image_id)
        elif np.quantile(own, BRIGHT) < np.quantile(usual, DIM):
            found[LOWERED].append(part.image_id)
    return found


def _level(part: Part, rule: Positivity) -> object:
    return part.row.sample.get(rule.by or "")


def _kept(part: Part, column: str, exclude: Sequence[str]) -> Values:
    values = part.values(column)[part.kept(exclude)]
    return values[np.isfinite(values)]
