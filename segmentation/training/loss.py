"""What training makes small: the error of the flows and of the cell logit."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from segmentation.training.batches import Batch

_FLOW_SCALE = 5.0  # networks predict 5 x the flow, as Cellpose's


def loss(predicted: Tensor, batch: Batch, rim: float) -> Tensor:
    """Squared error of the flows and cross-entropy of the cell logit, as Cellpose weighs them.

    Args:
        predicted: (N, 3, Y, X).
        batch: the truth.
        rim: extra weight of the logit's loss within 2 px of a rim.
    """
    n = batch.counts.sum().clamp(min=1)
    off = (predicted[:, :2] - _FLOW_SCALE * batch.flows) ** 2 * batch.counts
    widest = F.max_pool2d(batch.inside, 5, 1, 2)
    narrowest = -F.max_pool2d(-batch.inside, 5, 1, 2)
    weight = batch.counts * (1 + rim * (widest - narrowest))
    wrong = F.binary_cross_entropy_with_logits(predicted[:, 2:], batch.inside, reduction="none")
    return off.sum() / (4 * n) + (wrong * weight).sum() / weight.sum().clamp(min=1)
