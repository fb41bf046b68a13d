"""Crops and steps: a tiny network on discs."""

import copy

import numpy as np
import pytest
import torch

from segmentation.network import CompactNet
from segmentation.training.batches import Augmentation, draw_batch, make_pool
from segmentation.training.loop import Settings, train
from segmentation.training.loss import loss
from segmentation.training.samples import TrainingError, make_sample
from tests.segmentation.training.test_samples import discs, picture

CPU = torch.device("cpu")
SETTINGS = Settings(
    steps=40, batch=4, side_px=64, learning_rate=3e-3, warm_up=5, average=0.9, round_steps=10
)
MILD = Augmentation(scale_far=0.3, blur_px=0.5, noise=0.02, invert=0.0)


@pytest.fixture(scope="module")
def pool():
    labels = discs((20, 20, 12), (70, 30, 14), (40, 75, 13), (80, 80, 12), side=100)
    return make_pool([make_sample("discs", picture(labels), labels)], CPU)


def tiny() -> CompactNet:
    torch.manual_seed(0)
    return CompactNet((8, 16, 16, 16))


def batch_of(pool, seed=5, side=64, augmentation=MILD):
    return draw_batch(pool, 8, side, augmentation, torch.Generator().manual_seed(seed))


def test_flows_of_crops_still_point_to_the_middle_of_turned_and_mirrored_objects(pool):
    still = Augmentation(scale=0, scale_far=0, stretch=0)
    batch = batch_of(pool, side=128, augmentation=still)
    flows, inside = batch.flows.numpy(), batch.inside[:, 0].numpy() > 0
    for crop, mask in zip(flows, inside, strict=True):
        assert np.hypot(*crop)[~mask].max() == 0
        # Followed for the radius of a disc and more, pixels gather in a few places.
        at = np.stack(np.nonzero(mask)).astype(float)
        for _ in range(60):
            y, x = np.clip(at.round().astype(int), 0, 127)
            at += crop[:, y, x] * 0.5
        y, x = np.clip(at.round().astype(int), 0, 127)
        assert mask[y, x].mean() > 0.97
        places = np.unique(np.stack([y, x]) // 8, axis=1).shape[1]
        assert places <= 16


def test_objects_have_the_diameter_of_the_network(pool):
    still = Augmentation(scale=0, scale_far=0, stretch=0, mirror_edges=0)
    batch = batch_of(pool, side=160, augmentation=still)
    area = float(batch.inside.sum((1, 2, 3)).max()) / 4  # four discs where all are in the crop
    assert 2 * np.sqrt(area / np.pi) == pytest.approx(30, rel=0.1)


def test_one_seed_is_one_batch(pool):
    assert torch.equal(batch_of(pool).image, batch_of(pool).image)
    assert not torch.equal(batch_of(pool).image, batch_of(pool, seed=6).image)


def test_training_lowers_the_loss_and_beats_an_untrained_network(pool):
    untrained, network = tiny().eval(), tiny()
    done = train(network, pool, SETTINGS)
    assert done.rounds[-1].loss < 0.7 * done.rounds[0].loss
    network.load_state_dict(done.best)
    batch = batch_of(pool, seed=999)
    with torch.no_grad():
        before, after = (loss(n.eval()(batch.image), batch, 0.5) for n in (untrained, network))
    assert after < 0.8 * before


def test_a_training_stopped_within_a_round_ends_with_the_weights_of_an_undisturbed_one(pool):
    step, kept = 23, {}

    def keep(moment):
        if moment.step == step:
            kept[step] = copy.deepcopy(moment.checkpoint())

    whole = train(tiny(), pool, SETTINGS, report=keep)
    torch.manual_seed(77)  # whatever the process did meanwhile
    resumed = train(tiny(), pool, SETTINGS, start=kept[step])
    assert kept[step].step == step
    assert len(kept[step].losses) == 3
    assert resumed.rounds == whole.rounds
    for name, value in whole.best.items():
        assert torch.equal(value, resumed.best[name]), name


def test_the_best_weights_are_kept_and_training_stops_where_they_get_no_better(pool):
    scores = iter([0.1, 0.5, 0.4, 0.3])
    settings = Settings(steps=80, batch=1, side_px=32, round_steps=1, patience=2)
    at = []
    done = train(
        tiny(),
        pool,
        settings,
        validate=lambda _: next(scores),
        report=lambda moment: at.append(moment.checkpoint().average["head.bias"].clone()),
    )
    assert (done.step, done.best_score) == (4, 0.5)
    assert torch.equal(done.best["head.bias"], at[1])


def test_settings_that_cannot_be():
    with pytest.raises(TrainingError, match="32, 48, 64"):
        Settings(side_px=100)
    with pytest.raises(TrainingError, match="above 0"):
        Settings(learning_rate=0)


def test_a_loss_that_is_no_number(pool):
    settings = Settings(steps=8, batch=1, side_px=32, learning_rate=1e30, warm_up=0)
    with pytest.raises(TrainingError, match="lower learning rate"):
        train(tiny(), pool, settings)
