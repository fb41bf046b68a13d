"""Scores of small label images, counted by hand."""

import numpy as np
import pytest
from skimage.segmentation import relabel_sequential

from segmentation.scores import Score, match, overlap, pooled, score


def _strip(*runs: tuple[int, int]) -> np.ndarray:
    """A 1 x n image of (id, length) runs."""
    return np.concatenate([np.full(length, name) for name, length in runs])[None]


def test_overlap_by_hand():
    truth = _strip((0, 2), (4, 4), (9, 4))
    labels = _strip((0, 1), (3, 3), (0, 2), (7, 4))
    found = overlap(truth, labels)
    assert (found.n_truth, found.n_labels) == (2, 2)
    # 3 lies on 2 px of 4's four: 2 / (4 + 3 - 2); 7 covers 9.
    assert found.truth_ids.tolist() == [4, 9]
    assert found.label_ids.tolist() == [3, 7]
    assert found.iou.tolist() == [0.4, 1.0]


def test_identical_labels_score_one_whatever_their_ids():
    truth = _strip((5, 3), (0, 1), (900, 2), (3, 4))
    labels = _strip((1, 3), (0, 1), (2, 2), (70_000, 4))
    for one in score(truth, labels, (0.5, 0.75, 1.0)):
        assert (one.true_positives, one.false_positives, one.false_negatives) == (3, 0, 0)
        assert one.average_precision == one.f1 == 1


def test_counts_by_hand():
    # 1 is split into 6 + 4 px: IoU 0.6 and 0.4. 2 is missed. 8 is invented.
    truth = _strip((1, 10), (0, 2), (2, 5), (0, 5))
    labels = _strip((1, 6), (2, 4), (0, 9), (8, 3))
    low, high = score(truth, labels, (0.5, 0.75))
    assert (low.true_positives, low.false_positives, low.false_negatives) == (1, 2, 1)
    assert low.average_precision == 1 / 4
    assert low.f1 == 2 / 5
    assert (high.true_positives, high.false_positives, high.false_negatives) == (0, 3, 2)
    assert high.average_precision == high.f1 == 0


def test_the_threshold_itself_counts():
    truth, labels = _strip((1, 4)), _strip((1, 3), (0, 1))
    assert score(truth, labels, (0.75,))[0].true_positives == 1
    assert score(truth, labels, (0.7501,))[0].true_positives == 0


def test_two_halves_count_once():
    """IoU of exactly one half, twice: one to one means one of them."""
    (one,) = score(_strip((1, 8)), _strip((1, 4), (2, 4)), (0.5,))
    assert (one.true_positives, one.false_positives, one.false_negatives) == (1, 1, 0)


def test_as_many_pairs_as_possible_below_one_half():
    """The best pair alone (a with 2) would leave b without a partner."""
    truth = _strip((1, 10), (2, 6))
    labels = _strip((1, 3), (2, 10), (0, 3))
    # 1-1: 3/10, 1-2: 7/13, 2-2: 3/13
    assert np.allclose(overlap(truth, labels).iou, [3 / 10, 7 / 13, 3 / 13])
    assert match(truth, labels, 0.2).tolist() == [[1, 1], [2, 2]]
    assert match(truth, labels, 0.25).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("truth", "labels", "expected"),
    [
        (_strip((0, 4)), _strip((0, 4)), (0, 0, 0, 1.0, 1.0)),
        (_strip((0, 4)), _strip((1, 4)), (0, 1, 0, 0.0, 0.0)),
        (_strip((1, 4)), _strip((0, 4)), (0, 0, 1, 0.0, 0.0)),
        (np.zeros((0, 0), int), np.zeros((0, 0), int), (0, 0, 0, 1.0, 1.0)),
    ],
)
def test_empty_images(truth, labels, expected):
    for threshold in (0.3, 0.5, 0.9):
        (one,) = score(truth, labels, (threshold,))
        counts = one.true_positives, one.false_positives, one.false_negatives
        assert (*counts, one.average_precision, one.f1) == expected
        assert match(truth, labels, threshold).shape == (0, 2)


def test_agrees_with_cellpose_on_real_nuclei(nuclei):
    from cellpose import metrics

    truth, _, _ = relabel_sequential(nuclei("stardist")[1])  # gaps make Cellpose divide by zero
    labels = np.roll(truth, 2, axis=1)
    labels[:, :2] = 0
    thresholds = [0.4, 0.5, 0.6, 0.75, 0.9]
    precision, *counts = metrics.average_precision(truth, labels, thresholds)
    found = score(truth, labels, thresholds)
    assert np.allclose([one.average_precision for one in found], precision)
    assert [one.true_positives for one in found] == counts[0].tolist()
    assert [one.false_positives for one in found] == counts[1].tolist()
    assert [one.false_negatives for one in found] == counts[2].tolist()


def test_lone_pairs_and_rivals_together():
    truth = _strip((1, 4), (0, 1), (2, 8), (0, 1), (3, 4))
    labels = _strip((6, 4), (0, 1), (7, 4), (8, 4), (0, 1), (9, 4))
    assert match(truth, labels, 0.5)[[0, 2]].tolist() == [[1, 6], [3, 9]]
    assert match(truth, labels, 0.5).shape == (3, 2)


def test_pooling_adds_counts():
    assert pooled([Score(0.5, 3, 1, 0), Score(0.5, 2, 0, 4)]) == Score(0.5, 5, 1, 4)
    with pytest.raises(ValueError, match="one threshold"):
        pooled([Score(0.5, 3, 1, 0), Score(0.75, 2, 0, 4)])
    with pytest.raises(ValueError, match="one threshold"):
        pooled([])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        score(np.zeros((3, 4), int), np.zeros((4, 3), int))


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, np.nan])
def test_thresholds_out_of_range(threshold):
    with pytest.raises(ValueError, match="threshold"):
        match(np.eye(3, dtype=int), np.eye(3, dtype=int), threshold)
