"""The two worked studies of docs/: simulated cells of known truth, put through a run's own tables.

They start where an image has been measured, at one row a cell, since pixels of a hundred images
would take hours; gates, aggregates, tests, power and report are those of every run.

    python -m tests.worked_studies werner --output werner
    python -m tests.worked_studies liver --output liver --null
"""

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from measurements.columns import Column
from pipelines.run.image import _stamps, write_marker
from pipelines.run.layout import Layout
from pipelines.run.steps import RunSummary, finish, prepare
from pipelines.run.task import ImageOutcome
from pipelines.tables import arrow_table, write_parquet

START = """
samples: samples.csv
channels: {dapi: 0}
pixel_size_um: 0.65
segmentation:
  nuclei: {channel: dapi, diameter_um: 17}
measurements: [{type: morphology}]
"""
WERNER = """study: werner-msc
title: SA-β-Gal and γH2AX foci of MSC of seven Werner and seven healthy donors (simulated)
""" + START + """positivity:
  beta_gal: {of: beta_gal_mean_od, rule: control_percentile, controls: {genotype: healthy}}
statistics:
  unit: donor
  factors: [genotype]
  reference: {genotype: healthy}
  random: [clone]
  outcomes: [beta_gal_positive, gh2ax_foci_count, nucleus_solidity]
"""  # fmt: skip
LIVER = """study: liver-secondary
title: Cdkn1a in marker-negative hepatocytes under MEK1 and MKK6 (simulated)
""" + START + """positivity:
  cdkn1a: {of: cdkn1a_nucleus_mean, rule: control_percentile, controls: {treatment: none},
           percentile: 99}
statistics:
  unit: animal
  factors: [model, treatment]
  reference: {treatment: vehicle}
  outcomes:
    - {of: cdkn1a_positive, within: {reporter_class: negative}}
  contrasts:
    - {within: {model: MEK1}, compare: {treatment: [il1r1_inhibitor, vehicle]}}
    - {within: {model: MEK1}, compare: {treatment: [clodronate, vehicle]}}
    - {within: {model: MKK6}, compare: {treatment: [il1r1_inhibitor, vehicle]}}
    - {within: {model: MKK6}, compare: {treatment: [clodronate, vehicle]}}
"""  # fmt: skip

# Share of Cdkn1a-positive cells among marker-negative ones: each inhibitor works in one model.
SECONDARY = {
    ("MEK1", "vehicle"): 0.20,
    ("MEK1", "il1r1_inhibitor"): 0.08,
    ("MEK1", "clodronate"): 0.20,
    ("MKK6", "vehicle"): 0.20,
    ("MKK6", "il1r1_inhibitor"): 0.20,
    ("MKK6", "clodronate"): 0.08,
}
Values = Mapping[str, np.ndarray]
Cells = Callable[[np.random.Generator, Mapping[str, str], bool], Values]


@dataclass(frozen=True)
class Worked:
    """A worked study: its file, its images, and the cells of one of them."""

    text: str
    rows: Sequence[Mapping[str, str]]
    cells: Cells


def werner(seed: int) -> Worked:
    """Seven donors a genotype, two clones each, two fields a clone."""
    rng = np.random.default_rng([seed, 1])
    rows = []
    for genotype, code in (("healthy", "h"), ("werner", "w")):
        for donor in (f"{code}{number}" for number in range(1, 8)):
            own = rng.normal(0, 0.3, 2)
            for clone in (f"{donor}c{number}" for number in (1, 2)):
                od, foci = own + rng.normal(0, 0.12, 2)
                names = {"genotype": genotype, "donor": donor, "clone": clone}
                rows += [
                    {**names, "field": field, "_od": str(od), "_foci": str(foci)}
                    for field in ("1", "2")
                ]
    return Worked(WERNER, rows, _werner_cells)


def _werner_cells(rng: np.random.Generator, row: Mapping[str, str], null: bool) -> Values:
    ill = row["genotype"] == "werner" and not null
    n = int(rng.integers(25, 45))
    stained = rng.random(n) < (0.35 if ill else 0.0)
    od = np.exp(float(row["_od"]) + rng.normal(-3, 0.4, n) + 1.6 * stained)
    mean = (6.0 if ill else 3.0) * np.exp(float(row["_foci"]))
    foci = rng.negative_binomial(2, 2 / (2 + mean), n)
    return {"beta_gal_mean_od": od, "gh2ax_foci_count": foci.astype(np.uint32)}


def liver(seed: int) -> Worked:
    """Eight animals an arm and four without doxycycline, two sections each.

    The four are controls of the gate alone: `none` is no arm that is compared.
    """
    rng = np.random.default_rng([seed, 2])
    arms = [(m, t, 8) for m, t in SECONDARY] + [("MEK1", "none", 4), ("MKK6", "none", 4)]
    rows = []
    for model, treatment, animals in arms:
        for animal in (f"{model}-{treatment}-{number}" for number in range(1, animals + 1)):
            own = str(rng.normal(0, 0.3))
            names = {"model": model, "treatment": treatment, "animal": animal}
            rows += [{**names, "section": section, "_own": own} for section in ("1", "2")]
    return Worked(LIVER, rows, _liver_cells)


def _liver_cells(rng: np.random.Generator, row: Mapping[str, str], null: bool) -> Values:
    dox = row["treatment"] != "none"
    n = int(rng.integers(90, 150))
    primary = rng.random(n) < (0.15 if dox else 0.0)
    share = SECONDARY[row["model"], "vehicle" if null else row["treatment"]] if dox else 0.0
    logit = np.log(share / (1 - share)) + float(row["_own"]) if dox else -np.inf
    positive = rng.random(n) < np.where(primary, 0.9, 1 / (1 + np.exp(-logit)))
    grey = np.exp(rng.normal(5, 0.3, n) + 1.5 * positive)
    classes = np.where(primary, "primary", "negative")
    return {"cdkn1a_nucleus_mean": grey, "reporter_class": classes}


STUDIES = {"werner": werner, "liver": liver}
SEEDS = {"werner": 1, "liver": 2}
"""Of a study that is not among the one in twenty that err; the documents say which others do."""


def run_worked(
    name: str, folder: Path, *, null: bool = False, seed: int | None = None
) -> RunSummary:
    """Write a worked study into `folder`, with its measured cells, and finish it as a run does.

    Args:
        name: ``werner`` or ``liver``.
        folder: made where missing.
        null: without any effect, donors and animals as different as before.
        seed: of all chance; one of `SEEDS` where None.
    """
    seed = SEEDS[name] if seed is None else seed
    worked = STUDIES[name](seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(worked.text, encoding="utf-8")
    names = [f"image{number:03d}" for number in range(len(worked.rows))]
    columns = [column for column in worked.rows[0] if not column.startswith("_")]
    with (folder / "samples.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *columns])
        for image, row in zip(names, worked.rows, strict=True):
            writer.writerow([f"{image}.tif", *(row[column] for column in columns)])
            # Stands for the pixels, which are not simulated: only its header is read.
            tifffile.imwrite(folder / f"{image}.tif", np.zeros((32, 32), np.uint16))
    plan = prepare(folder / "study.yaml", folder / "results")
    outcomes = []
    for number, (task, row) in enumerate(zip(plan.tasks, worked.rows, strict=True)):
        values = worked.cells(np.random.default_rng([seed, 3, number]), row, null)
        n = len(next(iter(values.values())))
        rng = np.random.default_rng([seed, 4, number])
        table = arrow_table({**_nuclei(rng, n), **{_column(k): v for k, v in values.items()}})
        write_parquet(Layout(plan.output).cells_part(task.row.image_id), table)
        size = {"height_px": 32, "width_px": 32, "pixel_size_um": 0.65, "flags": "", "warnings": ""}
        write_marker(task, _stamps(task, None), n, None, size, {}, {})
        outcomes.append(ImageOutcome(task.row.image_id, "measured", n, 0.0))
    return finish(plan, outcomes, lambda tasks: [])


def _nuclei(rng: np.random.Generator, n: int) -> dict[Column, np.ndarray]:
    """What every run measures, the same in every group."""
    return {
        Column("cell_id", "key", "uint32", "Id.", "labels", aggregate=False): np.arange(
            1, n + 1, dtype=np.uint32
        ),
        Column("nucleus_area_um2", "µm²", "float64", "Area.", "simulated"): rng.normal(250, 40, n),
        Column("nucleus_solidity", "1", "float64", "Area / convex area.", "simulated"): (
            0.95 + rng.normal(0, 0.01, n)
        ),
        Column("dapi_nucleus_brightness", "a.u.", "float64", "Brightness.", "simulated"): (
            rng.normal(900, 80, n)
        ),
        Column("touches_border", "flag", "bool", "Cut by the edge.", "simulated"): np.zeros(
            n, bool
        ),
    }


def _column(name: str) -> Column:
    units = {"gh2ax_foci_count": "count", "reporter_class": "key"}
    dtype = {"gh2ax_foci_count": "uint32", "reporter_class": "str"}.get(name, "float64")
    unit = units.get(name, "a.u." if name.endswith("mean") else "1")
    return Column(name, unit, dtype, f"{name}, simulated.", "simulated", aggregate=unit != "key")


def main() -> None:
    """Run one of the studies and say where its report is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--null", action="store_true", help="without any effect")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    done = run_worked(options.study, options.output, null=options.null, seed=options.seed)
    print(f"{done.n_images} images, {done.n_cells} cells: {done.report}")  # noqa: T201


if __name__ == "__main__":
    main()
