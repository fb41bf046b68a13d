"""What to train on what, and how."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import StudyError
from pipelines.training.pairs import Pair
from segmentation.training.batches import Augmentation
from segmentation.training.loop import Settings
from segmentation.training.samples import TrainingError

# Fine-tuning takes milder changes of the images: they are of the kind that will be segmented.
_MILD = Augmentation(scale_far=0.4, gamma=0.3, blur_px=1.0, noise=0.05, invert=0.0)


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
    *,
    from_scratch: bool,
    seed: int = 0,
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
) -> Settings:
    """Settings for a fine-tuning of minutes, or for a training from nothing of hours.

    None takes the usual value. A training of few steps warms up in a tenth of them and is scored
    at every eighth, so that it learns and shows it.

    Raises:
        StudyError: a number that cannot be.
    """
    usual = (7000, 32, 2e-3, 300, 500) if from_scratch else (400, 8, 5e-4, 20, 50)
    most, crops, rate, warm_up, round_steps = usual
    steps = most if steps is None else steps
    try:
        return Settings(
            steps=steps,
            batch=crops if batch is None else batch,
            learning_rate=rate if learning_rate is None else learning_rate,
            warm_up=min(warm_up, steps // 10),
            average=0.999 if from_scratch else 0.99,
            round_steps=min(round_steps, max(1, steps // 8)),
            patience=None if from_scratch else 4,
            seed=seed,
            augmentation=Augmentation() if from_scratch else _MILD,
        )
    except TrainingError as error:
        raise StudyError(str(error)) from error
