"""What every simulated image shares: the field, what lies in it by accident, and its truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise

Table = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Simulated:
    """One simulated field and all that is known of it.

    Attributes:
        channels: name to image, (y, x) or (z, y, x) uint16; ``rgb`` is (y, x, 3) uint8.
        pixel_size_um: edge length of a pixel, µm.
        labels: ``nuclei`` and, where the assay has them, ``cells``: (y, x) uint32, 0 background.
        truth: name to table, a table being equally long arrays by column; positions ``y`` and
            ``x`` are in px with the centre of the first pixel at 0.
        expected: name to noiseless grey values, float64, for tests of the simulator itself.
        z_step_um: distance of the planes of a stack, µm; None for a single plane.
        inputs: name to table that comes with the image, such as decoded transcripts.
    """

    channels: Mapping[str, NDArray[np.generic]]
    pixel_size_um: float
    labels: Mapping[str, NDArray[np.uint32]]
    truth: Mapping[str, Table]
    expected: Mapping[str, FloatArray] = field(default_factory=dict)
    z_step_um: float | None = None
    inputs: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """The field of view and what spoils it.

    Attributes:
        height: rows, px.
        width: columns, px.
        pixel_size_um: edge length of a pixel in the specimen, µm.
        falloff: loss of light from the brightest to the darkest place, fraction, 0 to below 1.
        background_e: even background of medium, glass and antibody, electrons.
        cytoplasm_e: light of the cytoplasm around the nuclei (unbound antibody and
            autofluorescence), electrons at its brightest.
        haze: light that is spread far about its origin, as a fraction of the signal.
        haze_sigma_um: SD of that spread, µm.
        debris_per_mm2: density of bright specks, 1/mm².
    """

    height: int = 1000
    width: int = 1200
    pixel_size_um: float = 0.107
    falloff: float = 0.15
    background_e: float = 120.0
    cytoplasm_e: float = 60.0
    haze: float = 0.12
    haze_sigma_um: float = 5.0
    debris_per_mm2: float = 300.0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the image."""
        return self.height, self.width

    @property
    def area_mm2(self) -> float:
        """Area of the field, mm²."""
        return self.height * self.width * self.pixel_size_um**2 / 1e6


def cytoplasm_light(labels: NDArray[np.uint32], scene: Field, seed: int) -> FloatArray:
    """Paint the faint, uneven light of the cytoplasm around nuclei.

    Args:
        labels: (y, x) nuclei.
        scene: the field.
        seed: seed of the simulation.

    Returns:
        float64 (y, x), 0 to about 1, brightest near the nuclei.
    """
    reach_px = 9.0 / scene.pixel_size_um
    near = np.exp(-ndimage.distance_transform_edt(labels == 0) / reach_px) if labels.any() else 0.0
    rng = part_rng(seed, "cytoplasm")
    coarse = smooth_noise(scene.shape, 4.0 / scene.pixel_size_um, rng)
    fine = smooth_noise(scene.shape, max(0.35 / scene.pixel_size_um, 0.7), rng)
    return np.asarray(near * np.exp(0.35 * coarse + 0.15 * fine - 0.1))


def spread_light(light: FloatArray, scene: Field) -> FloatArray:
    """Move the hazy part of the light to where scattering and far planes put it.

    Args:
        light: (..., y, x) electrons.
        scene: the field.

    Returns:
        The light with `scene.haze` of it added again, blurred.
    """
    sigma_px = scene.haze_sigma_um / scene.pixel_size_um
    hazy = np.empty_like(light)
    for place in np.ndindex(light.shape[:-2]):
        hazy[place] = _blur_widely(light[place], sigma_px)
    return np.asarray(light + scene.haze * hazy)


def _blur_widely(image: FloatArray, sigma_px: float) -> FloatArray:
    """Blur by a wide Gaussian on a coarser grid, on which it is still 4 px wide."""
    coarse = max(1, int(sigma_px / 4))
    rows, columns = (-n % coarse for n in image.shape)
    padded = np.pad(image, ((0, rows), (0, columns)), mode="edge")
    height, width = (n // coarse for n in padded.shape)
    small = padded.reshape(height, coarse, width, coarse).mean(axis=(1, 3))
    blurred = ndimage.gaussian_filter(small, sigma_px / coarse)
    full = ndimage.zoom(blurred, coarse, order=1, mode="nearest", grid_mode=True)
    return np.asarray(full[: image.shape[0], : image.shape[1]])


def scatter_debris(scene: Field, seed: int) -> tuple[FloatArray, dict[str, NDArray[np.generic]]]:
    """Scatter bright specks of 0.2 to 1.5 µm, lumpy and partly out of focus, over the field.

    Returns:
        float64 (y, x) light relative to a speck's own brightness of 1, and the table ``y``, ``x``,
        ``radius_um``, ``brightness``.
    """
    rng = part_rng(seed, "debris")
    light = np.zeros(scene.shape)
    rows = []
    for _ in range(rng.poisson(scene.debris_per_mm2 * scene.area_mm2)):
        y, x = rng.uniform(0, scene.height), rng.uniform(0, scene.width)
        radius = float(np.exp(rng.uniform(np.log(0.2), np.log(1.5))))
        brightness = float(np.exp(rng.normal(0.0, 0.6)))
        rows.append((y, x, radius, brightness))
        _add_speck(light, (y, x), radius / scene.pixel_size_um, brightness, rng)
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return light, dict(zip(("y", "x", "radius_um", "brightness"), columns, strict=True))


def _add_speck(
    light: FloatArray,
    centre: tuple[float, float],
    radius_px: float,
    brightness: float,
    rng: np.random.Generator,
) -> None:
    """Add one speck, a few blobs thrown together, to `light` in place."""
    half = int(np.ceil(4 * radius_px)) + 2
    top, left = int(centre[0]) - half, int(centre[1]) - half
    y, x = np.mgrid[top : top + 2 * half + 1, left : left + 2 * half + 1].astype(np.float64)
    patch = np.zeros(y.shape)
    for _ in range(rng.integers(1, 5)):
        dy, dx = rng.normal(0, 0.6 * radius_px, size=2)
        sigma = radius_px * rng.uniform(0.4, 0.9)
        distance2 = (y - centre[0] - dy) ** 2 + (x - centre[1] - dx) ** 2
        patch += np.exp(-distance2 / (2 * sigma**2))
    paste(light, patch * brightness / patch.max(), top, left)


def paste(image: FloatArray, patch: FloatArray, top: int, left: int) -> None:
    """Add `patch` to `image` in place with its corner at (top, left), cutting what sticks out.

    Args:
        image: (..., y, x).
        patch: (..., y, x) with the same leading axes.
        top: row of the patch's first row in the image; may be negative.
        left: column of the patch's first column in the image; may be negative.
    """
    rows, columns = image.shape[-2:]
    y0, y1 = max(top, 0), min(top + patch.shape[-2], rows)
    x0, x1 = max(left, 0), min(left + patch.shape[-1], columns)
    if y0 < y1 and x0 < x1:
        image[..., y0:y1, x0:x1] += patch[..., y0 - top : y1 - top, x0 - left : x1 - left]
