"""How well labels agree with a truth: objects matched by overlap, then counted.

An object is found where it overlaps a true one by at least a threshold of intersection over union.
Average precision here is that of the Data Science Bowl 2018 and of Cellpose, TP / (TP + FP + FN)
(Caicedo et al. 2019, Nature Methods 16:1247-1253; Stringer et al. 2021, Nature Methods
18:100-106), not the area under a precision-recall curve.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

# Where IoU exceeds this, an object has one partner at most: the matching needs no search.
_UNIQUE_ABOVE = 0.5


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pairs of a true and a labelled object that share pixels.

    Attributes:
        n_truth: true objects in the image.
        n_labels: labelled objects in the image.
        truth_ids: (pairs,) id of the true object.
        label_ids: (pairs,) id of the labelled object.
        iou: (pairs,) float64, intersection over union, above 0.
    """

    n_truth: int
    n_labels: int
    truth_ids: NDArray[np.int64]
    label_ids: NDArray[np.int64]
    iou: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of matched objects at one threshold.

    Attributes:
        threshold: smallest intersection over union of a match.
        true_positives: labelled objects with a partner in the truth.
        false_positives: labelled objects without one.
        false_negatives: true objects without one.
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN); 1 where there is nothing and nothing was found."""
        everything = self.true_positives + self.false_positives + self.false_negatives
        return self.true_positives / everything if everything else 1.0

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 where there is nothing and nothing was found."""
        everything = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / everything if everything else 1.0


def overlap(truth: NDArray[np.integer], labels: NDArray[np.integer]) -> Overlap:
    """Compute the intersection over union of all pairs of objects that touch.

    Args:
        truth: (y, x), or any shape, 0 background; ids may have gaps.
        labels: the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != labels.shape:
        raise ValueError(
            f"Truth and labels must have one shape, these have {truth.shape} and {labels.shape}."
        )
    truth_ids, truth_index, truth_area = _objects(truth)
    label_ids, label_index, label_area = _objects(labels)
    both = (truth_index >= 0) & (label_index >= 0)
    pair, shared = np.unique(
        truth_index[both] * label_ids.size + label_index[both], return_counts=True
    )
    row, column = np.divmod(pair, max(label_ids.size, 1))
    iou = shared / (truth_area[row] + label_area[column] - shared)
    return Overlap(truth_ids.size, label_ids.size, truth_ids[row], label_ids[column], iou)


def match(
    truth: NDArray[np.integer], labels: NDArray[np.integer], threshold: float = 0.5
) -> NDArray[np.int64]:
    """Pair true and labelled objects one to one, as many as possible.

    Args:
        truth: (y, x), 0 background.
        labels: the same shape.
        threshold: smallest intersection over union of a pair, above 0 and at most 1.

    Returns:
        (pairs, 2): id in `truth`, id in `labels`, in the order of the truth's ids.

    Raises:
        ValueError: the shapes differ, or the threshold is out of range.
    """
    found = overlap(truth, labels)
    chosen = _chosen(found, threshold)
    return np.column_stack([found.truth_ids[chosen], found.label_ids[chosen]])


def score(
    truth: NDArray[np.integer],
    labels: NDArray[np.integer],
    thresholds: Iterable[float] = (0.5, 0.75),
) -> tuple[Score, ...]:
    """Score labels against a truth at one or more thresholds.

    Args:
        truth: (y, x), 0 background; ids may have gaps.
        labels: the same shape.
        thresholds: smallest intersection over union of a match, above 0 and at most 1.

    Returns:
        One score for each threshold.

    Raises:
        ValueError: the shapes differ, or a threshold is out of range.
    """
    found = overlap(truth, labels)
    hits = [(threshold, int(_chosen(found, threshold).size)) for threshold in thresholds]
    return tuple(Score(t, n, found.n_labels - n, found.n_truth - n) for t, n in hits)


def pooled(scores: Iterable[Score]) -> Score:
    """Add up the counts of several images, so that each object weighs the same.

    Raises:
        ValueError: no scores, or scores at different thresholds.
    """
    scores = tuple(scores)
    thresholds = {one.threshold for one in scores}
    if len(thresholds) != 1:
        raise ValueError(f"Scores are pooled at one threshold, these have {sorted(thresholds)}.")
    return Score(
        thresholds.pop(),
        sum(one.true_positives for one in scores),
        sum(one.false_positives for one in scores),
        sum(one.false_negatives for one in scores),
    )


def _objects(
    labels: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Ids, each pixel's position among them (-1 on background), and areas."""
    ids, index, area = np.unique(labels, return_inverse=True, return_counts=True)
    background = int(ids.size > 0 and ids[0] == 0)
    flat = index.ravel() - background
    return ids[background:].astype(np.int64), flat, area[background:]


def _chosen(found: Overlap, threshold: float) -> NDArray[np.intp]:
    """Positions in `found` of the pairs that a best one-to-one matching keeps."""
    if not 0 < threshold <= 1:
        raise ValueError(f"A threshold of overlap lies above 0 and at most at 1, not {threshold}.")
    above = np.flatnonzero(found.iou >= threshold)
    if threshold > _UNIQUE_ABOVE:
        return above
    lone = _alone(found.truth_ids[above]) & _alone(found.label_ids[above])
    rivals = above[~lone]
    return np.sort(np.concatenate([above[lone], rivals[_best(found, rivals)]]))


def _alone(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each entry, whether its id occurs once."""
    _, index, count = np.unique(ids, return_inverse=True, return_counts=True)
    alone: NDArray[np.bool_] = count[index] == 1
    return alone


def _best(found: Overlap, rivals: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which pairs to keep of those that compete for an object, found by linear assignment."""
    if rivals.size == 0:
        return np.zeros(0, bool)
    _, row = np.unique(found.truth_ids[rivals], return_inverse=True)
    _, column = np.unique(found.label_ids[rivals], return_inverse=True)
    gain = np.zeros((row.max() + 1, column.max() + 1))
    # A pair counts 1, its overlap decides between matchings of the same number of pairs.
    gain[row, column] = 1 + found.iou[rivals] / rivals.size
    taken = np.zeros(gain.shape, bool)
    taken[linear_sum_assignment(gain, maximize=True)] = True
    kept: NDArray[np.bool_] = taken[row, column]
    return kept
