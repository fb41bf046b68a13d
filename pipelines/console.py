"""What a person sees in the terminal: progress, problems, and what a run left."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pipelines.run.lock import only_run
from pipelines.run.steps import Plan, RunSummary, finish, prepare
from pipelines.run.task import (
    ImageOutcome,
    ImageTask,
    PictureOutcome,
    PictureTask,
    draw,
    lost_image,
    lost_picture,
    work_on,
)
from pipelines.run.workers import Workers
from pipelines.study.check import Checked
from pipelines.study.compute import Compute
from pipelines.study.model import load_study
from pipelines.watch.sweep import sweep
from pipelines.words import counted

if TYPE_CHECKING:
    from pipelines.segment_files import Which
    from pipelines.slide.job import Progress as Stage

FEW_PICTURES = 4
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
    with only_run(output):
        plan = prepare(study, output, only=only, restart=restart)
        _print_problems(console, plan.checked)
        count = workers or plan.checked.study.compute.workers
        outcomes = _measure(console, plan, count)
        summary = finish(plan, outcomes, lambda tasks: _draw(console, tasks, count))
    print_summary(console, summary)
    return summary


def sweep_with_progress(study: Path, output: Path, workers: int | None = None) -> int:
    """Measure what is new in a watched folder; return how many images failed.

    See `pipelines.watch.sweep.sweep`.
    """
    console = Console(stderr=True)
    count = workers or load_study(study).compute.workers

    def measure(plan: Plan) -> list[ImageOutcome]:
        _print_problems(console, plan.checked)
        return _measure(console, plan, count)

    swept = sweep(study, output, measure, lambda tasks: _draw(console, tasks, count))
    for sentence in swept.sentences():
        console.print(escape(sentence), highlight=False, soft_wrap=True)
    if swept.summary is None:
        return len(swept.failed) + len(swept.look.gone)
    print_summary(console, swept.summary)
    return swept.summary.n_failed


def print_check(checked: Checked) -> None:
    """Say all that is wrong with a study and what would be run."""
    console = Console()
    _print_problems(console, checked)
    study, rows = checked.study, checked.samples.rows
    n_controls = len(checked.controls.rows)
    controls = f" and {counted(n_controls, 'control image')}" if n_controls else ""
    measured = ", ".join(m.type for m in study.measurements)
    models = ", ".join(f"{s.model} on {s.channel}" for _, s in study.cellpose_settings())
    errors = sum(p.level == "error" for p in checked.problems)
    console.print(
        f"{escape(study.study)}: {counted(len(rows), 'image')}{controls}, "
        f"{counted(len(study.channels), 'channel')}; "
        f"segmented with {escape(models)}; measured: {measured}."
    )
    wrong = f"{counted(errors, 'error')}: nothing would run."
    verdict = wrong if errors else "Nothing stands in the way."
    console.print(verdict, style="bold red" if errors else "green")


def print_summary(console: Console, summary: RunSummary) -> None:
    """Say where the results are and what they hold."""
    for text in summary.warnings:
        console.print(escape(text), style=LEVEL_STYLE["warning"], highlight=False, soft_wrap=True)
    kept = f" ({summary.kept} untouched from before)" if summary.kept else ""
    console.print(
        f"{counted(summary.n_images, 'image')}{kept}, {counted(summary.n_cells, 'cell')} in "
        f"{escape(str(summary.output / 'tables'))}",
        highlight=False,
        soft_wrap=True,
    )
    if summary.n_failed:
        failed = counted(summary.n_failed, "image")
        console.print(
            f"{failed} failed: see {escape(str(summary.output / 'failures.csv'))}",
            style="bold red",
            highlight=False,
            soft_wrap=True,
        )
    for lost in summary.lost_pictures:
        console.print(f"no picture of {escape(lost.image_id)}: {escape(lost.error)}", style="red")
    console.print(f"Report: {escape(str(summary.report))}", highlight=False, soft_wrap=True)


def segment_with_progress(
    images: list[Path], diameter_px: float, output: Path, model: str, which: "Which"
) -> int:
    """Segment files one by one; say what failed and why; return how many failed."""
    from pipelines.segment_files import segment_file

    console = Console(stderr=True)
    failed = 0
    with _progress(console) as progress:
        bar = progress.add_task("segmenting", total=len(images), cells=0)
        cells = 0
        for outcome in (segment_file(p, diameter_px, output, model, which) for p in images):
            failed += outcome.error is not None
            cells += outcome.n_objects
            if outcome.error is not None:
                console.print(f"{escape(str(outcome.image))}: {escape(outcome.error)}", style="red")
            progress.update(bar, advance=1, cells=cells)
    done = f"{len(images) - failed} of {counted(len(images), 'image')}"
    console.print(f"{done}, {counted(cells, 'object')}: {output}")
    return failed


def _measure(console: Console, plan: Plan, count: int) -> list[ImageOutcome]:
    fields = [task for task in plan.tasks if not task.is_slide]
    slides = [task for task in plan.tasks if task.is_slide]
    outcomes = list(_measure_fields(console, plan.checked.study.study, fields, count))
    return outcomes + list(_measure_slides(console, plan.checked.study.compute, slides, count))


def _measure_fields(
    console: Console, study: str, tasks: Sequence[ImageTask], count: int
) -> Iterator[ImageOutcome]:
    if not tasks:
        return
    with Workers(work_on, lost_image, count) as pool, _progress(console) as progress:
        bar = progress.add_task(study, total=len(tasks), cells=0)
        cells = 0
        for outcome in pool.map(tasks):
            cells += outcome.n_cells
            if outcome.failure is not None:
                _print_failure(console, outcome)
            progress.update(bar, advance=1, cells=cells)
            yield outcome


def _measure_slides(
    console: Console, compute: Compute, tasks: Sequence[ImageTask], count: int
) -> Iterator[ImageOutcome]:
    """One slide after another, each on all workers."""
    if not tasks:
        return
    from pipelines.run.slide import process_slide
    from pipelines.slide.cluster import open_cluster

    with open_cluster(compute, count, lambda text: console.print(text, soft_wrap=True)) as each:
        for task in tasks:
            with _blocks_progress(console) as progress:
                outcome = process_slide(task, each, _bars(progress, task.row.image_id))
            if outcome.failure is not None:
                _print_failure(console, outcome)
            yield outcome


def _bars(progress: Progress, name: str) -> Callable[["Stage"], None]:
    """Shows a bar for each stage of a slide."""
    bars: dict[str, TaskID] = {}

    def show(now: "Stage") -> None:
        if now.stage not in bars:
            bars[now.stage] = progress.add_task(f"{name}: {now.stage}", total=now.total)
        progress.update(bars[now.stage], completed=now.done)

    return show


def _blocks_progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("blocks"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
    )


def _draw(console: Console, tasks: Sequence[PictureTask], count: int) -> list[PictureOutcome]:
    """Draw in worker processes; a handful is drawn before a process would have started."""
    if len(tasks) <= FEW_PICTURES:
        return [draw(task) for task in tasks]
    with Workers(draw, lost_picture, count) as pool, _progress(console, "pictures") as progress:
        bar = progress.add_task("positive cells", total=len(tasks))
        outcomes = []
        for outcome in pool.map(tasks):
            outcomes.append(outcome)
            progress.update(bar, advance=1)
    return outcomes


def _progress(console: Console, things: str = "images") -> Progress:
    cells = [TextColumn("{task.fields[cells]:,} cells")] if things == "images" else []
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(things),
        *cells,
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
