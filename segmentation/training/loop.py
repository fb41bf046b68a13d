"""The training itself: steps, a running average of the weights, a score now and then.

Chance of every step comes from the seed and the step's number alone, so a training that was
stopped after any step and goes on from a checkpoint ends, on one machine, with the very weights of
one that was never stopped.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from segmentation.training.batches import Augmentation, Pool, draw_batch
from segmentation.training.loss import loss
from segmentation.training.samples import TrainingError

State = dict[str, Tensor]

_STEPS_APART = 2**32  # between the seeds of two trainings
_LARGEST_GRADIENT = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        steps: batches in all.
        batch: crops in one.
        side_px: of a crop; a multiple of 16.
        learning_rate: at its highest, after `warm_up` steps; it falls to 0 as a cosine.
        warm_up: steps.
        weight_decay: of AdamW (Loshchilov & Hutter 2019).
        average: weights kept of the running average at each step, at most.
        rim: how much more the cell logit's loss weighs within 2 px of an object's rim.
        round_steps: steps between two scores.
        patience: rounds without a better score after which training ends; None for never.
        seed: of all chance.
        augmentation: how crops are changed.
    """

    steps: int = 400
    batch: int = 8
    side_px: int = 256
    learning_rate: float = 5e-4
    warm_up: int = 20
    weight_decay: float = 1e-3
    average: float = 0.99
    rim: float = 0.5
    round_steps: int = 50
    patience: int | None = 4
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.side_px % 16 or self.side_px < 32:
            raise TrainingError(f"Crops have a side of 32, 48, 64 ... px, not {self.side_px}.")
        if min(self.steps, self.batch, self.round_steps) < 1 or not self.learning_rate > 0:
            raise TrainingError("Steps, batch and learning rate must be above 0.")


@dataclass(frozen=True, slots=True)
class Round:
    """What a number of steps came to.

    Attributes:
        step: steps done.
        loss: mean over the round's steps.
        score: of the averaged weights on the validation images; None where there are none.
    """

    step: int
    loss: float
    score: float | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a training needs to go on, in tensors on the CPU.

    Attributes:
        step: steps done.
        network: weights being trained.
        average: their running average.
        optimizer: AdamW's state.
        best: the average at its best score.
        best_score: that score; None before the first.
        rounds: history, oldest first.
        losses: of the steps since the last round.
    """

    step: int
    network: State
    average: State
    optimizer: dict[str, object]
    best: State
    best_score: float | None
    rounds: tuple[Round, ...]
    losses: tuple[float, ...] = ()

    @property
    def rounds_since_best(self) -> int:
        """Rounds since the best score."""
        scores = [one.score for one in self.rounds if one.score is not None]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a training is after a step.

    Attributes:
        step: steps done.
        latest: the round that ended with this step; None within a round.
        checkpoint: copies all that is needed to go on from here.
    """

    step: int
    latest: Round | None
    checkpoint: Callable[[], Checkpoint]


Validate = Callable[[nn.Module], float]
Report = Callable[[Moment], None]


def train(
    network: nn.Module,
    pool: Pool,
    settings: Settings,
    *,
    validate: Validate | None = None,
    start: Checkpoint | None = None,
    report: Report | None = None,
    reduced: bool = False,
) -> Checkpoint:
    """Train a network.

    Args:
        network: (N, 1, Y, X) -> (N, 3, Y, X), see `segmentation.network.CompactNet`; on the
            pool's device; it is changed.
        pool: images to learn from.
        settings: how.
        validate: gives the score of a network in evaluation mode, larger is better; the weights
            of the best score are kept, the last ones where it is None.
        start: where to go on.
        report: called after every step.
        reduced: compute in bfloat16 where torch holds that safe.

    Returns:
        The last checkpoint, its `best` the weights to use.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, settings.learning_rate, weight_decay=settings.weight_decay
    )
    work = _Work(network, average, optimizer, reduced)
    done = _restored(start, work)
    stop = settings.patience
    while done.step < settings.steps and (stop is None or done.rounds_since_best < stop):
        mean_loss = _round(work, pool, settings, done, report)
        score = validate(average) if validate else None
        latest = Round(_round_end(done.step, settings), mean_loss, score)
        done = _checkpoint(done, latest, work)
        if report:
            report(Moment(latest.step, latest, partial(copy.copy, done)))
    return done


@dataclass(frozen=True, slots=True)
class _Work:
    """What the steps change.

    Attributes:
        network: being trained.
        average: running average of the network.
        optimizer: of the network's parameters.
        reduced: compute in bfloat16.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    reduced: bool


def _round_end(step: int, settings: Settings) -> int:
    """Steps done at the end of the round that the next step belongs to."""
    return min((step // settings.round_steps + 1) * settings.round_steps, settings.steps)


def _round(
    work: _Work, pool: Pool, settings: Settings, done: Checkpoint, report: Report | None
) -> float:
    """Do the steps that a round still lacks; returns the mean loss of all of its steps."""
    generator = torch.Generator(pool.image.device)
    work.network.train()
    losses = [torch.tensor(value, device=pool.image.device) for value in done.losses]
    until = _round_end(done.step, settings)
    for step in range(done.step, until):
        losses.append(_step(work, pool, settings, step, generator))
        if report and step + 1 < until:
            report(Moment(step + 1, None, partial(_within_round, done, step + 1, losses, work)))
    mean = float(torch.stack(losses).mean())
    if not math.isfinite(mean):
        raise TrainingError(
            f"The loss is no longer a number after {until} steps: take a lower learning rate."
        )
    return mean


def _step(
    work: _Work, pool: Pool, settings: Settings, step: int, generator: torch.Generator
) -> Tensor:
    """Learn from one batch; returns its loss, still on the device."""
    generator.manual_seed(settings.seed * _STEPS_APART + step)
    torch.manual_seed(settings.seed * _STEPS_APART + step)  # dropout, where a network has it
    for group in work.optimizer.param_groups:
        group["lr"] = _learning_rate(step, settings)
    batch = draw_batch(pool, settings.batch, settings.side_px, settings.augmentation, generator)
    with torch.autocast(pool.image.device.type, dtype=torch.bfloat16, enabled=work.reduced):
        predicted = work.network(batch.image.contiguous(memory_format=torch.channels_last))
    value = loss(predicted.float(), batch, settings.rim)
    work.optimizer.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(work.network.parameters(), _LARGEST_GRADIENT)
    work.optimizer.step()
    _follow(work.average, work.network, min(settings.average, (1 + step) / (10 + step)))
    return value.detach()


def _learning_rate(step: int, settings: Settings) -> float:
    rise = min(1.0, (step + 1) / max(settings.warm_up, 1))
    return settings.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the averaged weights towards the trained ones; counters are copied."""
    old, new = average.state_dict(), network.state_dict()
    moving = [name for name, value in old.items() if value.is_floating_point()]
    torch._foreach_lerp_([old[n] for n in moving], [new[n] for n in moving], 1 - keep)
    for name in old.keys() - set(moving):
        old[name].copy_(new[name])


def _checkpoint(before: Checkpoint, latest: Round, work: _Work) -> Checkpoint:
    kept = _on_cpu(work.average.state_dict())
    better = latest.score is None or before.best_score is None or latest.score > before.best_score
    return Checkpoint(
        step=latest.step,
        network=_on_cpu(work.network.state_dict()),
        average=kept,
        optimizer=copy.deepcopy(work.optimizer.state_dict()),
        best=kept if better else before.best,
        best_score=latest.score if better else before.best_score,
        rounds=(*before.rounds, latest),
    )


def _within_round(before: Checkpoint, step: int, losses: list[Tensor], work: _Work) -> Checkpoint:
    return replace(
        before,
        step=step,
        network=_on_cpu(work.network.state_dict()),
        average=_on_cpu(work.average.state_dict()),
        optimizer=copy.deepcopy(work.optimizer.state_dict()),
        losses=tuple(float(value) for value in losses),
    )


def _restored(start: Checkpoint | None, work: _Work) -> Checkpoint:
    if start is None:
        first = _on_cpu(work.network.state_dict())
        return Checkpoint(0, first, first, work.optimizer.state_dict(), first, None, ())
    work.network.load_state_dict(start.network)
    work.average.load_state_dict(start.average)
    work.optimizer.load_state_dict(copy.deepcopy(start.optimizer))
    return start


def _on_cpu(state: State) -> State:
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}
