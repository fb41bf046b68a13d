"""A training in the terminal: how far it is, what it came to."""

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

from pipelines.run.lock import only_run
from pipelines.training.card import Card, mean
from pipelines.training.plan import Plan
from pipelines.training.run import run_training
from pipelines.words import counted
from segmentation.training.loop import Round


def train_with_progress(plan: Plan, *, restart: bool) -> Card:
    """Train on files, with a bar for the steps and a line for each round.

    Args:
        plan: what to train on what.
        restart: forget an earlier training in the folder.

    Raises:
        StudyError: see `run_training`.
        BusyError: another training is at work in the folder.
    """
    console = Console(stderr=True)
    with only_run(plan.output):
        if restart:
            for name in ("checkpoint.pt", "history.csv"):
                (plan.output / name).unlink(missing_ok=True)
        _print_plan(console, plan)
        with _bar(console) as bar:
            tasks = {stage: bar.add_task(stage, total=None) for stage in ("flows", "steps")}

            def say(stage: str, done: int, total: int, ended: Round | None) -> None:
                bar.update(tasks[stage], completed=done, total=total)
                if ended:
                    bar.console.print(_line(ended, total), highlight=False)

            card = run_training(plan, say)
    _print_card(console, card)
    return card


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _line(ended: Round, total: int) -> str:
    scored = "" if ended.score is None else f", score {ended.score:.3f}"
    return f"step {ended.step}/{total}: loss {ended.loss:.3f}{scored}"


def _print_plan(console: Console, plan: Plan) -> None:
    learned, scored = len(plan.learned), len(plan.scored)
    by = (
        f"The score is the mean AP at IoU 0.5 and 0.75 on {scored} others that are held out."
        if scored
        else "None is held out, so no score tells how good it is or when to stop."
    )
    steps = plan.settings.steps
    console.print(f"At most {steps} steps on {counted(learned, 'image')}. {by}", highlight=False)


def _print_card(console: Console, card: Card) -> None:
    after = mean(card.after, "ap50")
    if after is not None:
        before = mean(card.before, "ap50") if card.before else None
        was = "" if before is None else f" (before: {before:.3f})"
        console.print(
            f"AP 0.5 on {len(card.after)} held-out images: {after:.3f}{was}", highlight=False
        )
    for sentence in card.warnings:
        console.print(escape(sentence), style="yellow", highlight=False, soft_wrap=True)
    card_file = card.weights.with_suffix(".md")
    console.print(f"{escape(str(card.weights))}, its card {escape(card_file.name)}", soft_wrap=True)
