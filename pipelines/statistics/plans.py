"""What this study says of the next: how units vary in each group, and what its test adds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.statistics import unit_fractions, unit_means
from pipelines.statistics.cell_models import variance_components
from pipelines.statistics.comparisons import Comparison, comparisons, same_level
from pipelines.statistics.measured import Measured, unit_keys, units_of
from pipelines.statistics.moments import COUNTED, IMAGE, MEAN
from pipelines.statistics.power import Components, Growth, Plan, grown
from pipelines.study.model import Statistics

Floats = NDArray[np.float64]


def components_of(measured: Measured, design: Statistics) -> Components | str:
    """How much each level varies, on the outcome's own scale; or why that cannot be told.

    The scale is that of the tests of unit means, also where the model of cells takes logarithms.

    Args:
        measured: the outcome, not as logarithms.
        design: the study's.
    """
    if not measured.groups:
        return "no cell has a value: nothing to plan with"
    fit = variance_components(measured, design)
    if isinstance(fit, str):
        return fit.replace("no test", "nothing to plan with")
    return Components(
        variances=dict(zip(measured.random, map(float, fit.variances), strict=True)),
        cells=fit.residual,
        members=_members(measured, unit_keys(design)),
        cells_per_image=float(measured.images[COUNTED].cast(pl.Float64).to_numpy().mean()),
        df=fit.estimates.df,
        paired=design.blocks is not None,
    )


def _members(measured: Measured, keys: Sequence[str]) -> dict[str, float]:
    """Members of every level in a unit, the mean over units; images always among them."""
    levels = dict.fromkeys((*measured.random[1:], IMAGE))
    counted = measured.images.group_by(keys).agg(pl.col(name).n_unique() for name in levels)
    return {name: float(counted[name].to_numpy().mean()) for name in levels}


def plan_of(
    measured: Measured,
    design: Statistics,
    components: Components,
    refolded: Floats | str | None = None,
) -> Plan:
    """The plan for as many images and cells as this study had.

    The variances are those of all groups together. They are taken to be the mean over units of
    what each group's own variance would be if it followed the group's mean as `Growth` says.

    Args:
        measured: the outcome, not as logarithms.
        design: the study's.
        components: of the outcome.
        refolded: what `regated` gives, where a percentile of control cells is the gate. Where it is
            words, or no comparison tells the gate's error, the plan has none.
    """
    growth = _growth(measured)
    units = units_of(measured, design)
    means = [units.of(group).mean() for group in range(len(units.names))]
    typical = np.sqrt(np.mean([grown(means[group], growth) ** 2 for group in units.groups]))
    now = components.sd_of_unit_means(components.members[IMAGE], components.cells_per_image)
    plan = Plan(
        mean=_mean(measured, design),
        spread=now / float(typical) if typical > 0 else 0.0,
        growth=growth,
        paired=components.paired,
    )
    if plan.spread > 0 and refolded is not None and not isinstance(refolded, str):
        plan = replace(plan, gate=_gate(measured, design, plan, refolded))
    if growth != "odds" or plan.gate is not None:
        return plan  # what a gate adds was told with the chance of the cells in it
    between = components.sd_between(components.members[IMAGE])
    return replace(
        plan,
        spread=between / float(typical) if typical > 0 else 0.0,
        chance=1 / (components.members[IMAGE] * components.cells_per_image),
    )


def resampled(plan: Plan, components: Components, images: float, cells: float) -> Plan:
    """The plan for units of other numbers of images, and of cells in each."""
    usual = components.members[IMAGE]
    if plan.chance:
        now, then = components.sd_between(usual), components.sd_between(images)
        spread = plan.spread * then / now if now else plan.spread
        return replace(plan, spread=spread, chance=1 / (images * cells))
    now = components.sd_of_unit_means(usual, components.cells_per_image)
    return plan.varying(components.sd_of_unit_means(images, cells) / now if now else 1.0)


def test_of(plan: Plan) -> str:
    """Name of the test that a plan is for, as in statistics.csv."""
    if plan.gate is not None:
        return unit_fractions.GATED_PAIRS if plan.paired else unit_fractions.GATED
    if plan.paired:
        return unit_means.PAIRED
    return unit_fractions.TEST if plan.growth == "odds" else unit_means.TEST


def _growth(measured: Measured) -> Growth:
    """How the SD follows the mean, by what the outcome is."""
    if measured.outcome.kind == "flag":
        return "odds"
    lowest = measured.units[MEAN] if measured.images.is_empty() else measured.images["smallest"]
    if measured.outcome.kind == "count" or bool((lowest > 0).all()):
        return "mean"
    return "none"


def _mean(measured: Measured, design: Statistics) -> float:
    """Mean of the reference group's units; of all units, where no group is the reference."""
    units = measured.units
    for factor, level in design.reference.items():
        named = [name for name in units[factor].unique() if same_level(name, level)]
        units = units.filter(pl.col(factor).is_in(named))
    chosen = units if units.height else measured.units
    return float(chosen[MEAN].to_numpy().mean())


def _gate(
    measured: Measured, design: Statistics, plan: Plan, refolded: Floats
) -> tuple[float, float] | None:
    """Factors to the SDs of the reference and of the other group, over this study's comparisons."""
    factors = [
        found
        for comparison in comparisons(design, measured.groups)
        if len(comparison.first) == 1
        and (found := _gate_of(comparison, measured, design, plan, refolded)) is not None
    ]
    if not factors:
        return None
    reference, other = np.sqrt(np.mean(np.square(factors), axis=0))
    return float(reference), float(other)


def _gate_of(
    comparison: Comparison, measured: Measured, design: Statistics, plan: Plan, refolded: Floats
) -> tuple[float, float] | None:
    units = units_of(measured, design)
    cells = measured.units[COUNTED].to_numpy().astype(np.float64)
    weights = comparison.weights(measured.groups)
    gated = unit_fractions.compare_gated(units, weights, cells, refolded)
    if gated.test == unit_fractions.GATED:
        groups = (weights.index(1.0), weights.index(-1.0))
        first, second = unit_fractions.gated_sds(units, groups, cells, refolded)
        return second / plan.spread, first / plan.spread
    if gated.test == unit_fractions.GATED_PAIRS:
        given = unit_fractions.compare(units, weights)
        wider = (gated.ci_high - gated.ci_low) / (given.ci_high - given.ci_low)
        return wider, wider
    return None
