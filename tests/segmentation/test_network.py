"""The compact network."""

import numpy as np
import torch

from segmentation.catalogue import COMPACT_WEIGHTS
from segmentation.network import SIDE_MULTIPLE, WIDTHS, CompactNet, without_batch_norm


def _shipped() -> CompactNet:
    network = CompactNet()
    state = torch.load(COMPACT_WEIGHTS, weights_only=True)
    network.load_state_dict(state)  # strict: every name and shape
    return network.eval()


def test_shipped_weights_fit():
    parameters = sum(p.numel() for p in _shipped().parameters())
    assert parameters == 5_607_379


def test_output_has_three_planes_of_the_input():
    with torch.no_grad():
        out = _shipped()(torch.zeros(2, 1, SIDE_MULTIPLE, 3 * SIDE_MULTIPLE))
    assert out.shape == (2, 3, SIDE_MULTIPLE, 3 * SIDE_MULTIPLE)
    assert 2 ** len(WIDTHS) == SIDE_MULTIPLE


def test_flows_point_to_the_middle_of_a_disc():
    y, x = np.mgrid[:256, :256]
    disc = ((y - 128) ** 2 + (x - 128) ** 2 < 15**2).astype(np.float32)
    with torch.no_grad():
        flow_y, flow_x, logit = _shipped()(torch.from_numpy(disc)[None, None])[0].numpy()
    inside = disc > 0
    assert (logit[inside] > 0).mean() > 0.9
    assert (logit[~inside] < 0).mean() > 0.99
    assert flow_y[116, 128] > 2
    assert flow_y[140, 128] < -2
    assert flow_x[128, 116] > 2
    assert flow_x[128, 140] < -2


def test_folding_changes_nothing_but_rounding_and_leaves_the_original():
    network = _shipped()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = without_batch_norm(network)
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = (network(image) - folded(image)).abs().max()
    assert difference < 1e-4
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
