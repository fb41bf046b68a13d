import numpy as np
import pytest
from scipy import ndimage

from measurements.errors import MeasurementError
from measurements.haze import Haze, HazeSettings, estimate_haze
from tests.measurements.label_images import disc

SHAPE = (240, 260)
CENTRES = ((60, 60), (60, 104), (170, 70), (120, 200), (200, 190))
BRIGHT = np.array([0.0, 4000.0, 0.0, 400.0, 3000.0, 0.0])


def scene(fraction=0.15, sigma=20.0, tilt=0.0, seed=0):
    """Five discs, two of them dark and one of these touching a bright one; Poisson noise."""
    cells = np.zeros(SHAPE, dtype=np.uint32)
    for label, (y, x) in enumerate(CENTRES, start=1):
        cells[disc(SHAPE, y, x, 22) & (cells == 0)] = label
    light = BRIGHT[cells]
    y, x = np.indices(SHAPE) / 250
    haze = fraction * ndimage.gaussian_filter(light, sigma, mode="constant")
    expected = light + haze + 100 + tilt * (x - 0.5 * y**2)
    return np.random.default_rng(seed).poisson(expected).astype(np.uint16), cells, haze


def test_a_dark_cell_beside_a_bright_one_becomes_dark():
    image, cells, haze = scene()
    found = estimate_haze(image, cells, HazeSettings())
    dark = cells == 2
    raw = image[dark].mean() - 100
    assert raw > 30
    # 20 px is none of the widths, so that the nearest stand in for it.
    assert abs(image[dark].mean() - found.light[dark].mean() - 100) < 0.1 * raw
    assert found.fraction.sum() == pytest.approx(0.15, abs=0.03)
    outside = cells == 0
    wrong = np.abs(found.light - haze)[outside].mean()
    assert wrong < 0.15 * haze[outside].mean()


def test_haze_of_a_listed_width_is_found_as_it_is():
    image, cells, haze = scene(sigma=12.0)
    found = estimate_haze(image, cells, HazeSettings())
    np.testing.assert_allclose(found.fraction, [0.15, 0, 0], atol=0.005)
    # The grid on which it is blurred and the noise leave 2 %.
    np.testing.assert_allclose(found.light, haze, atol=0.02 * haze.max())


def test_uneven_light_is_not_haze():
    image, cells, _ = scene(fraction=0.0, tilt=60.0)
    found = estimate_haze(image, cells, HazeSettings())
    # The darkest cells decide: 5 grey values are half of one pixel's noise.
    assert found.light.max() < 5


def test_without_cells_or_without_background_nothing_is_taken_off():
    image, cells, _ = scene()
    empty = estimate_haze(image, np.zeros_like(cells), HazeSettings())
    assert not empty.light.any()
    full = estimate_haze(image, np.ones_like(cells), HazeSettings())
    assert not full.light.any()
    assert "free of cells" in full.note


def test_the_image_is_left_alone_and_8_bit_does_not_wrap():
    image, cells, _ = scene()
    small = (image // 16).astype(np.uint8)
    before = small.copy()
    found = estimate_haze(small, cells > 0, HazeSettings())
    np.testing.assert_array_equal(small, before)
    assert isinstance(found, Haze)
    assert found.light.min() > -1
    assert found.fraction.sum() == pytest.approx(0.15, abs=0.03)


def test_what_does_not_fit_is_refused():
    image, cells, _ = scene()
    with pytest.raises(MeasurementError, match="expected both"):
        estimate_haze(image, cells[:-1], HazeSettings())
    with pytest.raises(MeasurementError, match="widths above 0"):
        estimate_haze(image, cells, HazeSettings(widths=()))
