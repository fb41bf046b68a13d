"""Class error of reporter cells, by what spoils them. Simulation only.

    uv run python -m tests.benchmarks.reporters [--fields N]

Fields of mCherry and GFP cells whose classes are known, with the true outlines of their cells: this
measures unmixing, gates and classes, not segmentation. Each condition has control slides of its
own (unlabelled, and one dye each), fields of cells without reporters, which set the gate, and
mixed fields, which are classified. Seeds are 100 and up; the method was tuned on seeds 0 to 15.

* values: median of the cytoplasm's pixels less the local background, haze taken off
* unmixing: DAPI, GFP, mCherry and p21 channels, autofluorescence as a dye of its own
* gate: 99.5th percentile of cells without reporters, which alone calls about 1 % of the negative
  cells positive in one of two channels; the other rules beside it

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

from measurements.background import BackgroundSettings, background_pixels, estimate_background
from measurements.gating import Gate, control_percentile, otsu, two_component
from measurements.haze import HazeSettings, estimate_haze
from measurements.regions import Regions
from measurements.reporters import UNASSIGNED, autofluorescent, class_counts, classify
from measurements.slopes import Resampling
from measurements.unmixing import (
    Unmixing,
    UnmixingSettings,
    estimate_unmixing,
    unmix,
)
from pipelines.simulate.optics import bleed_through_matrix
from pipelines.simulate.reporters import (
    DYES,
    ReporterSettings,
    simulate_reporter_controls,
    simulate_reporters,
)
from pipelines.simulate.scene import Simulated

Floats = NDArray[np.float64]
REPORTERS = ("gfp", "mcherry")
CLASSES = {
    "negative": ["mcherry-", "gfp-"],
    "primary": ["mcherry+", "gfp-"],
    "secondary": ["mcherry-", "gfp+"],
    "double": ["mcherry+", "gfp+"],
}
HEADLINE = "bleed 15 %, unequal"
NO_INTERVALS = UnmixingSettings(resampling=Resampling(n_boot=0))
FIRST_SEED = 100
CONTROL_FIELDS = 6
"""240 cells: a 99.5th percentile needs 200."""


@dataclass(frozen=True)
class Fields:
    """Simulated images of one condition.

    Attributes:
        controls: unlabelled, only_gfp, and so on.
        without: cells without reporters.
        mixed: cells to classify.
    """

    controls: Mapping[str, Simulated]
    without: Sequence[Simulated]
    mixed: Sequence[Simulated]


@dataclass(frozen=True)
class Slides:
    """Values of the cells of one condition, (cells, channels).

    Attributes:
        controls: unlabelled, only_gfp, and so on.
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
    return Fields(
        controls=simulate_reporter_controls(settings, FIRST_SEED + 900),
        without=[simulate_reporters(without, FIRST_SEED + 500 + i) for i in range(CONTROL_FIELDS)],
        mixed=[simulate_reporters(settings, seed) for seed in seeds],
    )


def slides_of(fields: Fields, *, with_haze: bool = False) -> Slides:
    """Measure all cells; haze is taken off, or left in to see what it does."""
    used = ("unlabelled", "only_dapi", *(f"only_{dye}" for dye in REPORTERS))
    names = fields.mixed[0].truth["cells"]
    return Slides(
        controls={name: measure(fields.controls[name], with_haze) for name in used},
        without=np.concatenate([measure(field, with_haze) for field in fields.without]),
        mixed=np.concatenate([measure(field, with_haze) for field in fields.mixed]),
        truth={n: np.concatenate([f.truth["cells"][n] for f in fields.mixed]) for n in names},
    )


def measure(field: Simulated, with_haze: bool) -> Floats:
    """Median of the cytoplasm above the local background in every channel."""
    nuclei, cells = field.labels["nuclei"], field.labels["cells"]
    ids = np.asarray(field.truth["cells"]["label"], dtype=np.uint32)
    settings = BackgroundSettings(gap=3, width=10)
    around = background_pixels(cells, ids, settings)
    cytoplasm = Regions.of(np.where(nuclei > 0, 0, cells), ids)
    values = []
    for channel in DYES:
        image = field.channels[channel].astype(np.float64)
        if not with_haze:
            image -= estimate_haze(image, cells, HazeSettings()).light
        level = estimate_background(image, around, settings).level
        values.append(cytoplasm.median(cytoplasm.gather(image)) - level)
    return np.column_stack(values)


def unmixing_of(slides: Slides) -> Unmixing:
    dark = np.concatenate([slides.controls["unlabelled"], slides.controls["only_dapi"]])
    single = {dye: slides.controls[f"only_{dye}"] for dye in REPORTERS}
    return estimate_unmixing(DYES, single, dark, NO_INTERVALS)


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
    own = [DYES.index(dye) for dye in REPORTERS]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=9, help="mixed fields of the headline")
    fields = parser.parse_args().fields
    started = time.perf_counter()
    print("Simulation only: no real cells. True outlines of cells; GFP 4 times as bright.")
    figures = {}
    for name, settings in conditions().items():
        images = simulate(settings, fields if name == HEADLINE else max(1, fields // 3))
        figures[name] = report(name, slides_of(images))
        if name == HEADLINE:
            hazy = slides_of(images, with_haze=True)
            with_haze = errors(hazy, unmixing_of(hazy))
            print("  the same with the haze left in:")
            for rule, error in with_haze.items():
                print(f"  {rule:16s} class error {error:.4f}")
    result: dict[str, object] = {n: round(v, 4) for n, v in figures[HEADLINE].items()}
    result["haze_left_in"] = round(with_haze["percentile 99.5"], 4)
    result["by_condition"] = {n: round(f["class_error"], 4) for n, f in figures.items()}
    result["simulation_only"] = True
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
