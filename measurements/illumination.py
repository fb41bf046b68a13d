"""The light of a channel over the field, estimated from many images of it, and taken off.

A camera records offset + light x amount: where less light falls every cell is dimmer by the same
factor, whatever its brightness. The logarithm of the light is taken as a second-order polynomial
of the place (Likar et al. 2000, J Microsc 197:285), which is positive everywhere and fits
vignetting as well as a tilted lamp. It is fitted to what whole cells add to the background, one
value a cell, and not to pixels: the background holds the camera's offset, where cells lie closer
an image is brighter though its light is not, and of a dim cell fewer pixels pass a threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.background import robust_sd
from measurements.errors import MeasurementError
from measurements.quality import saturation_level
from measurements.regions import Floats

SIDE = 192
"""Longest side that images are reduced to: light is smooth."""
TILES = 8
BACKGROUND_PERCENTILE = 10
SHARE_OF_PEAK = 0.5
"""Of the brightest place near by, that a pixel must reach to belong to a cell [judgement]."""
NEIGHBOURHOOD = 13
NOISES = 5.0
"""Noise levels that the peak of a cell rises above the background [judgement]."""
LEAST_PIXELS = 8
CELLS_TO_TERMS = 10
MINIMUM_IMAGES = 5
MOST_UNCERTAIN = 0.03
"""Standard error of the light above which it is not corrected [judgement]."""
OFFSET_PERCENTILE = 0.1
SMOOTHING = 0.01
"""Of a picture of the light: standard deviation by the longest side [judgement]."""


@dataclass(frozen=True, slots=True)
class LightProfile:
    """Light over the field.

    Attributes:
        coefficients: of y, x, y², yx and x² in the light's logarithm; y and x go from -1 to 1.
        n_images: images that it comes from.
        n_cells: cells in them that it was fitted to.
        uncertainty: standard error of the light's logarithm, root mean square over the field, from
            how much cells differ.
    """

    coefficients: tuple[float, ...]
    n_images: int
    n_cells: int
    uncertainty: float

    def gain(self, shape: tuple[int, ...]) -> Floats:
        """Light at every pixel of an image (y, x), with a mean of 1."""
        light = np.exp(_terms(shape) @ np.array(self.coefficients)).reshape(shape)
        gain: Floats = light / light.mean()
        return gain

    @property
    def fall_off(self) -> float:
        """1 - least / largest light."""
        gain = self.gain((64, 64))
        return float(1 - gain.min() / gain.max())


def estimate_profile(images: Sequence[NDArray[Any]]) -> LightProfile:
    """Estimate the light of one channel.

    Args:
        images: (y, x) of the same shape, taken with the same optics, with bright cells on a dark
            background; at least `MINIMUM_IMAGES`, and better 20 and more.

    Raises:
        MeasurementError: too few images, different shapes, or no cell in them.
    """
    shapes = {image.shape for image in images}
    if len(images) < MINIMUM_IMAGES or len(shapes) > 1:
        raise MeasurementError(
            f"{len(images)} images of shapes {sorted(shapes)} were given; estimating the light "
            f"needs at least {MINIMUM_IMAGES} images of one shape: give a picture of the light "
            "instead, or none."
        )
    found = [_cells(reduced(image)) for image in images]
    n_cells = sum(logs.size for _, logs in found)
    n_terms = found[0][0].shape[1]
    if n_cells < CELLS_TO_TERMS * n_terms:
        raise MeasurementError(
            f"{n_cells} cells that rise above the background were found in {len(images)} images; "
            f"telling the light needs {CELLS_TO_TERMS * n_terms} at the least."
        )
    profile = _fitted(found, n_cells)
    if profile.uncertainty > MOST_UNCERTAIN:
        raise MeasurementError(
            f"The light is known to ± {profile.uncertainty:.0%} only from {n_cells} cells of "
            f"{len(images)} images, since cells differ: correcting it would do more harm than good "
            f"over ± {MOST_UNCERTAIN:.0%}. Give more images, a picture of the light, or none."
        )
    return profile


def _fitted(found: Sequence[tuple[Floats, Floats]], n_cells: int) -> LightProfile:
    """Huber's regression of all cells' logarithms, each image with a mean of its own."""
    # Imported here: it takes a second, and only this fit needs it.
    from statsmodels.api import RLM, robust

    present = [(terms, logs) for terms, logs in found if logs.size]
    terms = np.concatenate([terms for terms, _ in present])
    logs = np.concatenate([logs for _, logs in present])
    n_terms = terms.shape[1]
    images = np.repeat(np.eye(len(present)), [logs.size for _, logs in present], axis=0)
    fit = RLM(logs, np.hstack([terms, images]), M=robust.norms.HuberT()).fit()
    over_field = _terms((SIDE, SIDE))
    spread = over_field - over_field.mean(axis=0)
    covariance = np.asarray(fit.cov_params())[:n_terms, :n_terms]
    variance = np.einsum("pi,ij,pj->p", spread, covariance, spread)
    coefficients = tuple(float(c) for c in fit.params[:n_terms])
    return LightProfile(coefficients, len(found), n_cells, float(np.sqrt(variance.mean())))


def even_light(image: NDArray[Any], gain: NDArray[Any]) -> NDArray[np.float32]:
    """Take the light off an image.

    What lies above the image's darkest pixels (0.1st percentile, for the camera's offset) is
    divided by the gain: so differences to the local background are right whatever the offset.
    Pixels that the camera clipped keep one value above all others, by which they are still told.

    Args:
        image: (y, x), any real dtype.
        gain: light at every pixel, above 0, with a mean of 1.

    Raises:
        MeasurementError: the gain has another shape, or values that no light has.
    """
    light = np.asarray(gain, dtype=np.float32)
    if light.shape != image.shape or not (light > 0).all() or not np.isfinite(light).all():
        raise MeasurementError(
            f"A picture of the light of shape {light.shape} with values from {light.min():g} to "
            f"{light.max():g} was given for an image of shape {image.shape}; expected the same "
            "shape and values above 0."
        )
    pixels = image.astype(np.float32)
    offset = np.float32(np.percentile(pixels, OFFSET_PERCENTILE))
    even: NDArray[np.float32] = offset + (pixels - offset) / light
    clipped = image >= saturation_level(image)
    even[clipped] = even.max(initial=0)
    return even


def as_gain(picture: NDArray[Any]) -> NDArray[np.float32]:
    """The gain of a picture of the light, such as one of an evenly fluorescent slide.

    Dust and noise of a hundredth of the field and less are smoothed away.

    Args:
        picture: (y, x), any real dtype, the camera's offset taken off.

    Returns:
        Light at every pixel with a mean of 1.
    """
    sigma = SMOOTHING * max(picture.shape)
    smooth = ndimage.gaussian_filter(picture.astype(np.float32), sigma, mode="nearest")
    gain: NDArray[np.float32] = smooth / smooth.mean()
    return gain


def reduced(image: NDArray[Any]) -> Floats:
    """The image in blocks of mean grey values, at most `SIDE` along its longest side."""
    step = -(-max(image.shape) // SIDE)
    rows, columns = (size // step for size in image.shape)
    whole = image[: rows * step, : columns * step].astype(np.float64)
    blocks: Floats = whole.reshape(rows, step, columns, step).mean(axis=(1, 3))
    return blocks


def _cells(image: Floats) -> tuple[Floats, Floats]:
    """Place, as the terms of the fit, and log median above the background of each bright object."""
    above = image - _background(image)
    smooth = ndimage.gaussian_filter(above, 1)
    peak = ndimage.maximum_filter(smooth, NEIGHBOURHOOD)
    objects = (above > SHARE_OF_PEAK * peak) & (peak > NOISES * robust_sd(above.ravel()))
    labels, n = ndimage.label(objects)
    ids = np.arange(1, n + 1)
    ids = ids[ndimage.sum_labels(objects, labels, ids) >= LEAST_PIXELS]
    if ids.size == 0:
        return _terms((1, 1))[:0], np.empty(0)
    places = np.asarray(ndimage.center_of_mass(objects, labels, ids))
    y, x = ((2 * places[:, axis] + 1) / image.shape[axis] - 1 for axis in (0, 1))
    return _terms_at(y, x), np.log(ndimage.median(above, labels, ids))


def _background(image: Floats) -> Floats:
    """Smooth surface through the dark pixels of tiles."""
    tiles = [np.array_split(np.arange(size), TILES) for size in image.shape]
    dark = [
        np.percentile(image[np.ix_(rows, columns)], BACKGROUND_PERCENTILE)
        for rows in tiles[0]
        for columns in tiles[1]
    ]
    surface = np.column_stack([np.ones(TILES**2), _terms((TILES, TILES))])
    found = np.linalg.lstsq(surface, np.array(dark))[0]
    fitted: Floats = found[0] + (_terms(image.shape) @ found[1:]).reshape(image.shape)
    return fitted


def _terms(shape: tuple[int, ...]) -> Floats:
    """The terms at every pixel's centre, row by row."""
    axes = ((2 * np.arange(n) + 1) / n - 1 for n in shape)
    y, x = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    return _terms_at(y, x)


def _terms_at(y: Floats, x: Floats) -> Floats:
    """y, x, y², yx and x² of places; y and x go from -1 to 1 over the image."""
    return np.stack([y, x, y**2, y * x, x**2], axis=1)
