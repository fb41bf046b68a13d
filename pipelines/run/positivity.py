"""Positive cells: thresholds from the study's own cells, and what decided each of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from measurements.columns import Column
from measurements.gating import (
    MIN_CELLS,
    OTSU_NO_VALLEY,
    Gate,
    control_percentile,
    fixed,
    otsu,
    positive,
    two_component,
)
from pipelines.errors import StudyError
from pipelines.run.parts import Part
from pipelines.study.base import Scalar
from pipelines.study.controls import STAINED
from pipelines.study.csv_table import Value
from pipelines.study.design import selected
from pipelines.study.messages import nearest
from pipelines.study.model import Positivity, Statistics, Study
from pipelines.study.row import ImageRow

SEED = 0
GATE = "measurements.gating"


def _key(name: str, meaning: str) -> Column:
    return Column(name, "key", "str", meaning, "study file", aggregate=False)


def _number(name: str, unit: str, meaning: str, source: str = GATE) -> Column:
    return Column(name, unit, "float64", meaning, source)


THRESHOLD_COLUMNS = (
    _key("name", "Positivity rule (the cells' column is NAME_positive), CHANNEL_foci, or "
         "CHANNEL_molecules."),
    _key("of", "Column of the cells table, or of the foci table, that the threshold is set on."),
    _key("rule", "How it was decided: control_percentile, two_component, otsu or fixed; of foci: "
         "parting, control_texture or fixed; of molecules: single_molecule or fixed."),
    _key("controls", "Sample columns and values of the control images."),
    _key("by", "Sample column of batches, where each has a threshold of its own."),
    _key("batch", "The batch that it is for; empty where there is one for all."),
    _key(
        "left_out_unit",
        "Control unit (block, in a design with blocks) that it judges and was not derived from; "
        "empty for all others.",
    ),
    _number("threshold", "unit of the column",
            "Cells above it are positive, and peaks foci; of molecules the light of one; "
            "empty if refused."),
    _number("ci_low", "unit of the column", "Lower end of its 95 % interval.",
            "bootstrap of whole units; Hesterberg 2015 (Am. Stat. 69:371)"),
    _number("ci_high", "unit of the column", "Upper end of its 95 % interval.",
            "bootstrap of whole units; Hesterberg 2015 (Am. Stat. 69:371)"),
    Column("n_cells", "count", "int64", "Cells that it was derived from, excluded ones left out.",
           GATE),
    _number("alpha", "1", "Share of negative cells expected above it.", "1 - percentile / 100"),
    _number("observed_control_fraction", "1", "Share of those control cells above it.", GATE),
    _key("note", "Why there is none, or what to bear in mind."),
)  # fmt: skip

Values = tuple[ImageRow, NDArray[np.float64]]
"""An image and its kept cells' values of the column that a rule is about."""


@dataclass(frozen=True)
class GateKey:
    """Which cells a threshold is for.

    Attributes:
        name: of the positivity rule.
        batch: value of the rule's `by` column; None where there is one threshold for all.
        left_out: unit, or block where the design has blocks, that the threshold judges without
            having been derived from it; None for all others.
    """

    name: str
    batch: Value
    left_out: Value


@dataclass(frozen=True)
class Gates:
    """Every threshold of a study.

    Attributes:
        rules: by their names.
        judged_by: sample column of what is gated by the others, see `judged_by`; empty without
            statistics.
        decided: the thresholds.
    """

    rules: Mapping[str, Positivity]
    judged_by: str
    decided: Mapping[GateKey, Gate]

    def alphas(self) -> dict[str, float]:
        """Flag column -> share of negative cells above its threshold, where its rule sets it."""
        return {
            f"{name}_positive": (100 - rule.percentile) / 100
            for name, rule in self.rules.items()
            if rule.rule == "control_percentile"
        }

    def gate_of(self, name: str, row: ImageRow) -> Gate:
        """The threshold of rule `name` for the cells of one image."""
        rule = self.rules[name]
        batch = row.sample[rule.by] if rule.by else None
        member = row.sample.get(self.judged_by)
        own = self.decided.get(GateKey(name, batch, member))
        return own if own is not None else self.decided[GateKey(name, batch, None)]

    def warnings(self) -> list[str]:
        """Thresholds that are missing, rest on hardly a cell or may split one population."""
        return [
            f"{key.name}{f' of {key.batch}' if key.batch is not None else ''}: "
            + (f"no threshold, so that {key.name}_positive is empty: " if refused else "")
            + gate.note
            for key, gate in self.decided.items()
            if key.left_out is None and gate.rule != "fixed"
            if (refused := bool(np.isnan(gate.threshold)))
            or gate.n_cells < MIN_CELLS
            or OTSU_NO_VALLEY in gate.note
        ]

    def rows(self) -> list[dict[str, object]]:
        """One row a threshold, for tables/thresholds.csv."""
        return [
            {
                "name": key.name,
                "of": self.rules[key.name].of,
                "rule": gate.rule,
                "controls": in_words(self.rules[key.name].controls),
                "by": self.rules[key.name].by,
                "batch": key.batch,
                "left_out_unit": key.left_out,
                "threshold": gate.threshold,
                "ci_low": gate.ci_low,
                "ci_high": gate.ci_high,
                "n_cells": gate.n_cells,
                "alpha": gate.alpha,
                "observed_control_fraction": gate.observed_control_fraction,
                "note": gate.note,
            }
            for key, gate in self.decided.items()
        ]


def decide_gates(study: Study, parts: Sequence[Part], apart: Sequence[Part] = ()) -> Gates:
    """Derive every threshold of the study from its cells, those that it excludes left out.

    Args:
        study: the rules and the design.
        parts: the images.
        apart: control images that are in no table, which a rule's controls may select.

    Raises:
        StudyError: a rule names a column that the cells table does not have.
    """
    decided: dict[GateKey, Gate] = {}
    column = judged_by(study.statistics)
    kept = [part.kept(study.exclude.flags) for part in parts] if study.positivity else []
    for name, rule in study.positivity.items():
        _check_column(name, rule, parts)
        # Read once: with one unit left out at a time the same cells decide many thresholds.
        read = [(p.row, p.values(rule.of)[k]) for p, k in zip(parts, kept, strict=True)]
        read_apart = _controls_apart(rule, apart, study.exclude.flags)
        for batch in _levels(rule.by, read):
            members, outside = (
                [p for p in some if rule.by is None or p[0].sample[rule.by] == batch]
                for some in (read, read_apart)
            )
            decided[GateKey(name, batch, None)] = _gate(rule, members + outside, study.statistics)
            for member in _judged_by_others(rule, study.statistics, members):
                others = [p for p in members if p[0].sample[column] != member]
                decided[GateKey(name, batch, member)] = _gate(rule, others, study.statistics)
    return Gates(study.positivity, column, decided)


def positive_columns(part: Part, gates: Gates) -> Iterable[tuple[Column, pa.Array]]:
    """NAME_positive of every rule for one image; null where a threshold was refused."""
    for name, rule in gates.rules.items():
        gate = gates.gate_of(name, part.row)
        yield _definition(name, rule), _called(part.values(rule.of), gate)


def _called(values: NDArray[np.float64], gate: Gate) -> pa.Array:
    """Whether each cell is positive; null where it has no value or the threshold was refused."""
    if np.isnan(gate.threshold):
        return pa.nulls(values.size, pa.bool_())
    return pa.array(positive(values, gate), mask=np.isnan(values))


def _gate(rule: Positivity, parts: Sequence[Values], design: Statistics | None) -> Gate:
    if rule.rule == "fixed":
        assert rule.value is not None  # held by Positivity
        return fixed(rule.value)
    if rule.rule == "control_percentile":
        rows = selected([row for row, _ in parts], rule.controls)
        ids = {row.image_id for row in rows}
        parts = [part for part in parts if part[0].image_id in ids]
    values, units = _values(parts, design)
    if rule.rule == "control_percentile":
        return control_percentile(values, percentile=rule.percentile, seed=SEED, units=units)
    decide = two_component if rule.rule == "gmm" else otsu
    return decide(values, seed=SEED, units=units)


def _controls_apart(
    rule: Positivity, apart: Sequence[Part], exclude: Sequence[str]
) -> list[Values]:
    """Cells of the control images in no table, where the rule's controls are among these."""
    if STAINED not in rule.controls:
        return []
    ids = {row.image_id for row in selected([part.row for part in apart], rule.controls)}
    chosen = [part for part in apart if part.image_id in ids]
    return [(part.row, part.values(rule.of)[part.kept(exclude)]) for part in chosen]


def _values(
    parts: Sequence[Values], design: Statistics | None
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """The column's values, and for each cell its unit (its image, where no unit is known)."""
    values = [v for _, v in parts]
    named = [row.sample.get(design.unit) if design else None for row, _ in parts]
    names = [
        row.image_id if name is None else str(name)
        for name, (row, _) in zip(named, parts, strict=True)
    ]
    units = [np.full(len(v), name) for v, name in zip(values, names, strict=True)]
    if not values:
        return np.zeros(0), np.zeros(0, dtype=np.str_)
    return np.concatenate(values), np.concatenate(units)


def _judged_by_others(
    rule: Positivity, design: Statistics | None, parts: Sequence[Values]
) -> list[Value]:
    """Units that are controls of the gate and reference of a test, if there are at least two.

    Each is gated by the others: a unit judged by a percentile of itself has its positive fraction
    pinned there.
    """
    column = judged_by(design)
    if rule.rule != "control_percentile" or design is None or not design.reference:
        return []
    rows = selected([row for row, _ in parts], rule.controls)
    found = list(dict.fromkeys(row.sample[column] for row in selected(rows, design.reference)))
    return found if len(found) >= 2 else []


def judged_by(design: Statistics | None) -> str:
    """Sample column of what a gate's own controls are left out for: the unit, or its whole block.

    Both sides of a pair must meet the same threshold, or their difference would hold the control's
    deviation twice: 18 % of paired null studies then gave p < 0.05.
    """
    return (design.blocks or design.unit) if design else ""


def _levels(by: str | None, parts: Sequence[Values]) -> list[Value]:
    return list(dict.fromkeys(row.sample[by] for row, _ in parts)) if by else [None]


def _check_column(name: str, rule: Positivity, parts: Sequence[Part]) -> None:
    known = parts[0].names if parts else [rule.of]
    if rule.of not in known:
        raise StudyError(
            f"positivity.{name}.of: the cells table has no column '{rule.of}'; "
            f"{nearest(rule.of, known)}"
        )


def in_words(controls: Mapping[str, Scalar]) -> str:
    """Sample columns and values that select images, as tables have them."""
    return ", ".join(f"{column} {value}" for column, value in controls.items())


def _definition(name: str, rule: Positivity) -> Column:
    controls = in_words(rule.controls)
    how = {
        "control_percentile": f"percentile {rule.percentile:g} of the control cells ({controls})",
        "gmm": "crossing of a two-component mixture of log values",
        "otsu": "Otsu's threshold on the log scale",
        "fixed": f"fixed threshold {rule.value}",
    }[rule.rule]
    return Column(
        f"{name}_positive", "flag", "bool", f"{rule.of} above the {how}.",
        "measurements.gating; thresholds in tables/thresholds.csv",
    )  # fmt: skip
