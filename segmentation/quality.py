"""What is wrong with labels, beyond a single score: split, merged, missed, too large.

Average precision over thresholds as in the Data Science Bowl 2018 (Caicedo et al. 2019, Nature
Methods 16:1247-1253); panoptic quality after Kirillov et al. 2019 (CVPR, 9404-9413).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation.scores import match, overlap, score

THRESHOLDS = tuple(float(t) for t in np.round(np.arange(0.5, 1.0, 0.05), 2))
# [judgement] A part belongs to an object that holds more than this share of its area.
_PART = 0.5


@dataclass(frozen=True, slots=True)
class Quality:
    """How labels of one image agree with a truth.

    Attributes:
        n_truth: true objects.
        n_labels: labelled objects.
        ap50: TP / (TP + FP + FN) at an intersection over union of 0.5.
        ap75: the same at 0.75.
        ap: mean of the same over 0.5, 0.55 ... 0.95.
        f1: 2 TP / (2 TP + FP + FN) at 0.5.
        panoptic: F1 at 0.5 times the matched objects' mean intersection over union; 1 where
            there is nothing and nothing was found.
        missed: true objects without a match at 0.5.
        extra: labelled objects without one.
        split: true objects that hold most of the area of two or more labelled ones.
        merged: labelled objects that hold most of the area of two or more true ones.
        count_bias: labelled over true objects, less 1; NaN without true objects.
        size_bias: median over matched pairs of labelled over true area, less 1; NaN without.
    """

    n_truth: int
    n_labels: int
    ap50: float
    ap75: float
    ap: float
    f1: float
    panoptic: float
    missed: int
    extra: int
    split: int
    merged: int
    count_bias: float
    size_bias: float


def assess(truth: NDArray[np.integer], labels: NDArray[np.integer]) -> Quality:
    """Compare labels with a truth.

    Args:
        truth: (y, x), 0 background; ids may have gaps.
        labels: the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    scores = score(truth, labels, THRESHOLDS)
    found, pairs = overlap(truth, labels), match(truth, labels)
    half = scores[0]
    iou = {
        (int(t), int(k)): float(v)
        for t, k, v in zip(found.truth_ids, found.label_ids, found.iou, strict=True)
    }
    matched = [iou[int(t), int(k)] for t, k in pairs]
    overlapping = float(np.mean(matched)) if matched else 0.0
    nothing = found.n_truth == found.n_labels == 0
    return Quality(
        n_truth=found.n_truth,
        n_labels=found.n_labels,
        ap50=half.average_precision,
        ap75=scores[THRESHOLDS.index(0.75)].average_precision,
        ap=float(np.mean([one.average_precision for one in scores])),
        f1=half.f1,
        panoptic=1.0 if nothing else half.f1 * overlapping,
        missed=half.false_negatives,
        extra=half.false_positives,
        split=wholes_with_parts(truth, labels).size,
        merged=wholes_with_parts(labels, truth).size,
        count_bias=found.n_labels / found.n_truth - 1 if found.n_truth else float("nan"),
        size_bias=_size_bias(truth, labels, pairs),
    )


def wholes_with_parts(wholes: NDArray[np.integer], parts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Find objects that hold more than half of the area of two or more objects of another image.

    Args:
        wholes: (y, x) labels. With the truth here these are the split objects, with the labels
            the merged ones.
        parts: (y, x) labels of the same shape.

    Returns:
        Ids in `wholes`, ascending.
    """
    part_ids, area = np.unique(parts[parts > 0], return_counts=True)
    both = (wholes > 0) & (parts > 0)
    pairs, shared = np.unique(
        np.stack([wholes[both], parts[both]]).astype(np.int64), axis=1, return_counts=True
    )
    held = shared > _PART * area[np.searchsorted(part_ids, pairs[1])]
    ids, count = np.unique(pairs[0, held], return_counts=True)
    several: NDArray[np.int64] = ids[count >= 2]
    return several


def _size_bias(
    truth: NDArray[np.integer], labels: NDArray[np.integer], pairs: NDArray[np.int64]
) -> float:
    if not len(pairs):
        return float("nan")
    areas = []
    for image, ids in ((truth, pairs[:, 0]), (labels, pairs[:, 1])):
        known, area = np.unique(image, return_counts=True)
        areas.append(area[np.searchsorted(known, ids)])
    return float(np.median(areas[1] / areas[0])) - 1
