"""What to train on what, and how."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.errors import StudyError
from pipelines.training.pairs import Pair
from segmentation.catalogue import ModelError
from segmentation.training.batches import Augmentation
from segmentation.training.loop import Settings
from segmentation.training.networks import architecture_of
from segmentation.training.samples import TrainingError

# Fine-tuning takes milder changes of the images: they are of the kind that will be segmented.
_MILD = Augmentation(scale_far=0.4, gamma=0.3, blur_px=1.0, noise=0.05, invert=0.0)
_FROM_NOTHING = Settings(
    steps=7000,
    batch=32,
    learning_rate=2e-3,
    warm_up=300,
    average=0.999,
    round_steps=500,
    patience=None,
)
_COMPACT = Settings(augmentation=_MILD)
# Rate, decay and batch of cellpose.train.train_seg 4.2: at the small network's rate, 50 times
# higher, a transformer of 300 million weights forgets what it knew.
_CELLPOSE = Settings(
    steps=1000,
    batch=1,
    learning_rate=1e-5,
    weight_decay=0.1,
    warm_up=100,
    round_steps=100,
    augmentation=_MILD,
)


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
        keep_every_s: seconds of work that a training which is stopped loses at most, or ten times
            what it takes to write a checkpoint.
    """

    pairs: list[Pair]
    output: Path
    model: str | None
    channel: str | None
    diameter_px: float | None
    validation: float
    settings: Settings
    gpu: bool | None = None
    keep_every_s: float = 30.0

    @property
    def weights(self) -> Path:
        """Where the trained weights go."""
        return self.output / "model.pt"

    @property
    def learned(self) -> list[Pair]:
        """Pairs to learn from."""
        return held_out(self.pairs, self.validation, self.settings.seed)[0]

    @property
    def scored(self) -> list[Pair]:
        """Pairs to score by."""
        return held_out(self.pairs, self.validation, self.settings.seed)[1]


def held_out(pairs: list[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Divide pairs by chance into those to learn from and those to score by.

    At least one image is held out where there are two or more and the share is not 0.
    """
    count = 0 if share == 0 else min(max(1, round(share * len(pairs))), len(pairs) - 1)
    order = np.random.default_rng(seed).permutation(len(pairs))
    chosen = set(order[:count].tolist())
    learned = [pair for i, pair in enumerate(pairs) if i not in chosen]
    return learned, [pair for i, pair in enumerate(pairs) if i in chosen]


def default_settings(
    model: str | None,
    *,
    seed: int = 0,
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
) -> Settings:
    """Settings for a fine-tuning of minutes, or for a training from nothing of hours.

    None takes the usual value. A training of few steps warms up in a tenth of them and is scored
    at every eighth, so that it learns and shows it.

    Args:
        model: to begin from; None for a compact network of random weights.
        seed: of all chance.
        steps: batches at most.
        batch: crops in one.
        learning_rate: at its highest.

    Raises:
        StudyError: there is no such model, or a number cannot be.
    """
    try:
        usual = _usual(model)
        most = usual.steps if steps is None else steps
        return replace(
            usual,
            steps=most,
            batch=usual.batch if batch is None else batch,
            learning_rate=usual.learning_rate if learning_rate is None else learning_rate,
            warm_up=min(usual.warm_up, most // 10),
            round_steps=min(usual.round_steps, max(1, most // 8)),
            seed=seed,
        )
    except (TrainingError, ModelError) as error:
        raise StudyError(str(error)) from error


def _usual(model: str | None) -> Settings:
    if model is None:
        return _FROM_NOTHING
    return _COMPACT if architecture_of(model) == "compact" else _CELLPOSE
