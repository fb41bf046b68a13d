"""The blue precipitate of X-gal: its colour, and where in a cell it lies."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.cells import Cells, distance_from_nucleus
from pipelines.simulate.nuclei import Nucleus
from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise
from pipelines.simulate.scene import Field

# Centre and full width at half maximum, nm, of the colour filters of a common CMOS sensor.
CAMERA_BANDS_NM = ((600.0, 70.0), (530.0, 80.0), (455.0, 60.0))
FWHM_PER_SD = 2.3548


def indigo_vector(
    peak_nm: float = 615.0, width_nm: float = 110.0, scatter: float = 0.18
) -> tuple[float, float, float]:
    """Derive the colour of the precipitate from its absorption band.

    The dye is 5,5'-dibromo-4,4'-dichloro-indigo, whose absorption makers of X-gal give as largest
    near 615 nm. A Gaussian band is seen through three Gaussian colour filters; crystals also
    scatter light of all colours, which adds the same to each.

    Args:
        peak_nm: wavelength of the largest absorption, nm.
        width_nm: full width at half maximum of the band, nm.
        scatter: loss by scattering relative to the largest absorption.

    Returns:
        Optical densities of red, green and blue, scaled to a vector of length 1: about (0.90, 0.41,
        0.17) with the defaults.
    """
    density = []
    for centre, fwhm in CAMERA_BANDS_NM:
        together = np.hypot(width_nm, fwhm)
        offset = (centre - peak_nm) / (together / FWHM_PER_SD)
        density.append(width_nm / together * np.exp(-(offset**2) / 2) + scatter)
    red, green, blue = np.array(density) / np.linalg.norm(density)
    return float(red), float(green), float(blue)


def tilted(
    vector: Sequence[float], degrees: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Tilt a stain's colour by about this angle in a random direction: batches differ.

    Returns:
        A vector of length 1 without negative entries.
    """
    unit = np.asarray(vector, dtype=np.float64) / np.linalg.norm(vector)
    sideways = rng.normal(size=3)
    sideways -= (sideways @ unit) * unit
    angle = np.deg2rad(degrees) * abs(rng.normal())
    turned = np.cos(angle) * unit + np.sin(angle) * sideways / np.linalg.norm(sideways)
    turned = np.clip(turned, 0, None)
    return np.asarray(turned / np.linalg.norm(turned))


def precipitate(
    cells: Cells,
    nuclei: Sequence[Nucleus],
    nucleus_labels: NDArray[np.uint32],
    mean_od: FloatArray,
    free: FloatArray,
    scene: Field,
    seed: int,
) -> FloatArray:
    """Lay precipitate into cells: granular, dense about the nucleus and sparse over it.

    Lysosomes, where the enzyme works, gather about the nucleus; a strongly stained cell is blue
    further out.

    Args:
        cells: the cells.
        nuclei: the nuclei.
        nucleus_labels: (y, x) nuclei.
        mean_od: optical density of each cell's stain, its mean over the cell, (n,).
        free: (y, x) share of each pixel that precipitate may take, 0 to 1: less over droplets.
        scene: the field.
        seed: seed of the simulation.

    Returns:
        float64 (y, x) optical density along the stain's vector.
    """
    per_cell = np.append(0.0, mean_od)
    wanted = per_cell[cells.labels]
    rng = part_rng(seed, "precipitate")
    pixel = scene.pixel_size_um
    fine = smooth_noise(scene.shape, max(0.6 / pixel, 0.6), rng)
    coarse = smooth_noise(scene.shape, 1.8 / pixel, rng)
    broad = smooth_noise(scene.shape, 8.0 / pixel, rng)
    near = distance_from_nucleus(cells, nuclei, pixel)
    reach = 8.0 + 16.0 * np.clip(wanted / 0.3, 0, 1)
    pattern = np.exp(-near / reach) * np.exp(0.5 * fine + 0.5 * coarse + 0.45 * broad)
    pattern *= np.where(nucleus_labels > 0, 0.3, 1.0) * np.clip((1 - cells.rho) / 0.15, 0, 1) * free
    index = np.arange(len(per_cell))
    mean = ndimage.mean(pattern, cells.labels, index)
    scale = np.divide(per_cell, mean, out=np.zeros(len(per_cell)), where=mean > 0)
    return np.asarray(pattern * scale[cells.labels])
