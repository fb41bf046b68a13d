"""What the columns of zonation.csv and of the cells' zones are."""

from collections.abc import Sequence

from measurements.columns import Column
from pipelines.study.zonation import UNASSIGNED, Zonation

ZONES = "measurements.zones"


def cell_columns(names: Sequence[str]) -> list[Column]:
    """Columns of the cells: zone, score, confidence, and a flag for each zone and for none.

    Args:
        names: of the three zones along the axis.
    """
    flags = [
        Column(f"zone_{name}", "flag", "bool", f"The cell lies in the zone {name}.", ZONES)
        for name in names
    ]
    without = "Too little is expressed about the cell to tell its zone."
    return [
        Column("zone", "key", "str", f"Zone: {', '.join(names)} or unassigned.", ZONES,
               aggregate=False),
        _number("zone_score", "1", f"({names[0]} - {names[2]}) / ({names[0]} + {names[2]}) of what "
                "the cell's surroundings express, each over the reference's strong level."),
        _number("zone_confidence", "1", "Probability that the score lies on this side of the "
                "nearest cut-off."),
        *flags,
        Column(f"zone_{UNASSIGNED}", "flag", "bool", without, ZONES),
    ]  # fmt: skip


def _number(name: str, unit: str, meaning: str, source: str = ZONES) -> Column:
    return Column(name, unit, "float64", meaning, source)


def section_columns(settings: Zonation) -> list[Column]:
    """Columns of zonation.csv behind the counts."""
    names = [zone for zone, _ in settings.three]
    unit = "count" if settings.values == "counts" else "a.u."
    shares = [
        _number(f"{name}_fraction", "1", f"Share of cells that are {name}.")
        for name in (*names, "unassigned")
    ]
    levels = [
        _number(f"{name}_expression", unit, f"Mean of the genes of {name} in its own cells.")
        for name in names
    ]
    counts = [Column(f"{n}_n", "count", "int64", f"Cells that are {n}.", ZONES) for n in names]
    return [
        *counts,
        *shares,
        *levels,
        _number("zone_log2_expression", "log2", "Mean over zones of log2 of that, as a share of "
                "the reference's strong level: 1 less where all zone genes are halved."),
        _number("zone_order", "1", "Correlation of a cell's own score with its neighbours', counts "
                "thinned to 30 % of the reference's: 0 where zones are mixed throughout. Of "
                "intensities, noise lowers it too."),
        _number("zone_coherence", "1", "Share of neighbouring cells in the same zone, less that of "
                "cells at random, over its largest value.", "Cohen's kappa (Cohen 1960, Educ. "
                "Psychol. Meas. 20:37)"),
        _number("zone_coherence_by_chance", "1", "The same with values permuted between cells "
                "before smoothing, which alone makes neighbours alike."),
        _number("zone_steepness", "1", f"Fall of the score from {names[0]} to {names[2]} "
                "landmarks, by least squares; empty without landmarks."),
        *(_number(f"{name}_scale", unit, f"Strong level of the genes of {name} in the reference.")
          for name in names),
        _number("cut_low", "1", f"Score below which a cell is {names[2]}."),
        _number("cut_high", "1", f"Score above which a cell is {names[0]}."),
        Column("reference", "key", "str", "Images that set scales and cut-offs.", "study file"),
    ]  # fmt: skip
