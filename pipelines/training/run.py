"""One training: read pairs, hold some out, train, keep what a stopped training needs, write.

A training's folder holds `checkpoint.pt` from which it goes on, `history.csv`, and at the end
`model.pt`, whose path `--model` takes, with its card `model.md` and `model.json`.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.errors import ImageError, StudyError
from pipelines.files import replacing
from pipelines.labels_store import read_label_image
from pipelines.segment_files import grey_image
from pipelines.training.card import Card, write_card
from pipelines.training.checkpoint import identity, keeper, read_checkpoint
from pipelines.training.pairs import Pair
from pipelines.training.plan import Plan
from segmentation.catalogue import ModelError, weights_sha256
from segmentation.models import load_model
from segmentation.quality import Quality, assess
from segmentation.training.batches import make_pool
from segmentation.training.loop import Checkpoint, Moment, Round, train
from segmentation.training.networks import (
    Trainable,
    Truth,
    known_network,
    mean_precision,
    new_network,
    weights_to_save,
)
from segmentation.training.samples import (
    Sample,
    TrainingError,
    check_pair,
    make_sample,
    median_diameter,
    with_diameters,
)

Progress = Callable[[str, int, int, Round | None], None]
"""What is being done, how much of it is done and how much there is, and a round that ended."""

_LISTED = 10


def run_training(plan: Plan, progress: Progress) -> Card:
    """Train, or go on with a training that was stopped, and write the weights and their card.

    Raises:
        StudyError: the images, masks or settings are unusable, or the folder holds another
            training.
    """
    try:
        return _run(plan, progress)
    except (TrainingError, ModelError) as error:
        raise StudyError(str(error)) from error


def _run(plan: Plan, progress: Progress) -> Card:
    device = torch.device("cuda" if plan.gpu is not False and torch.cuda.is_available() else "cpu")
    _refuse_own_weights(plan)
    trainable = (
        new_network(plan.settings.seed, device)
        if plan.model is None
        else known_network(plan.model, device)
    )
    name = identity(plan)
    start = read_checkpoint(plan, name)
    samples, truths = _prepared(plan, progress)
    keep = keeper(plan, name)

    def after_step(moment: Moment) -> None:
        keep(moment)
        progress("steps", moment.step, plan.settings.steps, moment.latest)

    last = train(
        trainable.network,
        make_pool(samples, device),
        plan.settings,
        validate=mean_precision(trainable, truths, device) if truths else None,
        start=start,
        report=after_step,
        reduced=device.type == "cuda",
    )
    return _finish(plan, trainable, samples, truths, last)


def _refuse_own_weights(plan: Plan) -> None:
    """Scores before and after need both models, and a stopped training the one it began from."""
    if plan.model and Path(plan.model).expanduser().resolve() == plan.weights.resolve():
        raise StudyError(
            f"{plan.model} would be overwritten by what is trained from it: give another --output."
        )


def _prepared(plan: Plan, progress: Progress) -> tuple[list[Sample], list[Truth]]:
    """Samples to learn from and truths to score by; all files are checked before the first."""
    wrong = [problem for pair in plan.pairs if (problem := _problem(pair, plan))]
    if wrong:
        more = f"\n... and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise StudyError("\n".join(wrong[:_LISTED]) + more)
    learned = plan.learned
    samples = []
    for n, pair in enumerate(learned, 1):
        samples.append(make_sample(pair.name, *_read(pair, plan), plan.diameter_px))
        progress("flows", n, len(learned), None)
    samples = with_diameters(samples)
    typical = float(np.median([sample.diameter_px for sample in samples]))
    return samples, [_truth(pair, plan, typical) for pair in plan.scored]


def _problem(pair: Pair, plan: Plan) -> str | None:
    """Why a pair cannot be used; None where it can."""
    try:
        check_pair(pair.name, *_read(pair, plan))
    except (ImageError, TrainingError) as error:
        return str(error)
    return None


def _truth(pair: Pair, plan: Plan, typical_px: float) -> Truth:
    """Image and labels to score by, with the diameter that a user would give."""
    pixels, labels = _read(pair, plan)
    diameter = median_diameter(labels) if plan.diameter_px is None else plan.diameter_px
    return pixels, labels, diameter if np.isfinite(diameter) else typical_px


def _read(pair: Pair, plan: Plan) -> tuple[Any, Any]:
    return grey_image(pair.image, plan.channel), read_label_image(pair.mask)


def _finish(
    plan: Plan,
    trainable: Trainable,
    samples: list[Sample],
    truths: list[Truth],
    last: Checkpoint,
) -> Card:
    weights = plan.weights
    with replacing(weights) as place:
        torch.save(weights_to_save(last.best, trainable.kind), place)
    before = None if plan.model is None else _scores(plan.model, truths, plan.gpu)
    card = Card(
        weights=weights,
        sha256=weights_sha256(weights),
        start=plan.model,
        images=tuple(s.name for s in samples),
        held_out=tuple(pair.name for pair in plan.scored),
        n_objects=sum(s.n_objects for s in samples),
        n_ignored=sum(s.n_ignored for s in samples),
        unnumbered=tuple(s.name for s in samples if not s.numbered),
        diameters_px=tuple(s.diameter_px for s in samples),
        settings=asdict(plan.settings),
        rounds=last.rounds,
        before=before,
        after=_scores(str(weights), truths, plan.gpu),
    )
    write_card(card)
    return card


def _scores(model: str, truths: list[Truth], gpu: bool | None) -> tuple[Quality, ...]:
    from segmentation.masks import segment

    loaded = load_model(model, gpu=gpu)
    return tuple(
        assess(labels, segment(pixels, loaded, diameter)) for pixels, labels, diameter in truths
    )
