"""What training refuses and passes over."""

import numpy as np
import pytest

from segmentation.training.flows import diffusion_flows
from segmentation.training.samples import (
    IGNORED,
    TrainingError,
    make_sample,
    median_diameter,
    with_diameters,
)


def discs(*places: tuple[int, int, int], side: int = 64) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.int32)
    for number, (cy, cx, radius) in enumerate(places, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = number
    return labels


def picture(labels: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(10, 1, labels.shape)
    return noise + 100.0 * (labels > 0)


def test_flows_of_a_disc_point_to_its_middle():
    labels = discs((30, 34, 12))
    flows = diffusion_flows(labels)
    y, x = np.mgrid[:64, :64]
    towards = np.stack([30 - y, 34 - x]) / np.maximum(np.hypot(30 - y, 34 - x), 1e-9)
    apart = (flows * towards).sum(0)[(labels > 0) & (np.hypot(30 - y, 34 - x) > 2)]
    assert apart.min() > 0.98
    assert not flows[:, labels == 0].any()


def test_flows_do_not_depend_on_other_objects():
    alone, touching = discs((20, 20, 8)), discs((20, 20, 8), (20, 37, 9), (50, 30, 10))
    both = alone == 1
    both &= touching == 1
    first, second = (
        diffusion_flows(np.where(both, 1, 0)),
        diffusion_flows(np.where(both, 1, np.where(touching > 1, touching, 0))),
    )
    assert np.abs(first - second)[:, both].max() < 1e-6


def test_flows_lead_along_a_thin_bent_object():
    labels = np.zeros((80, 80), np.int32)
    labels[5:75, 10:13] = 1
    labels[72:75, 10:75] = 1
    flows = diffusion_flows(labels)
    y, x = np.nonzero(labels)
    middle = np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2)
    # From both ends, where heat has fallen by many powers of ten.
    for start in ([6.0, 11.0], [73.0, 73.0]):
        at = np.array(start)
        for _ in range(300):
            at += flows[:, round(at[0]), round(at[1])] * 0.5
        assert np.hypot(at[0] - y[middle], at[1] - x[middle]) < 2.5


def test_a_mask_of_another_size():
    with pytest.raises(TrainingError, match=r"mine\.tif.*64 x 64.*32 x 64"):
        make_sample("mine.tif", picture(discs()), discs()[:32])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers(value):
    image = picture(discs((20, 20, 8)))
    image[3, 3] = value
    with pytest.raises(TrainingError, match="1 of 4096"):
        make_sample("x", image, discs((20, 20, 8)))


def test_a_mask_of_fractions_and_an_image_of_one_value():
    with pytest.raises(TrainingError, match="whole numbers"):
        make_sample("x", picture(discs()), discs().astype(float))
    with pytest.raises(TrainingError, match="one grey value"):
        make_sample("x", np.full((64, 64), 7), discs((20, 20, 8)))


def test_one_pixel_objects_are_passed_over_not_learned():
    labels = discs((20, 20, 8))
    labels[50, 50] = 2
    labels[60, 5:7] = 3
    sample = make_sample("x", picture(labels), labels)
    assert (sample.n_objects, sample.n_ignored) == (1, 2)
    assert sample.labels[50, 50] == IGNORED
    assert sample.diameter_px == pytest.approx(16.2, abs=0.5)


def test_an_object_in_two_pieces_is_two():
    labels = discs((15, 15, 8), (45, 45, 8))
    assert make_sample("x", picture(labels), (labels > 0).astype(np.uint8)).n_objects == 2


def test_a_mask_without_objects_takes_the_diameter_of_the_others():
    full, empty = discs((20, 20, 8)), discs()
    samples = [make_sample("a", picture(full), full), make_sample("b", picture(full), empty)]
    assert np.isnan(samples[1].diameter_px)
    assert with_diameters(samples)[1].diameter_px == samples[0].diameter_px
    with pytest.raises(TrainingError, match="None of 1 masks"):
        with_diameters(samples[1:])


def test_median_diameter_of_equal_areas():
    assert median_diameter(discs((20, 20, 8))) == pytest.approx(2 * np.sqrt(197 / np.pi))
    assert np.isnan(median_diameter(discs()))
