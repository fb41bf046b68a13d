"""Light of an image that cells cover, borrowed from images beside it that show background.

A picture without background shows no empty field, and cells that stand in for it take stain out of
what they hold. Images of one batch were taken in one light, so that those with background tell it,
if what they tell agrees. Exposure may differ: with a neutral residual it changes no stain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.jpeg import restored, went_through_jpeg
from measurements.light_surface import Light
from measurements.optical_density import (
    LightSettings,
    background_tiles,
    fit_light,
    sampling_step,
)
from measurements.regions import Floats
from measurements.stains import Vector, stain_amount, stain_weights

LEAST_LENDERS = 3
"""Two that agree may do so by chance [judgement]."""
MOST_APART = 0.002
"""Where light counts as one [judgement]: half of the SD of unstained cells, so that a gate of 5 %
takes 13 % of them at most for stained. Simulated batches of one light lie up to 0.0005 apart, of a
lamp whose colours drift by 0.5 % 0.008, of a camera that balances white by what it sees 0.03."""
GRID = 12


@dataclass(frozen=True, slots=True, eq=False)
class SharedLight:
    """Light that images of a batch have in common.

    Attributes:
        light: the mean of theirs, as logarithms.
        apart: how far the light of the image that agrees least lies from the mean of the others:
            root mean square over the field, as an optical density of the stain.
    """

    light: Light
    apart: float


def shows_light(background: NDArray[np.bool_]) -> bool:
    """Whether background (y, x) shows anywhere enough for `told_light` to need no cells."""
    step = sampling_step(background.shape)
    return len(background_tiles(background[::step, ::step])) > 0


def told_light(rgb: NDArray[Any], background: NDArray[np.bool_], settings: LightSettings) -> Light:
    """Light that a picture's own background tells; see `optical_density.incident_light`.

    Args:
        rgb: (y, x, 3), any real dtype.
        background: bool (y, x), true where there is no cell.
        settings: dark level and the order of the polynomial.

    Raises:
        MeasurementError: the background is not above dark.
    """
    picture, step = restored(rgb) if went_through_jpeg(rgb) else rgb, sampling_step(rgb.shape)
    every = slice(None, None, step), slice(None, None, step)
    return fit_light(picture[every], background[every], settings, settings.order, rgb.shape)


def empty_field(light: Light, settings: LightSettings) -> NDArray[np.float32]:
    """Picture (y, x, 3) that an empty field would give in this light."""
    rows, columns = light.shape
    dark = np.asarray(settings.dark, dtype=np.float32)
    return light.over(slice(0, rows), slice(0, columns)) + dark


def shared_light(
    lights: Sequence[Light], settings: LightSettings, stain: Vector, residual: Vector
) -> SharedLight:
    """Light of the images together, and how far they agree.

    Each image's light is told by the others, as that of a covered image would be: what stain an
    empty field would then show is what borrowing errs by.

    Args:
        lights: of at least two images of one shape.
        settings: dark level and encoding.
        stain: vector of the stain.
        residual: vector of what is not stain.

    Raises:
        MeasurementError: fewer than two, or not of one shape.
    """
    if len(lights) < 2 or len({light.shape for light in lights}) > 1:
        raise MeasurementError(
            f"Light is shared by two images or more of one shape, got "
            f"{[light.shape for light in lights]}."
        )
    weights = stain_weights(stain, residual)
    apart = [
        _stain_between(_mean([*lights[:n], *lights[n + 1 :]]), own, settings, weights)
        for n, own in enumerate(lights)
    ]
    return SharedLight(_mean(lights), max(apart))


def _stain_between(told: Light, own: Light, settings: LightSettings, weights: Floats) -> float:
    """Stain that an empty field in its own light shows in the light it is told to have (RMS)."""
    empty = empty_field(replace(own, shape=(GRID, GRID)), settings)
    light = replace(told, shape=(GRID, GRID)).over(slice(0, GRID), slice(0, GRID))
    stain = stain_amount(empty, light, settings, weights)
    return float(np.sqrt(np.mean(stain**2)))


def _mean(lights: Sequence[Light]) -> Light:
    """Mean of the logarithms, coefficient by coefficient."""
    grey = _mean_of([light.grey for light in lights])
    tints = tuple(_mean_of([light.tints[colour] for light in lights]) for colour in range(3))
    return Light(lights[0].shape, grey, tints)


def _mean_of(coefficients: Sequence[Floats]) -> Floats:
    """Mean of polynomials; one of lower order has no terms of the higher ones, which come last."""
    longest = max(map(len, coefficients))
    padded = [np.pad(each, (0, longest - len(each))) for each in coefficients]
    return np.asarray(np.mean(padded, axis=0))
