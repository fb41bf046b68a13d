"""From flows to masks: held against Cellpose's own, computed from the same flows.

Cellpose scales places so that -1 and 1 are the centres of the outermost pixels, and has the flows
read by a rule for which they are their outer edges: up to half a pixel beside the walker, by its
place in the image. Where objects touch, a few pixels go to the other one. Held against Cellpose
that reads at the place itself (`reading_at_the_place`), the masks are the same.
"""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from segmentation.dynamics import gather, masks_of
from segmentation.engine import models
from segmentation.flow_check import flows_of_outlines
from segmentation.outlines import in_raster_order
from segmentation.scores import score
from tests.segmentation.stock import reading_at_the_place

STOCK = models.dynamics


def _crowd(side, count, seed=0, radii=(4, 16)):
    """Ellipses at random, many of which touch or are partly covered: (side, side) labels."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    labels = np.zeros((side, side), np.uint32)
    for number in range(1, count + 1):
        a, b = rng.uniform(*radii, 2)
        u, v = y - rng.uniform(0, side), x - rng.uniform(0, side)
        turn = rng.uniform(0, np.pi)
        along, across = (
            u * np.cos(turn) + v * np.sin(turn),
            v * np.cos(turn) - u * np.sin(turn),
        )
        labels[((along / a) ** 2 + (across / b) ** 2 <= 1) & (labels == 0)] = number
    return in_raster_order(labels)


def _flows(labels, noise=0.0, seed=0):
    """What a network would put out for these objects, with errors of some extent."""
    rng = np.random.default_rng(seed)
    flows = 5 * flows_of_outlines(labels) + noise * rng.normal(size=(2, *labels.shape))
    return flows.astype(np.float32), np.where(labels > 0, 4, -4).astype(np.float32)


def _stock(flows, logit, steps=200, min_size=15, **settings):
    masks = STOCK.resize_and_compute_masks(flows, logit, niter=steps, min_size=min_size, **settings)
    return in_raster_order(masks)


def _agreement(flows, logit, steps=200, iou=0.99, **settings):
    """Share of objects that ours and corrected Cellpose's masks have in common at that IoU."""
    ours = masks_of(flows, logit, steps=steps, **settings)
    if "min_size_px" in settings:
        settings["min_size"] = settings.pop("min_size_px")
    with reading_at_the_place():
        theirs = _stock(flows, logit, steps, **settings)
    (same,) = score(theirs, ours, (iou,))
    assert same.true_positives > 5
    return same.average_precision


NETWORK = pytest.mark.parametrize(
    ("name", "scale"), [("stardist", 1.3), ("dsb_sparse", 2.7), ("dsb_dim", 1.53)]
)


@pytest.fixture
def predicted(compact, nuclei):
    def flows_and_logit(name, scale):
        image = nuclei(name)[0].astype(np.float32)
        low, high = np.percentile(image, [1, 99])
        scaled = (image - low) / (high - low)
        flows, logit, _ = compact.cellpose._run_net(scaled[np.newaxis, ..., np.newaxis], scale)
        return flows[:, 0], logit[0]

    return flows_and_logit


@NETWORK
def test_masks_of_a_networks_output(predicted, name, scale):
    assert _agreement(*predicted(name, scale), int(200 / scale)) == 1


@NETWORK
def test_masks_beside_those_of_cellpose_as_it_is(predicted, name, scale):
    """Nuclei of 11 px that touch, of which a row of pixels is over a tenth, differ the most."""
    flows, logit = predicted(name, scale)
    steps = int(200 / scale)
    (same,) = score(_stock(flows, logit, steps), masks_of(flows, logit, steps=steps), (0.8,))
    assert same.true_positives > 20
    assert same.average_precision == 1


@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("flow_threshold", [0.4, 0.0])
def test_masks_of_a_crowd(noise, flow_threshold):
    """At most one of 50 outlines whose flows are as far off as the threshold may go either way."""
    flows, logit = _flows(_crowd(160, 60), noise)
    assert _agreement(flows, logit, flow_threshold=flow_threshold) >= 0.98


def test_masks_of_flows_that_are_noise():
    """Walks along ridges between objects end anywhere, by the last bit of a float."""
    assert _agreement(*_flows(_crowd(160, 60), 3), iou=0.9, flow_threshold=0.0) > 0.9


def test_settings_mean_what_they_mean_to_cellpose():
    flows, logit = _flows(_crowd(120, 25), 1)
    logit += gaussian_filter(np.random.default_rng(1).normal(0, 20, logit.shape), 3)
    given = {"cellprob_threshold": 2.0, "min_size_px": 60}
    assert _agreement(flows, logit, 90, **given) == 1
    masks = masks_of(flows, logit, steps=90, **given)
    assert not np.array_equal(masks > 0, masks_of(flows, logit, min_size_px=60) > 0)
    assert np.bincount(masks.ravel())[1:].min() >= 60


def test_ends_that_overlap_belong_to_the_higher_peak():
    """Two peaks 7 px apart on a bridge of ends, which each follows for 5 px."""
    columns = {20: 40, 21: 5, 22: 5, 23: 5, 24: 5, 25: 5, 26: 5, 27: 30}
    at = [(20, x) for x, walks in columns.items() for _ in range(walks)]
    at += [(20, 30)] * 3 + [(22, 31)] * 9 + [(5, 5)] * 10  # beyond a gap, and not more than ten
    ends = np.array(at).T
    objects = gather(ends, (40, 40))
    higher, lower = objects[0], objects[ends[1] == 27][0]
    assert 0 < lower < higher
    assert (objects[(ends[0] == 20) & (ends[1] <= 25)] == higher).all()
    assert (objects[ends[1] == 26] == lower).all()
    assert not objects[ends[1] > 27].any()
    assert not objects[ends[0] == 5].any()


def test_threads_do_not_matter():
    flows, logit = _flows(_crowd(300, 150), 1)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(masks_of(flows, logit))
    finally:
        torch.set_num_threads(before)
    assert found[0].max() > 50
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_a_block_gives_the_masks_of_the_whole():
    flows, logit = _flows(_crowd(300, 160))
    whole = masks_of(flows, logit, max_size_px=np.inf)
    block = (slice(51, 250), slice(62, 263))
    part = masks_of(flows[:, *block], logit[block], max_size_px=np.inf)
    cut = np.zeros(whole.max() + 1, bool)
    outside = whole.copy()
    outside[71:230, 82:243] = 0
    cut[outside] = True
    inside = [n for n in np.unique(whole[block]) if not cut[n]]
    assert len(inside) > 15
    for number in inside:
        mask = whole[block] == number
        assert np.array_equal(mask, part == np.bincount(part[mask]).argmax())


def test_the_arrays_stay():
    flows, logit = _flows(_crowd(100, 20))
    before = flows.copy(), logit.copy()
    flows.setflags(write=False)
    logit.setflags(write=False)
    masks_of(flows, logit)
    assert np.array_equal(flows, before[0])
    assert np.array_equal(logit, before[1])


def test_nothing_and_everything():
    flows = np.zeros((2, 40, 50), np.float32)
    assert not masks_of(flows, np.full((40, 50), -1, np.float32)).any()
    still = masks_of(flows, np.ones((40, 50), np.float32))  # no walk ends anywhere
    assert still.shape == (40, 50)
    assert still.dtype == np.uint32
    assert not still.any()


def test_the_largest_size_is_a_share_of_the_image_or_a_number():
    y, x = np.indices((60, 60))
    flows, logit = _flows(((y - 30) ** 2 + (x - 30) ** 2 < 24**2).astype(np.uint32))
    assert (logit > 0).mean() > 0.4
    assert not masks_of(flows, logit).any()
    assert masks_of(flows, logit, max_size_px=np.inf).max() == 1
    assert not masks_of(flows, logit, max_size_px=100).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_flows_that_are_no_numbers(value):
    flows, logit = _flows(_crowd(60, 8))
    flows[0, *np.argwhere(logit > 0)[5]] = value
    with pytest.raises(ValueError, match="finite"):
        masks_of(flows, logit)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(2, 8, 9\).*\(9, 8\)"):
        masks_of(np.zeros((2, 8, 9), np.float32), np.zeros((9, 8), np.float32))
