"""Light that images of a batch share, with lights that are known."""

import numpy as np
import pytest

from measurements.borrowed_light import (
    MOST_APART,
    empty_field,
    shared_light,
    shows_light,
    told_light,
)
from measurements.errors import MeasurementError
from measurements.light_surface import Light
from measurements.optical_density import LightSettings
from measurements.stains import NEUTRAL, X_GAL, stain_weights

SHAPE = (120, 140)
PLAIN = LightSettings()


def light(level=200.0, tint=(0.0, 0.0, 0.0), slope=0.0):
    """Light that rises along the rows, and whose red, green and blue differ by these logarithms."""
    grey = np.array([np.log(level), slope, 0.0])
    return Light(SHAPE, grey, tuple(np.array([t]) for t in tint))


def shared(*lights, settings=PLAIN, residual=NEUTRAL):
    return shared_light(lights, settings, X_GAL, residual)


def test_exposure_is_no_matter_of_a_neutral_residual():
    found = shared(light(100.0), light(200.0, slope=-0.2), light(240.0))
    assert found.apart == pytest.approx(0, abs=1e-5)
    assert shared(light(100.0), light(200.0), residual=(0.2, 0.85, 0.48)).apart > MOST_APART


def test_lights_lie_apart_by_the_stain_that_an_empty_field_would_show():
    tint = (0.03, 0.0, -0.03)
    found = shared(light(), light(), light(tint=tint))
    told = abs(stain_weights(X_GAL, NEUTRAL) @ np.array(tint)) / np.log(10)
    assert found.apart == pytest.approx(told, rel=1e-3)
    assert np.array(found.light.tints).ravel() == pytest.approx(np.array(tint) / 3)


def test_light_of_lower_order_is_told_by_its_lower_terms():
    flat = Light(SHAPE, np.array([np.log(200.0)]), light().tints)
    assert shared(flat, light(slope=0.2)).light.grey == pytest.approx([np.log(200), 0.1, 0])


def test_an_empty_field_tells_the_light_that_it_was_made_of():
    settings = LightSettings(dark=(10.0, 12.0, 8.0))
    known = light(tint=(0.05, 0.0, -0.05), slope=0.2)
    picture = empty_field(known, settings)
    told = told_light(picture, np.ones(SHAPE, bool), settings)
    assert empty_field(told, settings) == pytest.approx(picture, rel=2e-3)
    assert shared(known, told, settings=settings).apart < 1e-3


def test_light_of_one_image_or_of_two_shapes_is_not_shared():
    with pytest.raises(MeasurementError, match="two images or more of one shape"):
        shared(light())
    other = Light((10, 10), light().grey, light().tints)
    with pytest.raises(MeasurementError, match="one shape"):
        shared(light(), other)


def test_a_slit_shows_light_and_single_pixels_do_not():
    slit, dots = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    slit[:3, :11], dots[::10, ::11] = True, True
    assert shows_light(slit)
    assert not shows_light(dots)
