"""The demo: small studies that ship with senescope or are simulated, run and reported together."""

import os
from importlib.resources import as_file, files
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape

from pipelines.console import run_with_progress
from pipelines.report import build_report
from pipelines.run.layout import Layout
from pipelines.run.steps import RunSummary
from pipelines.words import counted

REAL = ("nuclei", "h2ax", "translocation")
SIMULATED = {"beta_gal": "SA-β-Gal", "reporters": "mCherry, GFP and p21"}
SEED = 2024
MOST_WORKERS = 2
TITLE = "senescope demo: three small studies of real images and two of simulated ones"


def run_demo(output: Path, workers: int | None = None) -> int:
    """Run the demo's studies and write one report of all.

    Args:
        output: folder of the results, one folder a study inside.
        workers: images worked on at the same time; as many as there are processors, up to two,
            where None.

    Returns:
        Number of images that failed.
    """
    console = Console(stderr=True)
    count = workers or min(MOST_WORKERS, os.cpu_count() or 1)
    summaries = []
    for name in REAL:
        with as_file(files("pipelines.demo") / "data" / name) as folder:
            summaries.append(run_with_progress(folder / "study.yaml", output / name, workers=count))
    for name in SIMULATED:
        study = _simulate(console, output / f"{name}-images", name, count)
        summaries.append(run_with_progress(study, output / name, workers=count))
    report = build_report([s.output for s in summaries], Layout(output.resolve()).report, TITLE)
    _say_what_there_is(console, summaries, report)
    return sum(summary.n_failed for summary in summaries)


def _simulate(console: Console, folder: Path, name: str, workers: int) -> Path:
    """The study file of a simulated study, whose pictures are made now where they are missing."""
    # Imported here: the first image of the others need not wait for it.
    from pipelines.demo.simulated import write_beta_gal
    from pipelines.simulate import write_study

    study = folder / "study.yaml"
    if name == "reporters" and study.is_file():
        return study
    text = f"simulating pictures of {SIMULATED[name]} in {folder}: no real cells"
    console.print(escape(text), highlight=False, soft_wrap=True)
    if name == "reporters":
        return write_study(name, folder, SEED, workers=workers)
    return write_beta_gal(folder, workers)


def _say_what_there_is(console: Console, summaries: list[RunSummary], report: Path) -> None:
    console.print()
    for summary in summaries:
        cells = Layout(summary.output).cells
        columns = len(pq.read_schema(cells).names) if cells.is_file() else 0
        n_cells, n_images = counted(summary.n_cells, "cell"), counted(summary.n_images, "image")
        console.print(
            f"{escape(str(cells))}: {n_cells} of {n_images}, {counted(columns, 'column')}; what "
            "each means is in columns.csv beside it",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Report of all: {escape(str(report))}", highlight=False, soft_wrap=True)
