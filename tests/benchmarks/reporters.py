"""Class error of reporter cells, by what spoils them. Simulation only.

    uv run python -m tests.benchmarks.reporters [--fields N]

Fields of mCherry and GFP cells whose classes are known, measured by the functions that a run uses,
with true outlines of cells and nuclei: this judges measuring, unmixing, gates and classes, not
segmentation. Each condition has control slides of its own (the nuclear stain alone, and one dye
each beside it), fields of cells without reporters, which set the gate, and mixed fields, which are
classified. Seeds are 100 and up; the method was tuned on seeds 0 to 15.

* values: median of the cytoplasm's pixels less the local background, haze taken off
* unmixing: DAPI, GFP and mCherry channels, autofluorescence as a dye of its own
* gate: 99.5th percentile of cells without reporters, which alone calls about 1 % of the negative
  cells positive in one of two channels; the other rules beside it
* outlines: what is left where cells are not outlined, with the true nuclei and haze left in

A class is wrong where it is not the true one of primary, secondary, double and negative.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from measurements.gating import Gate, control_percentile, otsu, two_component
from measurements.reporter_classes import UNASSIGNED
from measurements.reporters import RAW, autofluorescent, class_counts, classify
from measurements.slopes import Resampling
from measurements.unmixing import (
    Unmixing,
    UnmixingSettings,
    estimate_unmixing,
    unmix,
)
from pipelines.field import Labels, Pixels, measure_field
from pipelines.field.reporters import reporter_compartment
from pipelines.simulate.optics import bleed_through_matrix
from pipelines.simulate.reporters import (
    ReporterSettings,
    reporter_controls,
    simulate_reporters,
)
from pipelines.simulate.scene import Simulated
from pipelines.study import parse_study
from pipelines.study.settings import ExpandedCells, NucleiAsCells, VoronoiCells
from segmentation.cells import expand_nuclei, voronoi

Floats = NDArray[np.float64]
REPORTERS = ("gfp", "mcherry")
CHANNELS = (*REPORTERS, "dapi")
UNLABELLED = "only_dapi"
CLASSES = {
    "negative": ["mcherry-", "gfp-"],
    "primary": ["mcherry+", "gfp-"],
    "secondary": ["mcherry-", "gfp+"],
    "double": ["mcherry+", "gfp+"],
}
HEADLINE = "bleed 15 %, unequal"
NO_INTERVALS = UnmixingSettings(resampling=Resampling(n_boot=0))
STUDY = """
study: benchmark
samples: samples.csv
channels: {{dapi: 0, gfp: 1, mcherry: 2, p21: 3}}
segmentation: {{nuclei: {{channel: dapi, diameter_um: 14}}, cells: {cells}}}
measurements: [{{type: reporters, channels: [gfp, mcherry], bleed_through: c.csv, haze: {haze}}}]
"""
MODEL = "{method: cellpose, channel: gfp, diameter_um: 28}"
TRUE_OUTLINES = "true outlines"
OUTLINES = {
    TRUE_OUTLINES: {"cells": MODEL, "haze": "true"},
    "true outlines, haze left in": {"cells": MODEL, "haze": "false"},
    "nuclei expanded by 3 µm": {"cells": "{method: expand, distance_um: 3}", "haze": "false"},
    "nuclei expanded by 6 µm": {"cells": "{method: expand, distance_um: 6}", "haze": "false"},
    "expanded by 6 µm, haze off": {"cells": "{method: expand, distance_um: 6}", "haze": "true"},
    "voronoi up to 12 µm": {"cells": "{method: voronoi, limit_um: 12}", "haze": "false"},
    "nuclei alone": {"cells": "{method: nuclei}", "haze": "false"},
}
FIRST_SEED = 100
CONTROL_FIELDS = 6
"""240 cells: a 99.5th percentile needs 200."""
UNLABELLED_FIELDS = 3
"""120 cells: a few of a hundred are autofluorescent, and without one they cannot be told."""


@dataclass(frozen=True)
class Fields:
    """Simulated images of one condition.

    Attributes:
        controls: only_dapi, only_gfp and only_mcherry.
        without: cells without reporters.
        mixed: cells to classify.
    """

    controls: Mapping[str, Sequence[Simulated]]
    without: Sequence[Simulated]
    mixed: Sequence[Simulated]


@dataclass(frozen=True)
class Slides:
    """Values of the cells of one condition, (cells, channels).

    Attributes:
        controls: only_dapi, only_gfp and only_mcherry.
        without: cells without reporters.
        mixed: cells to classify.
        truth: columns of the mixed cells.
    """

    controls: Mapping[str, Floats]
    without: Floats
    mixed: Floats
    truth: Mapping[str, NDArray]


def conditions() -> dict[str, ReporterSettings]:
    """A smaller field of 40 cells; unequal means GFP four times as bright as mCherry."""
    base = ReporterSettings()
    base = replace(
        base,
        scene=replace(base.scene, height=700, width=700),
        nuclei=replace(base.nuclei, count=40),
        expression=replace(base.expression, reporter_e=(1000.0, 250.0)),
    )
    leaky = replace(base, bleed_through=bleed_through_matrix(4, 0.15))
    return {
        HEADLINE: leaky,
        "no bleed, unequal": base,
        "bleed 30 %, unequal": replace(base, bleed_through=bleed_through_matrix(4, 0.30)),
        "15 % of cells autofluorescent": replace(
            leaky, expression=replace(leaky.expression, bright_fraction=0.15)
        ),
        "light falls off by 40 %": replace(leaky, scene=replace(leaky.scene, falloff=0.4)),
    }


def simulate(settings: ReporterSettings, fields: int) -> Fields:
    expression = settings.expression
    nobody = replace(expression, primary_fraction=0.0, secondary_fraction=0.0, double_fraction=0.0)
    without = replace(settings, expression=nobody)
    seeds = range(FIRST_SEED, FIRST_SEED + fields)
    slides = reporter_controls(settings)
    counts = {UNLABELLED: UNLABELLED_FIELDS} | dict.fromkeys((f"only_{d}" for d in REPORTERS), 1)
    return Fields(
        controls={
            name: [
                simulate_reporters(slides[name], FIRST_SEED + 900 + 10 * k + i)
                for i in range(count)
            ]
            for k, (name, count) in enumerate(counts.items())
        },
        without=[simulate_reporters(without, FIRST_SEED + 500 + i) for i in range(CONTROL_FIELDS)],
        mixed=[simulate_reporters(settings, seed) for seed in seeds],
    )


def slides_of(fields: Fields, outlines: str = TRUE_OUTLINES) -> Slides:
    """Measure all cells, with one of `OUTLINES`."""
    names = fields.mixed[0].truth["cells"]

    def values(images: Sequence[Simulated]) -> Floats:
        return np.concatenate([measure(image, outlines) for image in images])

    return Slides(
        controls={name: values(images) for name, images in fields.controls.items()},
        without=values(fields.without),
        mixed=values(fields.mixed),
        truth={n: np.concatenate([f.truth["cells"][n] for f in fields.mixed]) for n in names},
    )


def measure(field: Simulated, outlines: str) -> Floats:
    """Values of every cell as a run measures them, (cells, CHANNELS)."""
    study = parse_study(STUDY.format(**OUTLINES[outlines]), "study")
    nuclei, cells = field.labels["nuclei"], field.labels["cells"]
    size = field.pixel_size_um
    settings = study.segmentation.cells
    if isinstance(settings, ExpandedCells):
        cells = expand_nuclei(nuclei, settings.in_px("distance", size)).cell
    elif isinstance(settings, VoronoiCells):
        cells = voronoi(nuclei, settings.in_px("limit", size)).cell
    elif isinstance(settings, NucleiAsCells):
        cells = nuclei
    pixels = Pixels("field", field.channels, None, size, ())
    measured = measure_field(pixels, Labels(nuclei, cells, None), study, None).cells
    values = {column.name: found for column, found in measured.items()}
    compartment = reporter_compartment(study.segmentation)
    columns = [RAW.name.format(channel=c, compartment=compartment) for c in CHANNELS]
    return np.column_stack([values[name] for name in columns])


def unmixing_of(slides: Slides) -> Unmixing:
    single = {dye: slides.controls[f"only_{dye}"] for dye in REPORTERS}
    return estimate_unmixing(CHANNELS, single, slides.controls[UNLABELLED], NO_INTERVALS)


def named(
    values: Floats, without: Floats, rule: Callable[[Floats, Floats], Gate]
) -> NDArray[np.str_] | None:
    """Classes by one rule, values being (cells, REPORTERS); None where it refused."""
    gates = [rule(values[:, i], without[:, i]) for i in range(2)]
    if any(np.isnan(gate.threshold) for gate in gates):
        return None
    flags = {
        dye: np.where(np.isnan(values[:, i]), np.nan, values[:, i] > gates[i].threshold)
        for i, dye in enumerate(REPORTERS)
    }
    return classify(flags, CLASSES)


RULES: dict[str, Callable[[Floats, Floats], Gate]] = {
    "percentile 99.5": lambda _, c: control_percentile(c, percentile=99.5, seed=0, n_boot=0),
    "percentile 95": lambda _, c: control_percentile(c, percentile=95, seed=0, n_boot=0),
    "two_component": lambda v, _: two_component(v, seed=0, n_boot=0),
    "otsu": lambda v, _: otsu(v, seed=0, n_boot=0),
}


def errors(slides: Slides, unmixing: Unmixing | None) -> dict[str, float]:
    """Share of cells in a wrong class by rule; NaN where the rule refused."""
    own = [CHANNELS.index(dye) for dye in REPORTERS]
    values, without = slides.mixed[:, own], slides.without[:, own]
    if unmixing is not None:
        values, without = (unmix(v, unmixing)[:, :2] for v in (slides.mixed, slides.without))
    found = {name: named(values, without, rule) for name, rule in RULES.items()}
    truth = slides.truth["reporter_class"]
    return {n: float("nan") if c is None else float(np.mean(c != truth)) for n, c in found.items()}


def report(name: str, slides: Slides) -> dict[str, float]:
    """Print one condition; return its figures."""
    unmixing = unmixing_of(slides)
    truth = slides.truth
    n_cells = len(truth["label"])
    with_unmixing, raw = errors(slides, unmixing), errors(slides, None)
    lit = truth["autofluorescent"].astype(bool)
    flagged = autofluorescent(unmix(slides.mixed, unmixing), unmixing)
    print(f"\n{name}: {n_cells} cells, {len(slides.without)} without reporters")
    print(f"  condition number {unmixing.condition_number:.2f}; S (channels x dyes):")
    for channel, row in zip(unmixing.channels, unmixing.matrix, strict=True):
        print(f"    {channel:8s}", " ".join(f"{value:7.3f}" for value in row))
    for rule in RULES:
        print(f"  {rule:16s} class error {with_unmixing[rule]:.4f}, not unmixed {raw[rule]:.4f}")
    print(
        f"  autofluorescent cells flagged {np.mean(flagged[lit]):.2f} of {lit.sum()}, "
        f"others {np.mean(flagged[~lit]):.3f}"
    )
    confusion(slides, unmixing)
    wrong = round(with_unmixing["percentile 99.5"] * n_cells)
    interval = binomtest(wrong, n_cells).proportion_ci(method="wilson")
    return {
        "class_error": with_unmixing["percentile 99.5"],
        "two_component": with_unmixing["two_component"],
        "not_unmixed": raw["percentile 99.5"],
        "autofluorescent_found": float(np.mean(flagged[lit])),
        "n_cells": n_cells,
        "class_error_ci_low": interval.low,
        "class_error_ci_high": interval.high,
    }


def confusion(slides: Slides, unmixing: Unmixing) -> None:
    values, without = (unmix(v, unmixing)[:, :2] for v in (slides.mixed, slides.without))
    classes = named(values, without, RULES["percentile 99.5"])
    assert classes is not None
    print("  true class, found by percentile 99.5:", " ".join(f"{n:>10s}" for n in CLASSES))
    for true in CLASSES:
        counts = class_counts(classes[slides.truth["reporter_class"] == true], CLASSES)
        assert counts[UNASSIGNED] == 0
        print(f"  {true:>38s}", " ".join(f"{counts[found]:10d}" for found in CLASSES))


def by_outlines(images: Fields) -> dict[str, dict[str, float]]:
    """Class errors by rule where cells are outlined in other ways, or the gate by unlabelled cells.

    Returns:
        Outlines -> rule -> error.
    """
    print(f"\n{HEADLINE}, by outlines; percentile 99.5, two_component, otsu:")
    found = {}
    for name in OUTLINES:
        slides = slides_of(images, name)
        error = errors(slides, unmixing_of(slides))
        found[name] = {rule: error[rule] for rule in ("percentile 99.5", "two_component", "otsu")}
        print(f"  {name:30s}", " ".join(f"{value:7.4f}" for value in found[name].values()))
        if name == TRUE_OUTLINES:
            bare = replace(slides, without=slides.controls[UNLABELLED])
            dark = errors(bare, unmixing_of(slides))["percentile 99.5"]
            print(f"  {'the same, unlabelled gate':30s} {dark:7.4f}")
            found["gate from unlabelled cells"] = {"percentile 99.5": dark}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=9, help="mixed fields of the headline")
    fields = parser.parse_args().fields
    started = time.perf_counter()
    print("Simulation only: no real cells. True outlines of cells; GFP 4 times as bright.")
    figures: dict[str, dict[str, float]] = {}
    outlined: dict[str, dict[str, float]] = {}
    for name, settings in conditions().items():
        images = simulate(settings, fields if name == HEADLINE else max(1, fields // 3))
        figures[name] = report(name, slides_of(images))
        if name == HEADLINE:
            outlined = by_outlines(images)
    result: dict[str, object] = {n: round(v, 4) for n, v in figures[HEADLINE].items()}
    result["by_condition"] = {n: round(f["class_error"], 4) for n, f in figures.items()}
    result["by_outlines"] = {
        name: {rule: round(error, 4) for rule, error in found.items()}
        for name, found in outlined.items()
    }
    result["simulation_only"] = True
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
