"""Where walks end: by hand, beside Cellpose, and in every window the same."""

import numpy as np
import pytest

from segmentation.engine import models
from segmentation.walk import follow
from tests.segmentation.stock import reading_at_the_place


def _field(shape=(90, 110), seed=0):
    """Smooth flows of length up to 2 px into several sinks, and a foreground with gaps."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    sinks = rng.uniform(0, 1, (12, 2)) * shape
    away = sinks[:, :, None, None] - np.stack([y, x])
    nearest = np.hypot(away[:, 0], away[:, 1]).argmin(axis=0)
    flows = np.take_along_axis(away, nearest[None, None], axis=0)[0]
    flows = 2 * flows / np.maximum(np.hypot(*flows), 3)
    foreground = rng.random(shape) < 0.9
    return np.where(foreground, flows, 0).astype(np.float32), foreground


def test_steps_by_hand():
    """From pixel (0, 0): flow (1, 0.5) to (1, 0.5), there half of each neighbour's, and so on."""
    flows = np.zeros((2, 4, 4), np.float32)
    flows[:, 0, 0] = 1, 0.5
    flows[:, 1, 0] = 0.5, 1
    flows[:, 1, 1] = 1.5, 2
    only = np.zeros((4, 4), bool)
    only[0, 0] = True
    ends = [tuple(follow(flows, only, steps)[:, 0]) for steps in range(3)]
    assert ends == [(0, 0), (1, 0), (2, 2)]  # (1, 0.5), then on by (1, 1.5)


def test_walks_stay_in_the_image():
    everywhere = np.ones((20, 30), bool)
    assert (follow(np.full((2, 20, 30), 1.0, np.float32), everywhere, 100) == [[19], [29]]).all()
    assert not follow(np.full((2, 20, 30), -1.0, np.float32), everywhere, 100).any()


def test_walks_go_where_cellposes_go():
    """But for a few that start between two sinks."""
    flows, foreground = _field((101, 101))
    with reading_at_the_place():
        theirs = models.dynamics.follow_flows(flows, np.nonzero(foreground), niter=12).numpy()
    off = np.abs(follow(flows, foreground, 12) - theirs.astype(int)).max(axis=0)
    assert (off == 0).mean() > 0.99
    assert (off <= 1).mean() > 0.999


@pytest.mark.parametrize("window", [(0, 0, 90, 80), (13, 7, 77, 109), (1, 40, 66, 105)])
def test_no_window_changes_where_walks_end(window):
    flows, foreground = _field()
    top, left, bottom, right = window
    part = (slice(top, bottom), slice(left, right))
    ends = follow(flows, foreground, 60)
    own = follow(flows[:, *part], foreground[part], 60) + np.array([[top], [left]])
    y, x = np.nonzero(foreground)
    ends = ends[:, (y >= top) & (y < bottom) & (x >= left) & (x < right)]
    # Walks that end inside the window: they lead straight to their sink, and never left it.
    low, high = np.array([[top], [left]]) + 3, np.array([[bottom], [right]]) - 4
    inside = ((ends > low) & (ends < high)).all(axis=0)
    assert inside.sum() > 2000
    assert np.array_equal(own[:, inside], ends[:, inside])


def test_one_walker_and_no_steps():
    flows, _ = _field()
    only = np.zeros(flows.shape[1:], bool)
    only[20, 30] = True
    assert follow(flows, only, 0)[:, 0].tolist() == [20, 30]
    assert follow(flows, only, 200).shape == (2, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_flows_that_are_no_numbers(value):
    flows, foreground = _field()
    flows[0, 3, 3] = value
    with pytest.raises(ValueError, match="finite"):
        follow(flows, foreground, 5)
