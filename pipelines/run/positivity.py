"""Positive cells: thresholds from the study's own cells, and what decided each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.columns import Column
from measurements.gating import Gate, control_percentile, fixed, otsu, positive, two_component
from pipelines.errors import StudyError
from pipelines.study.csv_table import Value
from pipelines.study.design import selected
from pipelines.study.messages import nearest
from pipelines.study.model import Positivity, Statistics, Study
from pipelines.study.samples import ImageRow
from pipelines.tables import append_arrow

SEED = 0
THRESHOLD_COLUMNS = (
    "name",
    "of",
    "rule",
    "by",
    "batch",
    "left_out_unit",
    "threshold",
    "ci_low",
    "ci_high",
    "n_cells",
    "alpha",
    "observed_control_fraction",
    "note",
)

Part = tuple[ImageRow, NDArray[np.float64]]
"""An image and its cells' values of the column that a rule is about."""


@dataclass(frozen=True)
class GateKey:
    """Which cells a threshold is for.

    Attributes:
        name: of the positivity rule.
        batch: value of the rule's `by` column; None where there is one threshold for all.
        left_out: unit that the threshold judges without having been derived from it; None for all
            other units.
    """

    name: str
    batch: Value
    left_out: Value


@dataclass(frozen=True)
class Gates:
    """Every threshold of a study.

    Attributes:
        study: the rules.
        decided: the thresholds.
    """

    study: Study
    decided: Mapping[GateKey, Gate]

    def gate_of(self, name: str, row: ImageRow) -> Gate:
        """The threshold of rule `name` for the cells of one image."""
        rule = self.study.positivity[name]
        batch = row.sample[rule.by] if rule.by else None
        unit = row.sample[self.study.statistics.unit] if self.study.statistics else None
        own = self.decided.get(GateKey(name, batch, unit))
        return own if own is not None else self.decided[GateKey(name, batch, None)]

    def rows(self) -> list[dict[str, object]]:
        """One row a threshold, for tables/thresholds.csv."""
        return [
            {
                "name": key.name,
                "of": self.study.positivity[key.name].of,
                "rule": gate.rule,
                "by": self.study.positivity[key.name].by,
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


def decide_gates(study: Study, images: Sequence[tuple[ImageRow, Path]]) -> Gates:
    """Derive every threshold of the study from its cells.

    Args:
        study: the rules and the design.
        images: images with the Parquet file of their rows.

    Raises:
        StudyError: a rule names a column that the cells table does not have.
    """
    decided: dict[GateKey, Gate] = {}
    for name, rule in study.positivity.items():
        _check_column(name, rule, images)
        # Read once: with one unit left out at a time the same cells decide many thresholds.
        parts = [(row, _column(path, rule.of)) for row, path in images]
        for batch in _levels(rule.by, parts):
            members = [p for p in parts if rule.by is None or p[0].sample[rule.by] == batch]
            decided[GateKey(name, batch, None)] = _gate(rule, members, study.statistics)
            for unit in _reference_units(rule, study.statistics, members):
                others = [p for p in members if p[0].sample[_unit(study)] != unit]
                decided[GateKey(name, batch, unit)] = _gate(rule, others, study.statistics)
    return Gates(study, decided)


def gate_cells(table: pa.Table, row: ImageRow, gates: Gates) -> pa.Table:
    """Add NAME_positive for every rule to one image's rows; null where a threshold was refused."""
    for name, rule in gates.study.positivity.items():
        gate = gates.gate_of(name, row)
        table = append_arrow(table, _definition(name, rule), _called(table, rule, gate))
    return table


def _called(table: pa.Table, rule: Positivity, gate: Gate) -> pa.Array:
    """Whether each cell is positive; null where it has no value or the threshold was refused."""
    if np.isnan(gate.threshold):
        return pa.nulls(table.num_rows, pa.bool_())
    values = table.column(rule.of).to_numpy().astype(np.float64)
    return pa.array(positive(values, gate), mask=np.isnan(values))


def _gate(rule: Positivity, parts: Sequence[Part], design: Statistics | None) -> Gate:
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


def _column(path: Path, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = pq.read_table(path, columns=[name]).column(0).to_numpy()
    return values.astype(np.float64)


def _values(
    parts: Sequence[Part], design: Statistics | None
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """The column's values, and for each cell its unit (its image, where no unit is known)."""
    values = [v for _, v in parts]
    names = [str(row.sample[design.unit]) if design else row.image_id for row, _ in parts]
    units = [np.full(len(v), name) for v, name in zip(values, names, strict=True)]
    if not values:
        return np.zeros(0), np.zeros(0, dtype=np.str_)
    return np.concatenate(values), np.concatenate(units)


def _reference_units(
    rule: Positivity, design: Statistics | None, parts: Sequence[Part]
) -> list[Value]:
    """Units that are controls of the gate and reference of a test, if there are at least two.

    Each is gated by the others: a unit judged by a percentile of itself has its positive fraction
    pinned there.
    """
    if rule.rule != "control_percentile" or design is None or not design.reference:
        return []
    rows = selected([row for row, _ in parts], rule.controls)
    units = list(dict.fromkeys(row.sample[design.unit] for row in selected(rows, design.reference)))
    return units if len(units) >= 2 else []


def _levels(by: str | None, parts: Sequence[Part]) -> list[Value]:
    return list(dict.fromkeys(row.sample[by] for row, _ in parts)) if by else [None]


def _unit(study: Study) -> str:
    assert study.statistics is not None  # there are reference units only with a design
    return study.statistics.unit


def _check_column(name: str, rule: Positivity, images: Sequence[tuple[ImageRow, Path]]) -> None:
    if not images:
        return
    known = pq.read_schema(images[0][1]).names
    if rule.of not in known:
        raise StudyError(
            f"positivity.{name}.of: the cells table has no column '{rule.of}'; "
            f"{nearest(rule.of, known)}"
        )


def _definition(name: str, rule: Positivity) -> Column:
    controls = ", ".join(f"{k} {v}" for k, v in rule.controls.items())
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
