"""Nuclear translocation on the whole SBS plate, through `senescope run` itself.

    uv run python -m tests.benchmarks.translocation [--data DIR] [--output DIR] [--workers N]

The plate (96 wells, a GFP-tagged protein and a DNA stain) is the one that CellProfiler ships as
its SBS example. Each well is one unit; its value is the median over its cells, since a ratio has a
long tail where the cytoplasm is nearly empty.

Two outcomes: the ratio of nucleus to cytoplasm above background, and the translocation index
(ratio - 1) / (ratio + 1), the same order of cells on a bounded scale. Z' is a figure of one scale
and differs between them; rank correlation hardly does.

* Z' = 1 - 3 (SD of positives + SD of negatives) / |difference of means|, over the control wells
  (Zhang, Chung & Oldenburg 1999, J Biomol Screen 4:67).
* Spearman's rho of the wells' values with the dose, over the 72 dosed wells that are no control.

The gate: a cell is positive above the 95th percentile of the cells of the 16 negative control
wells. Each of these is judged by the other 15, so that its positive fraction says how far 5 % hold
in a well that the gate has not seen.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from pipelines.console import run_with_progress
from pipelines.run.layout import Layout

DATA = Path(__file__).parents[3] / "shared" / "data"
RATIO = "gfp_nucleus_cytoplasm_ratio"
INDEX = "gfp_translocation_index"
OBSERVED = "translocated_positive_fraction"
CORRECTED = "translocated_positive_corrected_fraction"
STUDY = """
study: translocation-plate
samples: {table}
channels: {{dna: 0, gfp: 0}}
pixel_size_um: unknown
segmentation:
  nuclei: {{channel: dna, model: compact, diameter_px: 24}}
  cells: {{method: expand, distance_px: 6}}
  cytoplasm: {{gap_px: 1, width_px: 5}}
measurements:
  - {{type: intensity, channel: gfp, compartments: [nucleus, cytoplasm], background: field}}
positivity:
  translocated: {{of: gfp_translocation_index, controls: {{control: -1}}, percentile: 95}}
statistics: {{unit: well, factors: [dose], reference: {{dose: 0}}}}
roots: [{roots}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    output = arguments.output or Path(tempfile.mkdtemp(prefix="translocation-"))
    plate = (arguments.data / "translocation_plate").resolve()
    study = write_study(plate, output)
    run_with_progress(study, output / "results", workers=arguments.workers)
    wells = read_wells(Layout(output / "results").table("images"))
    print("Translocation of GFP into the nucleus, 96 wells of the SBS plate; one value a well.")
    ratio, index = (report(wells, outcome) for outcome in (RATIO, INDEX))
    gate = report_gate(wells, Layout(output / "results").table("thresholds"))
    print(
        "\nBeside it: a crude Otsu-and-ring measure on the same wells, Z' 0.61 and Spearman 0.92;"
    )
    print("the nuclear to cytoplasmic GFP ratio of BBBC013, which has this plate's layout, as the")
    print("OpenHCS authors' trial of 2026 reports it: Z' 0.751 (wortmannin) and 0.554 (LY294002).")
    print(json.dumps({**index, "ratio": ratio, "gate": gate}))


def write_study(plate: Path, output: Path) -> Path:
    """A study of the plate where it lies."""
    output.mkdir(parents=True, exist_ok=True)
    with (plate / "wells.csv").open(newline="") as file:
        wells = list(csv.DictReader(file))
    with (output / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_gfp", "image_dna", "well", "dose", "control"])
        for well in wells:
            name = f"{int(well['ImageNumber']):02d}-{well['Row']}-{well['Column']}.tif"
            files = [plate / f"Channel{channel}-{name}" for channel in (1, 2)]
            place = well["Row"] + well["Column"]
            writer.writerow([*files, place, well["SBS_Doses"], well["SBS_Controls"]])
    study = output / "study.yaml"
    roots = ", ".join(json.dumps(str(path)) for path in (plate, output.resolve()))
    study.write_text(STUDY.format(table="samples.csv", roots=roots))
    return study


def read_wells(images: Path) -> list[dict[str, float]]:
    """Dose, control and the outcomes' medians in every well."""
    with images.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {"dose": float(row["dose"]), "control": float(row["control"]), "upper": row["well"] < "E"}
        | {outcome: float(row[f"{outcome}_median"]) for outcome in (RATIO, INDEX)}
        | {name: float(row[name]) for name in (OBSERVED, CORRECTED)}
        for row in rows
    ]


def report(wells: list[dict[str, float]], outcome: str) -> dict[str, float]:
    """Print the dose response of one outcome; return its figures."""
    dose = np.array([well["dose"] for well in wells])
    control = np.array([well["control"] for well in wells])
    value = np.array([well[outcome] for well in wells])
    print(f"\n{outcome}: mean and SD of the wells' medians by dose")
    for level in np.unique(dose):
        of_level = value[dose == level]
        mean, sd = of_level.mean(), of_level.std(ddof=1)
        print(f"  {level:4.0f}  {mean:6.3f}  {sd:6.3f}  n {of_level.size}")
    upper = np.array([well["upper"] for well in wells], dtype=bool)
    for rows, half in (("A-D", upper), ("E-H", ~upper)):
        one = z_prime(value[(control == 1) & half], value[(control == -1) & half])
        print(f"  Z' in rows {rows} alone {one:.3f}")
    figures = {
        "z_prime": z_prime(value[control == 1], value[control == -1]),
        "spearman": float(spearmanr(dose[control == 0], value[control == 0]).statistic),
        "wells": len(wells),
    }
    print(
        f"  Z' {figures['z_prime']:.3f}, Spearman over {int((control == 0).sum())} dosed wells "
        f"{figures['spearman']:.3f}"
    )
    return figures


def report_gate(wells: list[dict[str, float]], thresholds: Path) -> dict[str, float]:
    """Print the threshold and the positive fractions by dose; return their figures."""
    with thresholds.open(newline="") as file:
        gates = list(csv.DictReader(file))
    [gate] = [row for row in gates if not row["left_out_unit"]]
    apart = [float(row["threshold"]) for row in gates if row["left_out_unit"]]
    dose, control, observed, corrected = (
        np.array([well[name] for well in wells])
        for name in ("dose", "control", OBSERVED, CORRECTED)
    )
    print(
        f"\nGate at {float(gate['threshold']):.3f} ({float(gate['ci_low']):.3f} to "
        f"{float(gate['ci_high']):.3f}) from {gate['n_cells']} cells of {(control == -1).sum()} "
        f"wells; leaving one well out {min(apart):.3f} to {max(apart):.3f}"
    )
    print("positive cells by dose: observed, corrected, SD of wells")
    for level in np.unique(dose):
        mine = dose == level
        sd = observed[mine].std(ddof=1)
        print(
            f"  {level:4.0f}  {observed[mine].mean():6.1%}  {corrected[mine].mean():6.1%}  {sd:.1%}"
        )
    negative, positive = observed[control == -1], observed[control == 1]
    return {
        "threshold": float(gate["threshold"]),
        "ci_low": float(gate["ci_low"]),
        "ci_high": float(gate["ci_high"]),
        "control_cells": int(gate["n_cells"]),
        "negative_observed": float(negative.mean()),
        "negative_corrected": float(corrected[control == -1].mean()),
        "negative_sd": float(negative.std(ddof=1)),
        "positive_observed": float(positive.mean()),
        "positive_sd": float(positive.std(ddof=1)),
        "z_prime": z_prime(positive, negative),
        "spearman": float(spearmanr(dose[control == 0], observed[control == 0]).statistic),
    }


def z_prime(positive: np.ndarray, negative: np.ndarray) -> float:
    """Zhang et al. 1999, equation 5."""
    spread = 3 * (positive.std(ddof=1) + negative.std(ddof=1))
    return float(1 - spread / abs(positive.mean() - negative.mean()))


if __name__ == "__main__":
    main()
