"""One training: read pairs, hold some out, train, keep what a stopped training needs, write.

A training's folder holds `checkpoint.pt` from which it goes on, `history.csv`, and at the end
`model.pt`, whose path `--model` takes, with its card `model.md` and `model.json`.
"""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.errors import ImageError, StudyError
from pipelines.files import replacing
from pipelines.labels_store import read_label_image
from pipelines.segment_files import grey_image
from pipelines.training.card import Card, write_card
from pipelines.training.pairs import Pair
from segmentation.catalogue import ModelError, weights_sha256
from segmentation.models import load_model
from segmentation.quality import Quality, assess
from segmentation.training.batches import Augmentation, make_pool
from segmentation.training.loop import Checkpoint, Round, Settings, train
from segmentation.training.networks import (
    Trainable,
    Truth,
    known_network,
    mean_precision,
    new_network,
    weights_to_save,
)
from segmentation.training.samples import Sample, TrainingError, make_sample, with_diameters

Progress = Callable[[Round, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train on what.

    Attributes:
        pairs: images and masks.
        output: folder of the training.
        model: name or weights to start from; None for a compact network of random weights.
        channel: of the images; None where they have one, or are RGB.
        diameter_px: typical diameter in all images; None takes each mask's own median.
        validation: share of the images that is held out to score and to stop by.
        settings: of the training.
        gpu: None takes a GPU where there is one.
    """

    pairs: list[Pair]
    output: Path
    model: str | None
    channel: str | None
    diameter_px: float | None
    validation: float
    settings: Settings
    gpu: bool | None = None


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


def held_out(pairs: list[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Divide pairs by chance into those to learn from and those to score by.

    At least one image is held out where there are two or more and the share is not 0.
    """
    count = 0 if share == 0 else min(max(1, round(share * len(pairs))), len(pairs) - 1)
    order = np.random.default_rng(seed).permutation(len(pairs))
    chosen = set(order[:count].tolist())
    learned = [pair for i, pair in enumerate(pairs) if i not in chosen]
    return learned, [pair for i, pair in enumerate(pairs) if i in chosen]


def _run(plan: Plan, progress: Progress) -> Card:
    device = torch.device("cuda" if plan.gpu is not False and torch.cuda.is_available() else "cpu")
    learned, scored = held_out(plan.pairs, plan.validation, plan.settings.seed)
    samples = with_diameters([_sample(pair, plan) for pair in learned])
    truths = [_truth(pair, plan, samples) for pair in scored]
    start = _read_checkpoint(plan)
    trainable = (
        new_network(plan.settings.seed, device)
        if plan.model is None
        else known_network(plan.model, device)
    )

    def keep(checkpoint: Checkpoint) -> None:
        _write_checkpoint(plan, checkpoint)
        progress(checkpoint.rounds[-1], plan.settings.steps)

    last = train(
        trainable.network,
        make_pool(samples, device),
        plan.settings,
        validate=mean_precision(trainable, truths, device) if truths else None,
        start=start,
        report=keep,
        reduced=device.type == "cuda",
    )
    return _finish(plan, trainable, samples, [pair.name for pair in scored], truths, last)


def _finish(
    plan: Plan,
    trainable: Trainable,
    samples: list[Sample],
    names: list[str],
    truths: list[Truth],
    last: Checkpoint,
) -> Card:
    weights = plan.output / "model.pt"
    with replacing(weights) as place:
        torch.save(weights_to_save(last.best, trainable.kind), place)
    before = None if plan.model is None else _scores(plan.model, truths, plan.gpu)
    card = Card(
        weights=weights,
        sha256=weights_sha256(weights),
        start=plan.model,
        images=tuple(s.name for s in samples),
        held_out=tuple(names),
        n_objects=sum(s.n_objects for s in samples),
        n_ignored=sum(s.n_ignored for s in samples),
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


def _sample(pair: Pair, plan: Plan) -> Sample:
    pixels, labels = _read(pair, plan)
    return make_sample(pair.name, pixels, labels, plan.diameter_px)


def _truth(pair: Pair, plan: Plan, samples: list[Sample]) -> Truth:
    pixels, labels = _read(pair, plan)
    sample = make_sample(pair.name, pixels, labels, plan.diameter_px)
    diameter = sample.diameter_px
    if not np.isfinite(diameter):
        diameter = float(np.median([one.diameter_px for one in samples]))
    return pixels, labels, diameter


def _read(pair: Pair, plan: Plan) -> tuple[Any, Any]:
    try:
        return grey_image(pair.image, plan.channel), read_label_image(pair.mask)
    except ImageError as error:
        raise StudyError(str(error)) from error


def _identity(plan: Plan) -> str:
    """Hash of all that must be the same for a training to go on; its length may differ."""
    settings = asdict(replace(plan.settings, steps=1, patience=None))
    files = [(p.image.name, weights_sha256(p.image), weights_sha256(p.mask)) for p in plan.pairs]
    said = [plan.model, plan.channel, plan.diameter_px, plan.validation, settings, files]
    steps = plan.settings.steps
    return hashlib.sha256(json.dumps([*said, steps], default=str).encode()).hexdigest()


def _read_checkpoint(plan: Plan) -> Checkpoint | None:
    path = plan.output / "checkpoint.pt"
    if not path.is_file():
        return None
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if stored.pop("identity") != _identity(plan):
        raise StudyError(
            f"{plan.output} holds a training on other images, masks or settings. Give another "
            "folder, or --restart to forget it."
        )
    rounds = tuple(Round(*one) for one in stored.pop("rounds"))
    return Checkpoint(rounds=rounds, **stored)


def _write_checkpoint(plan: Plan, checkpoint: Checkpoint) -> None:
    rounds = [(one.step, one.loss, one.score) for one in checkpoint.rounds]
    names = ("step", "network", "average", "optimizer", "best", "best_score")
    content = {name: getattr(checkpoint, name) for name in names}
    with replacing(plan.output / "checkpoint.pt") as place:
        torch.save({**content, "rounds": rounds, "identity": _identity(plan)}, place)
    with replacing(plan.output / "history.csv") as place, place.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("step", "loss", "score"), *rounds])


def default_settings(
    *, from_scratch: bool, steps: int | None, seed: int, batch: int, learning_rate: float | None
) -> Settings:
    """Settings for a fine-tuning of minutes, or for a training from nothing of hours.

    Fine-tuning takes milder changes of the images: they are of the kind that will be segmented.
    """
    if from_scratch:
        return Settings(
            steps=steps or 7000,
            batch=max(batch, 32),
            learning_rate=learning_rate or 2e-3,
            warm_up=300,
            average=0.999,
            round_steps=500,
            patience=None,
            seed=seed,
        )
    mild = Augmentation(scale_far=0.4, gamma=0.3, blur_px=1.0, noise=0.05, invert=0.0)
    return Settings(
        steps=steps or 400,
        batch=batch,
        learning_rate=learning_rate or 5e-4,
        seed=seed,
        augmentation=mild,
    )
