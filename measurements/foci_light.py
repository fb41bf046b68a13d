"""The light of foci, each fitted in its own shape, so that what is left of a nucleus is texture.

Foci differ in width and are not quite round, and what a fit in one shape leaves of a bright one is
far above the texture around it. So each is fitted by a Gaussian of the usual width and what it
changes by, to first order, if it is moved, widened or drawn out: a linear fit, as of stars that are
crowded (Stetson 1987, PASP 99:191, there without the widths).
"""

import numpy as np
from numpy.typing import NDArray

from measurements.foci_smoothing import Image, Scales
from measurements.foci_summits import Ints
from measurements.regions import Floats

# How far from a summit its shape is fitted, and how far its light is then taken to reach, SDs. At
# 2.2 the bell has fallen to 9 %: further out there are more of the neighbours than of itself.
FITTED, REACHES = 2.2, 4.0
# Against shapes that the few pixels of a nucleus's tip do not tell apart.
STEADY = 1e-3
# Foci are fitted so many at once, which bounds the memory: some 40 MB where they are 2 px wide.
CHUNK = 4096


def light_of_foci(image: Image, index: NDArray[np.int32], at: Ints, sigmas: Scales) -> Image:
    """Sum of the light of foci, in the image's grey values, 0 outside nuclei.

    Args:
        image: grey values less the level of each nucleus.
        index: image of 1 + row of the nucleus, 0 outside; a focus is fitted within its own.
        at: (n, axes) pixels of the foci's summits.
        sigmas: usual SD of a focus along each axis, px.
    """
    reach = tuple(int(np.ceil(REACHES * sigma)) for sigma in sigmas)
    beyond = [(r, r) for r in reach]
    pixels, owners = np.pad(image, beyond), np.pad(index, beyond)
    light = np.zeros_like(pixels)
    near, shapes = _shapes(sigmas, FITTED, pixels.strides)
    far, wide = _shapes(sigmas, REACHES, pixels.strides)
    level = np.ones((len(shapes), 1))
    for start in range(0, len(at), CHUNK):
        middle = np.ravel_multi_index(tuple((at[start : start + CHUNK] + reach).T), pixels.shape)
        around = middle[:, None] + near
        own = owners.ravel()[around] == owners.ravel()[middle][:, None]
        fit = _least_squares(pixels.ravel()[around], own, np.hstack([shapes, level]))[:, :-1]
        fit[fit[:, 0] <= 0] = 0
        np.add.at(light.ravel(), middle[:, None] + far, _product(fit, wide.T).astype(np.float32))
    inside = tuple(slice(r, r + n) for r, n in zip(reach, image.shape, strict=True))
    return np.where(index > 0, light[inside], np.float32(0))


def _shapes(sigmas: Scales, reach: float, strides: tuple[int, ...]) -> tuple[Ints, Floats]:
    """Pixels around a focus, and a focus with its changes there.

    Args:
        sigmas: SD along each axis, px.
        reach: SDs.
        strides: of the image whose pixels they are, of four bytes each.

    Returns:
        (pixels,) steps from the summit in the flat image; (pixels, shapes) a bell, its shifts along
        each axis, its width in the plane, and the two ways to draw it out there.
    """
    halves = [int(np.ceil(reach * sigma)) for sigma in sigmas]
    steps = np.stack([np.ravel(g) for g in np.mgrid[tuple(slice(-h, h + 1) for h in halves)]])
    *_, y, x = scaled = steps / np.array(sigmas)[:, None]
    bell = np.exp(-(scaled**2).sum(axis=0) / 2)
    changes = [np.ones_like(bell), *scaled, y**2 + x**2, y**2 - x**2, y * x]
    flat: Ints = np.array(strides) // 4 @ steps
    return flat, np.stack([bell * change for change in changes], axis=1)


def _least_squares(values: Image, counted: NDArray[np.bool_], shapes: Floats) -> Floats:
    """Amounts of the shapes that come closest to each row of values where they count.

    Args:
        values: (n, pixels).
        counted: (n, pixels).
        shapes: (pixels, shapes).

    Returns:
        (n, shapes).
    """
    n = shapes.shape[1]
    products = (shapes[:, :, None] * shapes[:, None, :]).reshape(len(shapes), n * n)
    weights = counted.astype(np.float64)
    normal = _product(weights, products).reshape(-1, n, n) + STEADY * np.eye(n)
    right = _product(values * weights, shapes)
    return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0])


def _product(rows: Floats, matrix: Floats) -> Floats:
    """Matrix product whose rows do not depend on each other, to the bit.

    BLAS adds up in an order that changes with the number of rows, and a part of a slide has not as
    many foci as the whole.
    """
    return np.asarray(np.einsum("np,pk->nk", rows, matrix))
