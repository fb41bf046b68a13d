"""What a training leaves so that it can go on: `checkpoint.pt`, and its history for people."""

import csv
import hashlib
import json
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch

from pipelines.errors import StudyError
from pipelines.files import replacing
from pipelines.training.plan import Plan
from segmentation.catalogue import weights_file, weights_sha256
from segmentation.training.loop import Checkpoint, Moment, Round

_STORED = ("step", "network", "average", "optimizer", "best", "best_score", "losses")
# Writing takes at most about this share of the time.
_WRITING = 0.1


def identity(plan: Plan) -> str:
    """Hash of all that must be the same for a training to go on: all but its patience."""
    settings = asdict(replace(plan.settings, patience=None))
    files = [(p.image.name, weights_sha256(p.image), weights_sha256(p.mask)) for p in plan.pairs]
    start = None if plan.model is None else weights_file(plan.model)
    begun = None if start is None else weights_sha256(start)
    said = [plan.model, begun, plan.channel, plan.diameter_px, plan.validation, settings, files]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()


def read_checkpoint(plan: Plan, name: str) -> Checkpoint | None:
    """Read where a training of this identity stopped; None where none began.

    Raises:
        StudyError: the folder holds another training, or a checkpoint that cannot be read.
    """
    path = plan.output / "checkpoint.pt"
    if not path.is_file():
        return None
    try:
        stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        same = stored.pop("identity") == name
        rounds = tuple(Round(*one) for one in stored.pop("rounds"))
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise StudyError(
            f"{path} cannot be read: it is damaged. Begin anew with --restart."
        ) from error
    if not same:
        raise StudyError(
            f"{plan.output} holds a training on other images, masks or settings. Give another "
            "folder, or --restart to forget it."
        )
    return Checkpoint(rounds=rounds, **stored)


def keeper(plan: Plan, name: str) -> Callable[[Moment], None]:
    """Make what keeps a checkpoint after each round, and within long ones now and then."""
    kept, cost = time.monotonic(), 0.0

    def keep(moment: Moment) -> None:
        nonlocal kept, cost
        now = time.monotonic()
        if moment.latest is None and now - kept < max(plan.keep_every_s, cost / _WRITING):
            return
        _write(plan, name, moment.checkpoint())
        kept = time.monotonic()
        cost = kept - now

    return keep


def _write(plan: Plan, name: str, checkpoint: Checkpoint) -> None:
    rounds = [(one.step, one.loss, one.score) for one in checkpoint.rounds]
    content = {field: getattr(checkpoint, field) for field in _STORED}
    with replacing(plan.output / "checkpoint.pt") as place:
        torch.save({**content, "rounds": rounds, "identity": name}, place)
    with replacing(plan.output / "history.csv") as place, place.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("step", "loss", "score"), *rounds])
