"""What makes SA-β-Gal of crowded and of sparse cultures differ, said at the end of a run.

A cell's mean density is its amount of stain over its area, and crowded cells are small: where the
control cells of a gate are larger than those that it judges, the same amount of stain is over the
gate. A picture that cells cover shows nothing of its light.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.beta_gal_columns import (
    IMAGE_LENDERS,
    IMAGE_OUTSIDE,
    INTEGRATED,
    LEAST_OUTSIDE,
    MEAN,
    P95,
    STAINED,
    named,
)
from measurements.columns import PX_SUFFIX, UM_SUFFIX
from measurements.gating import MIN_CELLS
from pipelines.run.parts import Part
from pipelines.study.beta_gal import beta_gal_of
from pipelines.study.csv_table import Value
from pipelines.study.design import group_columns, selected
from pipelines.study.model import Positivity, Study
from pipelines.words import some

OVER_AREA = frozenset(named(column, "cell").name for column in (MEAN, P95, STAINED))
"""Columns that the same amount of stain raises where the cell is smaller."""
AMOUNTS = [named(INTEGRATED, "cell").name + suffix[2] for suffix in (UM_SUFFIX, PX_SUFFIX)]
AREA_RATIO = 4 / 3
"""[judgement] Of simulated null cells whose amounts of stain vary by half of their mean, 5 % are
over a gate of larger cells at a ratio of 1, 14 % at 4/3, 24 to 53 % at 2."""


@dataclass(frozen=True)
class Compared:
    """Cells of one group of images beside a gate's controls.

    Attributes:
        name: of the group, in words.
        area_ratio: median area of the controls' cells over that of the group's.
    """

    name: str
    area_ratio: float


def stain_warnings(
    study: Study, parts: Sequence[Part], refused: Mapping[str, str] | None = None
) -> list[str]:
    """What SA-β-Gal of these images is to be read with.

    Args:
        study: the settings.
        parts: the images.
        refused: covered image -> why it was lent no light; see `pipelines.run.borrowed_light`.
    """
    settings = beta_gal_of(study)
    if settings is None or not parts:
        return []
    covered = [] if settings.blank is not None else _covered(parts, refused or {})
    crowded = [
        text
        for name, rule in study.positivity.items()
        if rule.rule == "control_percentile" and rule.of in OVER_AREA
        for text in _crowded(name, rule, study, parts)
    ]
    return [*covered, *crowded]


def _covered(parts: Sequence[Part], refused: Mapping[str, str]) -> list[str]:
    """Images whose light is told by cells, or by other images, if any."""
    shares = [(p, p.marker["summary"].get(IMAGE_OUTSIDE.name)) for p in parts]
    found = [part for part, share in shares if share is not None and share < LEAST_OUTSIDE]
    lit = [p.image_id for p in found if p.marker["summary"].get(IMAGE_LENDERS.name)]
    dark: dict[str, list[str]] = {}
    for part in found:
        if part.image_id not in lit:
            dark.setdefault(refused.get(part.image_id, ""), []).append(part.image_id)
    told = [
        f"beta_gal: {len(names)} of {len(parts)} images are covered by cells ({some(names)}), "
        "which their light is then taken from: stain reads too low, and against control images "
        "with bare background a fifth of unstained cells can read positive; give a blank field"
        + (f" (no light was borrowed from the batch: {why})" if why else "")
        for why, names in dark.items()
    ]
    if lit:
        told.append(
            f"beta_gal: {len(lit)} of {len(parts)} images are covered by cells ({some(lit)}) and "
            "were measured in the light of images of their batch that show background: right if "
            "all were taken with one white balance; give a blank field to be sure"
        )
    return told


def _crowded(name: str, rule: Positivity, study: Study, parts: Sequence[Part]) -> list[str]:
    """Groups whose cells are smaller or larger than the gate's controls, one sentence each."""
    return [
        f"{name}: cells of {group.name} have {1 / group.area_ratio:.2g} times the area of the "
        f"controls, so that the same amount of stain gives a {word} {rule.of} and {outcome}; "
        f"compare with {AMOUNTS[0].removesuffix(UM_SUFFIX[2])}, or with controls as dense"
        for group in _groups(rule, study, parts)
        if max(group.area_ratio, 1 / group.area_ratio) > AREA_RATIO
        for word, outcome in [
            ("higher", "unstained cells read positive")
            if group.area_ratio > 1
            else ("lower", "stained ones are missed")
        ]
    ]


def _groups(rule: Positivity, study: Study, parts: Sequence[Part]) -> list[Compared]:
    """Every group of images in each batch beside the controls of the batch."""
    found = []
    factors = group_columns(study)
    for batch, members in _split(parts, (rule.by,) if rule.by else ()).items():
        ids = {row.image_id for row in selected([p.row for p in members], rule.controls)}
        controls = _areas([p for p in members if p.image_id in ids], study)
        rest = [p for p in members if p.image_id not in ids]
        for levels, images in _split(rest, factors).items():
            areas = _areas(images, study)
            if min(areas.size, controls.size) >= MIN_CELLS:
                words = " ".join(f"{c} {v}" for c, v in zip(factors, levels, strict=True))
                of = f" of {batch[0]}" if batch else ""
                ratio = float(np.median(controls) / np.median(areas))
                found.append(Compared((words or "the other images") + of, ratio))
    return found


def _split(
    parts: Sequence[Part], columns: Sequence[str]
) -> Mapping[tuple[Value, ...], Sequence[Part]]:
    """Images by the values of sample columns, in the order of the sample table."""
    found: dict[tuple[Value, ...], list[Part]] = {}
    for part in parts:
        found.setdefault(tuple(part.row.sample[c] for c in columns), []).append(part)
    return found


def _areas(parts: Sequence[Part], study: Study) -> NDArray[np.float64]:
    """Areas of cells: the amount of stain over its mean density, which every study has."""
    mean, areas = named(MEAN, "cell").name, [np.zeros(0)]
    for part in parts:
        amount = next(name for name in AMOUNTS if name in part.names)
        density = part.values(mean)
        known = part.kept(study.exclude.flags) & np.isfinite(density) & (density != 0)
        areas.append(part.values(amount)[known] / density[known])
    return np.concatenate(areas)
