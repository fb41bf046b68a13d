"""Flows of outlines, and how far predicted flows are from them."""

import numpy as np
import pytest
import torch

from segmentation.engine import models
from segmentation.flow_check import flow_errors, flows_of_outlines


def _disc(shape, centre, radius):
    y, x = np.indices(shape)
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


@pytest.fixture
def discs():
    labels = np.zeros((120, 160), np.uint32)
    labels[_disc(labels.shape, (40, 50), 14)] = 1
    labels[_disc(labels.shape, (40, 79), 14)] = 2  # touches the first
    labels[_disc(labels.shape, (90, 110), 9)] = 3
    return labels


def test_flows_of_a_disc_point_to_its_middle():
    labels = _disc((61, 61), (30, 30), 20).astype(np.uint32)
    flows = flows_of_outlines(labels)
    y, x = np.nonzero(labels)
    away = np.hypot(y - 30, x - 30)
    far = away > 2
    cosine = (flows[0][y, x] * (30 - y) + flows[1][y, x] * (30 - x))[far] / away[far]
    assert cosine.min() > 0.97
    assert np.allclose(np.hypot(*flows[:, y[far], x[far]]), 1, atol=1e-5)
    assert not flows[:, labels == 0].any()


def test_flows_are_those_that_cellpose_trains_on(discs):
    theirs, _ = models.dynamics.masks_to_flows_gpu(discs.astype(np.int64))
    # Cellpose gives every object the steps of the largest. In the middle of a disc no direction
    # is right, and rounding decides.
    off = np.hypot(*(flows_of_outlines(discs) - theirs))
    off[[40, 40, 90], [50, 79, 110]] = 0
    assert off.max() < 0.01


def test_errors_are_those_of_cellpose(discs):
    rng = np.random.default_rng(0)
    flows = (flows_of_outlines(discs) + rng.normal(0, 0.4, (2, *discs.shape))).astype(np.float32)
    # Left to itself, Cellpose would compute its flows on a GPU, where there is one.
    theirs, _ = models.dynamics.flow_error(
        discs.astype(np.int64), 5 * flows, device=torch.device("cpu")
    )
    assert np.allclose(flow_errors(discs, flows)[1:], theirs, atol=2e-3)


def test_known_errors(discs):
    flows = flows_of_outlines(discs)
    turned = np.stack([-flows[1], flows[0]])
    assert np.allclose(flow_errors(discs, flows), 0, atol=1e-10)
    # The middle of a symmetric disc has no flow, to neither side.
    assert np.allclose(flow_errors(discs, turned)[1:], 2, rtol=0.01)
    assert np.allclose(flow_errors(discs, -flows)[1:], 4, rtol=0.01)


def test_an_object_alone_and_beside_a_large_one(discs):
    rng = np.random.default_rng(0)
    flows = rng.normal(0, 1, (2, 120, 500)).astype(np.float32)
    alone = np.zeros((120, 500), np.uint32)
    alone[:, :160] = discs
    beside = alone.copy()
    beside[10:110, 200:490] = 4
    assert np.array_equal(flow_errors(alone, flows), flow_errors(beside, flows)[:4])


def test_ids_with_gaps_keep_their_places(discs):
    flows = np.random.default_rng(0).normal(0, 1, (2, *discs.shape)).astype(np.float32)
    named = np.array([0, 7, 2, 90_000])[discs]
    errors = flow_errors(named.astype(np.uint32), flows)
    assert errors.shape == (90_001,)
    assert np.array_equal(errors[[7, 2, 90_000]], flow_errors(discs, flows)[1:])
    assert np.count_nonzero(errors) == 3


def test_a_thin_and_a_bent_object():
    """Heat falls by a factor of eight per pixel along a line, and far from the middle of a ring."""
    labels = np.zeros((70, 200), np.uint32)
    labels[5, 2:52] = 1
    labels[_disc(labels.shape, (35, 120), 20) & ~_disc(labels.shape, (35, 120), 17)] = 2
    labels[60:63] = 3
    flows = flows_of_outlines(labels)
    assert (flows[1, 5, 2:26] == 1).all()
    assert (flows[1, 5, 28:52] == -1).all()
    length = np.hypot(*flows)
    assert (length[labels > 0] > 0.99).mean() > 0.99
    assert np.isfinite(flows).all()


def test_no_objects_and_single_pixels():
    flows = np.ones((2, 9, 9), np.float32)
    assert not flow_errors(np.zeros((9, 9), np.uint32), flows)[1:].size
    corner = np.zeros((9, 9), np.uint32)
    corner[0, 0], corner[8, 8] = 1, 2
    assert np.allclose(flow_errors(corner, flows)[1:], 2)
