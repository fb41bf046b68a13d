"""The model card: what a network learned from, how it scores, and where it fails."""

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.files import replacing
from pipelines.words import counted
from segmentation.quality import Quality
from segmentation.training.loop import Round

# [judgement] Held-out images scoring lower than this at an IoU of 0.5 are named as failures.
_FAILS_BELOW = 0.5


@dataclass(frozen=True, slots=True)
class Card:
    """All that a card says.

    Attributes:
        weights: the weights file.
        sha256: its hash.
        start: model that was trained further; None where training began from nothing.
        images: names of the images learned from.
        held_out: names of the images scored on.
        n_objects: objects learned from.
        n_ignored: annotated pieces too small to learn from.
        unnumbered: names of images whose masks hold one number for several objects.
        diameters_px: median diameter of the objects in each image learned from.
        settings: of the training.
        rounds: its history.
        before: quality on the held-out images of the model that training began from.
        after: quality of the trained one.
    """

    weights: Path
    sha256: str
    start: str | None
    images: tuple[str, ...]
    held_out: tuple[str, ...]
    n_objects: int
    n_ignored: int
    unnumbered: tuple[str, ...]
    diameters_px: tuple[float, ...]
    settings: dict[str, Any]
    rounds: tuple[Round, ...]
    before: tuple[Quality, ...] | None
    after: tuple[Quality, ...]

    @property
    def failures(self) -> list[str]:
        """Held-out images on which the network cannot be trusted."""
        named = zip(self.held_out, self.after, strict=True)
        return [name for name, quality in named if quality.ap50 < _FAILS_BELOW]

    @property
    def warnings(self) -> list[str]:
        """What its user should know first."""
        found = []
        if self.before and self.after and _both(self.after) <= _both(self.before):
            found.append(
                f"On the held-out images it is no better than {self.start}, which it began from: "
                "keep that, or train on more images or for more steps."
            )
        if self.unnumbered:
            some = ", ".join(self.unnumbered[:5]) + (", ..." if len(self.unnumbered) > 5 else "")
            found.append(
                f"{len(self.unnumbered)} masks hold one number only ({some}): each piece of them "
                "was taken for an object, and objects that touch for one."
            )
        return found


def _both(qualities: tuple[Quality, ...]) -> float:
    """The score that training is judged by."""
    return float(np.mean([(one.ap50 + one.ap75) / 2 for one in qualities]))


def mean(qualities: tuple[Quality, ...], name: str) -> float | None:
    """Mean of one figure over images; None where there are none."""
    values = [float(getattr(one, name)) for one in qualities]
    return float(np.mean(values)) if values else None


def write_card(card: Card) -> None:
    """Write the card as Markdown and as JSON beside the weights."""
    content = {**asdict(card), "weights": card.weights.name, "failures": card.failures}
    with replacing(card.weights.with_suffix(".json")) as place:
        place.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    with replacing(card.weights.with_suffix(".md")) as place:
        place.write_text(_markdown(card), encoding="utf-8")


def _markdown(card: Card) -> str:
    learned = f"`{card.start}`, trained further" if card.start else "random weights"
    sizes = np.percentile(card.diameters_px, [0, 50, 100])
    lines = [
        f"# Model card: {card.weights.name}",
        "",
        f"SHA-256 `{card.sha256}`. Use it with `--model {card.weights.name}`.",
        "",
        "## What it learned from",
        f"Began from {learned}. {card.n_objects} objects in "
        f"{counted(len(card.images), 'image')}, median "
        f"diameter {sizes[1]:.1f} px ({sizes[0]:.1f} to {sizes[2]:.1f} px from image to image). "
        f"{card.n_ignored} annotated pieces were too small to learn from and were passed over.",
        "",
        f"Images: {', '.join(card.images)}.",
        "",
        f"{card.rounds[-1].step} of at most {card.settings['steps']} steps, seed "
        f"{card.settings['seed']}, on {platform.machine()}.",
        "",
        "## How it scores",
        *_scores(card),
        "",
        "## Where it fails",
        *(f"**{sentence}**" for sentence in card.warnings),
        *_failures(card),
    ]
    return "\n".join(lines) + "\n"


def _scores(card: Card) -> list[str]:
    if not card.after:
        return ["No image was held out, so nothing is known of images that it did not learn from."]
    lines = [
        f"On {counted(len(card.after), 'image')} held out, chosen by chance. They also decided "
        "when to stop, so new images may score somewhat lower; images of one field on both sides "
        "flatter the score.",
        "",
        "| | AP 0.5 | AP 0.75 | panoptic quality | count bias |",
        "|---|---|---|---|---|",
    ]
    rows = {"before": card.before, "after": card.after}
    for name, found in rows.items():
        if found:
            kept = ("ap50", "ap75", "panoptic", "count_bias")
            lines.append(f"| {name} | " + " | ".join(f"{mean(found, k):.3f}" for k in kept) + " |")
    return lines


def _failures(card: Card) -> list[str]:
    lines = [
        "It was tried on images like its own alone. Other magnifications, stains and cells are "
        "unknown to it: look at the outlines."
    ]
    if card.failures:
        lines.append(f"Held-out images below AP 0.5 of {_FAILS_BELOW}: {', '.join(card.failures)}.")
    split, merged = (sum(getattr(q, k) for q in card.after) for k in ("split", "merged"))
    missed, extra = (sum(getattr(q, k) for q in card.after) for k in ("missed", "extra"))
    if card.after:
        lines.append(
            f"Of {sum(q.n_truth for q in card.after)} held-out objects {missed} were missed and "
            f"{split} split; {extra} outlines were extra and {merged} held several objects."
        )
    return lines
