"""A training in the terminal: how far it is, what it came to."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.training.card import Card, mean
from pipelines.training.pairs import find_pairs
from pipelines.training.run import Plan, default_settings, run_training
from segmentation.training.loop import Round


def train_with_progress(
    where: tuple[Path, Path | None],
    output: Path,
    *,
    model: str | None,
    channel: str | None,
    diameter_px: float | None,
    validation: float,
    chosen: tuple[int | None, int, float | None, int],
    restart: bool,
) -> Card:
    """Train on files, printing a line a round.

    Args:
        where: images, and masks or None; see `find_pairs`.
        output: folder of the training.
        model: to train further; None trains compact from random weights.
        channel: of the images.
        diameter_px: of objects in all images; None takes the masks'.
        validation: share of images held out.
        chosen: steps and learning rate, None for the usual ones, between them the batch, and the
            seed.
        restart: forget an earlier training in the folder.

    Raises:
        StudyError: see `run_training`.
    """
    console = Console(stderr=True)
    steps, batch, rate, seed = chosen
    pairs = find_pairs(*where)
    settings = default_settings(
        from_scratch=model is None, steps=steps, seed=seed, batch=batch, learning_rate=rate
    )
    if restart and output.is_dir():
        for name in ("checkpoint.pt", "history.csv"):
            (output / name).unlink(missing_ok=True)
    plan = Plan(pairs, output, model, channel, diameter_px, validation, settings)
    console.print(f"{len(pairs)} images with masks; flows are computed first.", highlight=False)

    def say(latest: Round, total: int) -> None:
        scored = "" if latest.score is None else f", score {latest.score:.3f}"
        console.print(f"step {latest.step}/{total}: loss {latest.loss:.3f}{scored}")

    card = run_training(plan, say)
    _print_card(console, card)
    return card


def _print_card(console: Console, card: Card) -> None:
    after = mean(card.after, "ap50")
    if after is not None:
        before = mean(card.before, "ap50") if card.before else None
        was = "" if before is None else f" (before: {before:.3f})"
        console.print(f"AP 0.5 on {len(card.after)} held-out images: {after:.3f}{was}")
    card_file = card.weights.with_suffix(".md")
    console.print(f"{escape(str(card.weights))}, its card {escape(card_file.name)}", soft_wrap=True)
