"""Unstained cells in bright field: what is thick bends light, and what is round focuses it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.cells import Cells, distance_from_nucleus
from pipelines.simulate.nuclei import Nucleus, centre_of
from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise
from pipelines.simulate.scene import Field, paste

N_DIRECTIONS = 8


@dataclass(frozen=True, slots=True)
class Contrast:
    """How strongly unstained cells show.

    Attributes:
        refraction: scale of the bright and dark lines at edges and grains; 0 is a perfectly
            focused bright field that shows none, 1 a usual, slightly defocused one, 3 a phase
            contrast ring left in.
        halo: scale of the wide bright halo around thick parts, as of a phase contrast.
        colour_shift: how much the lines differ between red and blue, as a fraction of them.
    """

    refraction: float = 1.0
    halo: float = 0.3
    colour_shift: float = 0.15


def thickness_um(
    cells: Cells, nuclei: list[Nucleus], nucleus_labels: NDArray[np.uint32], scene: Field, seed: int
) -> FloatArray:
    """Model how thick cells are: thin lamella, body about the nucleus, fibres and grains.

    Returns:
        float64 (y, x), µm of optical thickness, 0 outside cells.
    """
    inside = cells.labels > 0
    rho = np.where(inside, cells.rho, 1.0)
    near = distance_from_nucleus(cells, nuclei, scene.pixel_size_um)
    lamella = 0.55 * np.clip((1 - rho) / 0.12, 0, 1) ** 0.7
    body = 1.6 * np.exp(-((near / 13.0) ** 2)) * np.clip((1 - rho) / 0.4, 0, 1)
    nucleus = 0.45 * (nucleus_labels > 0)
    rng = part_rng(seed, "organelles")
    grains = smooth_noise(scene.shape, 0.55 / scene.pixel_size_um, rng)
    lumps = smooth_noise(scene.shape, 1.6 / scene.pixel_size_um, rng)
    organelles = (
        np.clip(grains + 0.5 * lumps, 0, None) * np.exp(-near / 18.0) * (nucleus_labels == 0)
    )
    fibres = fibre_field(cells, scene, seed) * np.clip((1 - rho) / 0.2, 0, 1)
    total = lamella + body + nucleus + 0.22 * organelles + 0.06 * fibres
    total = total * inside
    _add_nucleoli(total, nuclei, scene.pixel_size_um, seed)
    return np.asarray(total)


def fibre_field(cells: Cells, scene: Field, seed: int) -> FloatArray:
    """Striate each cell along its axis, as stress fibres do.

    Returns:
        float64 (y, x) with SD about 1 within cells, 0 outside.
    """
    rng = part_rng(seed, "fibres")
    spectrum = np.fft.rfft2(rng.standard_normal(scene.shape))
    fy, fx = np.meshgrid(np.fft.fftfreq(scene.height), np.fft.rfftfreq(scene.width), indexing="ij")
    step = np.pi / N_DIRECTIONS
    direction = np.rint(cells.axis / step).astype(int) % N_DIRECTIONS
    chosen = np.append(0, direction)[cells.labels]
    field = np.zeros(scene.shape)
    for number in range(N_DIRECTIONS):
        angle = number * step
        along = (fx * np.cos(angle) + fy * np.sin(angle)) * 14.0 / scene.pixel_size_um
        across = (fx * np.sin(angle) - fy * np.cos(angle)) * 0.7 / scene.pixel_size_um
        low_pass = np.exp(-2 * np.pi**2 * (along**2 + across**2))
        striated = np.fft.irfft2(spectrum * low_pass, s=scene.shape)
        here = (chosen == number) & (cells.labels > 0)
        field[here] = (striated / striated.std())[here]
    return field


def refract(thickness: FloatArray, contrast: Contrast, scene: Field) -> FloatArray:
    """Turn thickness into the light and dark that a slightly defocused bright field shows of it.

    Light is bent towards thick parts: by the transport-of-intensity equation the image of a pure
    phase object out of focus changes by the Laplacian of its phase (Teague 1983, JOSA 73:1434).

    Returns:
        float64 (3, y, x), factor of red, green and blue, 1 where nothing lies.
    """
    pixel = scene.pixel_size_um
    factor = np.ones((3, *thickness.shape))
    smooth = ndimage.gaussian_filter(thickness, 0.8 / pixel)
    wide = ndimage.gaussian_filter(thickness, 5.0 / pixel)
    ring = contrast.halo * 0.12 * (wide - smooth)
    for colour, sign in enumerate((1.0, 0.0, -1.0)):
        width = 0.9 * (1 + contrast.colour_shift * sign) / pixel
        lines = -ndimage.gaussian_laplace(thickness, width) / pixel**2
        strength = contrast.refraction * 0.22 * (1 + contrast.colour_shift * sign)
        factor[colour] += strength * lines + ring
    return np.asarray(np.clip(factor, 0.3, 1.7))


def add_lens(
    factor: FloatArray, centre: tuple[float, float], radius_px: float, strength: float
) -> None:
    """Add, in place, a round drop that focuses light: bright centre, dark rim, faint bright ring.

    Args:
        factor: (3, y, x) factor of the light.
        centre: row and column, px.
        radius_px: radius, px.
        strength: 1 for a drop of lipid in medium.
    """
    half = int(np.ceil(1.9 * radius_px)) + 2
    top, left = round(centre[0]) - half, round(centre[1]) - half
    y, x = np.mgrid[top : top + 2 * half + 1, left : left + 2 * half + 1].astype(np.float64)
    for colour, wider in enumerate((1.02, 1.0, 0.98)):
        u = np.hypot(y - centre[0], x - centre[1]) / (radius_px * wider)
        soft = max(0.16, 0.45 / radius_px)
        lens = 0.5 * np.exp(-((u / 0.5) ** 2)) - 0.5 * np.exp(-(((u - 0.95) / (1.4 * soft)) ** 2))
        ring = 0.12 * np.exp(-(((u - 1.4) / (1.4 * soft)) ** 2))
        paste(factor[colour], strength * (lens + ring), top, left)


def _add_nucleoli(
    thickness: FloatArray, nuclei: list[Nucleus], pixel_size_um: float, seed: int
) -> None:
    """Add one to three dense nucleoli to each nucleus in place."""
    for nucleus in nuclei:
        rng = part_rng(seed, "nucleoli", nucleus.index)
        inner = np.argwhere(nucleus.rho < 0.55)
        for _ in range(rng.integers(1, 4)):
            y, x = inner[rng.integers(len(inner))] + [nucleus.top, nucleus.left]
            radius = rng.uniform(0.8, 1.5) / pixel_size_um
            half = int(4 * radius) + 1
            dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
            bump = 0.9 * np.exp(-((dy**2 + dx**2) / (2 * (0.7 * radius) ** 2)))
            paste(thickness, bump, int(y) - half, int(x) - half)


def perinuclear_places(
    nucleus: Nucleus, cells: Cells, reach_px: float, n: int, rng: np.random.Generator
) -> FloatArray:
    """Draw up to n places of a cell's cytoplasm within reach of its nucleus, (m, 2) px."""
    row, column = centre_of(nucleus)
    spread = rng.normal(0, reach_px, size=(6 * n, 2)) + np.array([row, column])
    spread = spread[((spread >= 0) & (spread <= np.array(cells.labels.shape) - 1)).all(axis=1)]
    owner = cells.labels[tuple(np.rint(spread).astype(int).T)]
    return np.asarray(spread[owner == nucleus.index + 1][:n])
