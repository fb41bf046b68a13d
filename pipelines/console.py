"""What a person sees in the terminal: progress, problems, and what a run left."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipelines.run.steps import Plan, RunSummary, finish, prepare
from pipelines.run.task import ImageOutcome, ImageTask, lost_image, work_on
from pipelines.run.workers import Workers
from pipelines.study.check import Checked

LEVEL_STYLE = {"error": "bold red", "warning": "yellow"}


def run_with_progress(
    study: Path,
    output: Path,
    *,
    workers: int | None = None,
    only: str | None = None,
    restart: bool = False,
) -> RunSummary:
    """Run a study in worker processes, showing how far it is. See `pipelines.run.steps.prepare`."""
    console = Console(stderr=True)
    plan = prepare(study, output, only=only, restart=restart)
    _print_problems(console, plan.checked)
    count = workers or plan.checked.study.compute.workers
    outcomes = _measure(console, plan, count)
    summary = finish(plan, outcomes)
    print_summary(console, summary)
    return summary


def print_check(checked: Checked) -> None:
    """Say all that is wrong with a study and what would be run."""
    console = Console()
    _print_problems(console, checked)
    study, rows = checked.study, checked.samples.rows
    measured = ", ".join(m.type for m in study.measurements)
    models = ", ".join(f"{s.model} on {s.channel}" for _, s in study.cellpose_settings())
    errors = sum(p.level == "error" for p in checked.problems)
    console.print(
        f"{escape(study.study)}: {len(rows)} images, {len(study.channels)} channels; "
        f"segmented with {escape(models)}; measured: {measured}."
    )
    verdict = f"{errors} errors: nothing would run." if errors else "Nothing stands in the way."
    console.print(verdict, style="bold red" if errors else "green")


def print_summary(console: Console, summary: RunSummary) -> None:
    """Say where the results are and what they hold."""
    kept = f" ({summary.kept} untouched from before)" if summary.kept else ""
    console.print(
        f"{summary.n_images} images{kept}, {summary.n_cells:,} cells in "
        f"{escape(str(summary.output / 'tables'))}",
        highlight=False,
        soft_wrap=True,
    )
    if summary.n_failed:
        console.print(
            f"{summary.n_failed} images failed: see {escape(str(summary.output / 'failures.csv'))}",
            style="bold red",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Report: {escape(str(summary.report))}", highlight=False, soft_wrap=True)


def segment_with_progress(
    images: list[Path], diameter_px: float, output: Path, model: str, channel: str | None
) -> int:
    """Segment files one by one; say what failed and why; return how many failed."""
    from pipelines.segment_files import segment_file

    console = Console(stderr=True)
    failed = 0
    with _progress(console) as progress:
        bar = progress.add_task("segmenting", total=len(images), cells=0)
        cells = 0
        for outcome in (segment_file(p, diameter_px, output, model, channel) for p in images):
            failed += outcome.error is not None
            cells += outcome.n_objects
            if outcome.error is not None:
                console.print(f"{escape(str(outcome.image))}: {escape(outcome.error)}", style="red")
            progress.update(bar, advance=1, cells=cells)
    console.print(f"{len(images) - failed} of {len(images)} images, {cells:,} objects: {output}")
    return failed


def _measure(console: Console, plan: Plan, count: int) -> list[ImageOutcome]:
    pool: Workers[ImageTask, ImageOutcome] = Workers(work_on, lost_image, count)
    outcomes = []
    with _progress(console) as progress:
        bar = progress.add_task(plan.checked.study.study, total=len(plan.tasks), cells=0)
        cells = 0
        for outcome in pool.map(plan.tasks):
            outcomes.append(outcome)
            cells += outcome.n_cells
            if outcome.failure is not None:
                _print_failure(console, outcome)
            progress.update(bar, advance=1, cells=cells)
    return outcomes


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images"),
        TextColumn("{task.fields[cells]:,} cells"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
    )


def _print_failure(console: Console, outcome: ImageOutcome) -> None:
    assert outcome.failure is not None
    console.print(
        f"{escape(outcome.image_id)} failed ({outcome.failure.stage}): "
        f"{escape(outcome.failure.error)}",
        style="red",
        highlight=False,
    )


def _print_problems(console: Console, checked: Checked) -> None:
    for problem in checked.problems:
        console.print(
            f"[{LEVEL_STYLE[problem.level]}]{problem.level}[/] "
            f"[bold]{escape(problem.where)}[/]: {escape(problem.message)}",
            highlight=False,
            soft_wrap=True,
        )
