"""tables/power.csv: what a next experiment of a given size would find.

The question is never which power this study had for the difference that it saw, which only says
its p-value again (Hoenig & Heisey 2001, Am. Stat. 55:19), but which difference other numbers of
units, images and cells would find.
"""

from pathlib import Path

import numpy as np
import polars as pl

from measurements.columns import Column
from pipelines.statistics.measured import measure
from pipelines.statistics.moments import COUNTED, IMAGE, MEAN
from pipelines.statistics.plans import components_of, plan_of, resampled, test_of
from pipelines.statistics.power import Components, Plan, detectable
from pipelines.statistics.regated import percentile_gate, regated
from pipelines.statistics.results import joined
from pipelines.statistics.table import Row, find_outcome, outcomes_of
from pipelines.statistics.unit_values import section_value
from pipelines.study.model import OutcomeWithin, Statistics, Study

FEW_DF = 20
"""Degrees of freedom below which a variance is badly known [judgement]: at 20 the upper 80 % limit
of the SD is 1.17 times the estimate."""
UNITS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30, 50)
SAMPLINGS = {
    "as in this study": (1.0, 1.0),
    "half the images": (0.5, 1.0),
    "twice the images": (2.0, 1.0),
    "ten times the cells": (1.0, 10.0),
}
"""Name -> factors to the images of a unit and to the cells of an image."""
EXACT_GATE = (
    "the plan takes the gate as exact and the test does not: less is found than planned, the fewer "
    "units set the gate"
)
GROWTH = {
    "none": "the same in all groups",
    "mean": "in proportion to a group's mean",
    "odds": "in proportion to m(1 - m) of a group's fraction m",
}
CHANCE = ", and what counting so many cells leaves to chance"

SOURCE = "pipelines.statistics.power"
PLAN = "noncentral t (Cohen 1988, ch. 2; Welch 1947) with variance components by REML"


def _text(name: str, meaning: str) -> Column:
    return Column(name, "key", "str", meaning, SOURCE, aggregate=False)


def _count(name: str, meaning: str) -> Column:
    return Column(name, "count", "int64", meaning, SOURCE)


def _number(name: str, unit: str, meaning: str, source: str) -> Column:
    return Column(name, unit, "float64", meaning, source)


OF_OUTCOME = "unit of the outcome"
POWER_COLUMNS = (
    _text("outcome", "What would be compared, as in statistics.csv."),
    _text("within", "Cells that count; empty for all."),
    _text("unit", "The replicate: what is counted as n."),
    _text("test", "Test that is planned for: of two groups of units, or within blocks."),
    _text("sampling", "Images and cells of a unit, against those of this study."),
    _count("n_units", "Units of each group; blocks that hold both sides, in a blocked design."),
    _number("n_images_per_unit", "count", "Images of a unit.", SOURCE),
    _number("n_cells_per_image", "count", "Cells with a value in an image.", SOURCE),
    _text("components", "SD of each level in this study, from the unit down to the cell."),
    _number("sd_of_unit_means", OF_OUTCOME, "SD between means of units so sampled, in the "
            "reference group.", "sum of the levels' variances, each divided by its members in a "
            "unit"),
    _text("sd_assumed", "What the plan takes the SD of the other group to be."),
    _number("detectable_80", OF_OUTCOME, "Smallest increase (from a fraction above 0.5: decrease) "
            "that 80 of 100 such experiments would find at p < 0.05; empty where so few units find "
            "none, however large.", PLAN),
    _number("detectable_90", OF_OUTCOME, "The same for 90 of 100.", PLAN),
    _number("detectable_80_cautious", OF_OUTCOME, "detectable_80 with the SD at its upper 80 % "
            "limit, since few units tell it badly.", "Browne 1995 (Stat. Med. 14:1933)"),
    _number("mean", OF_OUTCOME, "Mean of the reference group's units; of all groups, without one.",
            "mean"),
    _number("detectable_80_relative", "1", "detectable_80 as a share of that mean.", PLAN),
    _text("note", "What limits the plan; why there is none, where there is none."),
)  # fmt: skip


def power_rows(study: Study, cells: Path) -> list[Row]:
    """Plan a next experiment for every outcome of a study.

    Args:
        study: its design; without statistics there are no rows.
        cells: tables/cells.parquet.

    Returns:
        For each outcome one row a number of units (`UNITS`) and sampling (`SAMPLINGS`), with
        `POWER_COLUMNS`; a row that says why, where its variances cannot be told.
    """
    design = study.statistics
    if design is None or not cells.is_file():
        return []
    return [row for name in outcomes_of(study) for row in _planned(name, study, design, cells)]


def _planned(
    named: OutcomeWithin | str, study: Study, design: Statistics, cells: Path
) -> list[Row]:
    outcome = find_outcome(named, cells)
    if isinstance(outcome, str):
        return _of_sections(named, design, cells)
    base: Row = {"outcome": outcome.column, "within": outcome.subset, "unit": design.unit}
    flags = study.exclude.flags
    measured = measure(outcome, design, cells, flags, may_log=False)
    components = components_of(measured, design)
    if isinstance(components, str):
        return [base | {"note": components}]
    rule = percentile_gate(outcome, study)
    refolded = None if rule is None else regated(measured, design, rule, cells, flags)
    plan = plan_of(measured, design, components, refolded)
    limit = EXACT_GATE if rule is not None and plan.gate is None else ""
    return [base | {"test": test_of(plan)} | row for row in _rows(components, plan, limit)]


def _of_sections(named: OutcomeWithin | str, design: Statistics, cells: Path) -> list[Row]:
    """The plan of a value of whole sections, or why there is none."""
    found = section_value(named, cells, design) if isinstance(named, str) else None
    if found is None:
        return []  # statistics.csv says that there is no such column
    base: Row = {"outcome": found.outcome.column, "within": "", "unit": design.unit}
    df = found.units.height - len(found.groups)
    if design.blocks or df < 1:
        why = "blocks of values of sections are not planned" if design.blocks else "too few units"
        return [base | {"note": f"{why}: nothing to plan with"}]
    spread = found.units.group_by(design.factors).agg(
        (pl.col(MEAN).var(ddof=0) * pl.len()).alias("squares")
    )
    n_images = found.units["n_images"].to_numpy()
    variance = float(spread["squares"].to_numpy().sum()) / df
    if variance == 0:
        return [base | {"note": "the units of each group are all equal: nothing to plan with"}]
    components = Components(
        variances={design.unit: variance},
        cells=0.0,
        members={IMAGE: float(n_images.mean())},
        cells_per_image=float(found.units[COUNTED].to_numpy().sum() / n_images.sum()),
        df=df,
        paired=False,
    )
    plan = plan_of(found, design, components)
    return [base | {"test": test_of(plan)} | row for row in _rows(components, plan)]


def _rows(components: Components, plan: Plan, limit: str = "") -> list[Row]:
    """Rows of a plan; `limit` is what else limits it, in words."""
    levels = {**components.variances, "cell": components.cells}
    words = "; ".join(f"{name} {np.sqrt(variance):.3g}" for name, variance in levels.items())
    note = joined(
        f"variances from {components.df} degrees of freedom: plan with the cautious column"
        if components.df < FEW_DF
        else "",
        ""
        if IMAGE in components.variances
        else "images of a unit cannot be told from the unit: what more images bring is not known",
        limit,
    )
    images, cells = components.members[IMAGE], components.cells_per_image
    found: list[Row] = []
    for name, (more_images, more_cells) in SAMPLINGS.items():
        sampled = (images * more_images, cells * more_cells)
        if sampled[0] < 1:
            continue
        sampling = resampled(plan, components, *sampled)
        same: Row = {
            "sampling": name,
            "n_images_per_unit": sampled[0],
            "n_cells_per_image": sampled[1],
            "components": words,
            "sd_assumed": GROWTH[plan.growth] + (CHANCE if plan.chance else ""),
            "mean": plan.mean,
            "note": note,
        }
        found += [same | _found(sampling, components.cautious, units) for units in UNITS]
    return found


def _found(plan: Plan, cautious: float, units: int) -> Row:
    """What an experiment of this size would find."""
    at_80 = detectable(plan, units)
    relative = None if at_80 is None or plan.mean == 0 else at_80 / abs(plan.mean)
    return {
        "n_units": units,
        "sd_of_unit_means": plan.sd(plan.mean),
        "detectable_80": at_80,
        "detectable_90": detectable(plan, units, 0.9),
        "detectable_80_cautious": detectable(plan.varying(cautious), units),
        "detectable_80_relative": relative,
    }
