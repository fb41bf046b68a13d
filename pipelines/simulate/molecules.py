"""RNA molecules as points of light and granules that shine by themselves: where and how bright."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import spatial, special

from pipelines.simulate.optics import FWHM_PER_SIGMA, Optics, defocused_sigma_um
from pipelines.simulate.randomness import FloatArray, part_rng
from pipelines.simulate.scene import Field, paste

ALONE = -1
REACH = 4.5


@dataclass(frozen=True, slots=True)
class MoleculeSettings:
    """How many molecules cells have, how they lie and how they look.

    A molecule seen by branched amplification (RNAscope) is a dot of some 0.3 to 0.5 µm whose light
    varies from dot to dot.

    Attributes:
        count_mean: mean single molecules a cell.
        count_dispersion: d of the counts' variance, mean + d mean²; 0 is Poisson.
        nuclear_fraction: probability of a molecule to lie in the nucleus.
        clusters_mean: mean clusters a cell, Poisson.
        cluster_size: fewest and most molecules of a cluster, log-uniform between them.
        cluster_sd_um: SD of the molecules' distance from the middle of their cluster, each axis.
        stray_per_mm2: molecules outside cells, 1/mm².
        min_spacing_um: of two molecules that lie nearer, and that are in no cluster, the later one
            is left out.
        fwhm_um: width of a dot before the microscope, µm.
        brightness_cv: coefficient of variation of the light of single molecules, log-normal.
        depth_um: how far molecules lie out of focus, µm, at most.
        snr: height of a median molecule in focus over the SD of background and noise around it.
    """

    count_mean: float = 12.0
    count_dispersion: float = 0.6
    nuclear_fraction: float = 0.25
    clusters_mean: float = 0.4
    cluster_size: tuple[int, int] = (2, 30)
    cluster_sd_um: float = 0.35
    stray_per_mm2: float = 300.0
    min_spacing_um: float = 0.0
    fwhm_um: float = 0.35
    brightness_cv: float = 0.3
    depth_um: float = 0.3
    snr: float = 10.0


@dataclass(frozen=True, slots=True)
class GranuleSettings:
    """Granules that shine by themselves in every channel: lipofuscin.

    Attributes:
        count_mean: mean granules a cell, Poisson.
        fwhm_um: smallest and largest width before the microscope, log-uniform between them.
        brightness: lowest and highest light of one, in median molecules, log-uniform.
        ratio: lowest and highest light in the unused channel over that in the RNA's, log-uniform:
            lipofuscin's spectrum is broad and differs from granule to granule.
    """

    count_mean: float = 2.0
    fwhm_um: tuple[float, float] = (0.3, 1.0)
    brightness: tuple[float, float] = (0.7, 8.0)
    ratio: tuple[float, float] = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Points:
    """Points of light; all arrays have one value a point.

    Attributes:
        y: row, px.
        x: column, px.
        z_um: height above the focal plane, µm.
        sigma_um: SD of its own size, µm.
        light: relative to a median molecule.
        cluster: number of the cluster that it lies in, from 0; `ALONE` for none.
    """

    y: FloatArray
    x: FloatArray
    z_um: FloatArray
    sigma_um: FloatArray
    light: FloatArray
    cluster: NDArray[np.int64]

    def lit(self, factor: FloatArray) -> "Points":
        """The same points with their light multiplied."""
        return Points(self.y, self.x, self.z_um, self.sigma_um, self.light * factor, self.cluster)

    def moved(self, rows_px: float, columns_px: float) -> "Points":
        """The same points, shifted."""
        y, x = self.y + rows_px, self.x + columns_px
        return Points(y, x, self.z_um, self.sigma_um, self.light, self.cluster)


def draw_molecules(
    nuclei: NDArray[np.uint32],
    cells: NDArray[np.uint32],
    settings: MoleculeSettings,
    scene: Field,
    seed: int,
) -> Points:
    """Draw the molecules of a field: single ones, clusters, and some outside cells.

    Args:
        nuclei: (y, x) labels.
        cells: (y, x) labels, a cell having the label of its nucleus.
        settings: how many and how.
        scene: the field.
        seed: seed of the simulation.
    """
    n_cells = int(cells.max(initial=0))
    rng = part_rng(seed, "molecule counts")
    d = settings.count_dispersion
    rates = settings.count_mean * (rng.gamma(1 / d, d, n_cells) if d > 0 else np.ones(n_cells))
    singles = _within(nuclei, cells, rng.poisson(rates), settings, part_rng(seed, "molecules"))
    strays = _strays(cells, settings, scene, part_rng(seed, "stray molecules"))
    alone = _spaced(np.concatenate([singles, strays]), settings, scene)
    clustered, cluster = _clusters(nuclei, cells, settings, scene, seed)
    place = np.concatenate([alone, clustered])
    inside = _on_field(place, cells.shape)
    place = place[inside]
    number = np.concatenate([np.full(len(alone), ALONE), cluster])[inside]
    n = len(place)
    log_sd = np.sqrt(np.log1p(settings.brightness_cv**2))
    light = np.exp(part_rng(seed, "molecule light").normal(0, log_sd, n))
    depth = part_rng(seed, "molecule depth").uniform(-1, 1, n) * settings.depth_um
    sigma = np.full(n, settings.fwhm_um / FWHM_PER_SIGMA)
    return Points(place[:, 0], place[:, 1], depth, sigma, light, number)


def draw_granules(
    nuclei: NDArray[np.uint32], cells: NDArray[np.uint32], settings: GranuleSettings, seed: int
) -> tuple[Points, FloatArray]:
    """Draw the granules of all cells, in their cytoplasm.

    Returns:
        The granules with their light in the RNA's channel, and its ratio in the unused channel.
    """
    rng = part_rng(seed, "granules")
    counts = rng.poisson(settings.count_mean, int(cells.max(initial=0)))
    free = np.where(nuclei > 0, np.uint32(0), cells)
    place = _on_labels(free, np.repeat(np.arange(counts.size) + 1, counts), rng)
    place = place[_on_field(place, cells.shape)]
    n = len(place)
    sigma = log_uniform(n, settings.fwhm_um, rng) / FWHM_PER_SIGMA
    light = log_uniform(n, settings.brightness, rng)
    ratio = log_uniform(n, settings.ratio, rng)
    points = Points(place[:, 0], place[:, 1], np.zeros(n), sigma, light, np.full(n, ALONE))
    return points, ratio


def paint_points(points: Points, optics: Optics, emission_nm: float, scene: Field) -> FloatArray:
    """Paint points as the objective shows them; see `stamp_points`."""
    sigmas = imaged_sigmas_px(points, optics, emission_nm, scene.pixel_size_um)
    return stamp_points(points, sigmas, scene)


def stamp_points(points: Points, sigmas_px: FloatArray, scene: Field) -> FloatArray:
    """Paint points of given SDs, integrated over pixels; a point's light sums to its `light`.

    Returns:
        float64 (y, x).
    """
    image = np.zeros(scene.shape)
    for y, x, sigma, light in zip(points.y, points.x, sigmas_px, points.light, strict=True):
        half = int(np.ceil(REACH * sigma)) + 1
        top, left = round(y) - half, round(x) - half
        along = np.arange(2 * half + 1)
        patch = np.outer(
            pixel_gaussian(along + top - y, sigma), pixel_gaussian(along + left - x, sigma)
        )
        paste(image, light * patch, top, left)
    return image


def imaged_sigmas_px(
    points: Points, optics: Optics, emission_nm: float, pixel_size_um: float
) -> FloatArray:
    """SD of each point's image, px."""
    blur = [defocused_sigma_um(optics, emission_nm, float(z)) for z in points.z_um]
    return np.asarray(np.hypot(points.sigma_um, np.array(blur)) / pixel_size_um)


def pixel_gaussian(distance_px: FloatArray, sigma_px: float) -> FloatArray:
    """Share of a Gaussian's light that falls on each pixel of a line."""
    edges = special.erf((distance_px[:, None] + np.array([-0.5, 0.5])) / (np.sqrt(2) * sigma_px))
    return np.asarray(0.5 * (edges[:, 1] - edges[:, 0]))


def log_uniform(n: int, ends: Sequence[float], rng: np.random.Generator) -> FloatArray:
    """Draw n values whose logarithm is uniform between those of the ends."""
    return np.asarray(np.exp(rng.uniform(np.log(ends[0]), np.log(ends[1]), size=n)))


def _within(
    nuclei: NDArray[np.uint32],
    cells: NDArray[np.uint32],
    counts: NDArray[np.int64],
    settings: MoleculeSettings,
    rng: np.random.Generator,
) -> FloatArray:
    """Places of `counts` molecules in each cell, (n, 2), in its nucleus or around it."""
    wanted = np.repeat(np.arange(counts.size) + 1, counts)
    nuclear = rng.random(wanted.size) < settings.nuclear_fraction
    around = np.where(nuclei > 0, np.uint32(0), cells)
    return np.concatenate(
        [_on_labels(nuclei, wanted[nuclear], rng), _on_labels(around, wanted[~nuclear], rng)]
    )


def _on_labels(
    labels: NDArray[np.uint32], wanted: NDArray[np.int64], rng: np.random.Generator
) -> FloatArray:
    """A random place within each of the wanted labels, (n, 2); none in a label without pixels."""
    order = np.argsort(labels, axis=None, kind="stable")
    starts = np.searchsorted(labels.ravel()[order], np.arange(int(labels.max(initial=0)) + 2))
    wanted = wanted[wanted < starts.size - 1]
    size = starts[wanted + 1] - starts[wanted]
    first, size = starts[wanted][size > 0], size[size > 0]
    pixel = order[first + (rng.random(size.size) * size).astype(np.int64)]
    place = np.stack(np.unravel_index(pixel, labels.shape), axis=1)
    return np.asarray(place + rng.uniform(-0.5, 0.5, place.shape))


def _strays(
    cells: NDArray[np.uint32],
    settings: MoleculeSettings,
    scene: Field,
    rng: np.random.Generator,
) -> FloatArray:
    place = rng.uniform(0, 1, (rng.poisson(settings.stray_per_mm2 * scene.area_mm2), 2))
    place = place * (np.array(scene.shape) - 1)
    return np.asarray(place[cells[tuple(np.rint(place).astype(np.int64).T)] == 0])


def _spaced(place: FloatArray, settings: MoleculeSettings, scene: Field) -> FloatArray:
    """Leave out the later one of two that lie too near."""
    if settings.min_spacing_um <= 0 or len(place) < 2:
        return place
    near = spatial.KDTree(place).query_pairs(settings.min_spacing_um / scene.pixel_size_um)
    return np.delete(place, sorted({max(pair) for pair in near}), axis=0)


def _clusters(
    nuclei: NDArray[np.uint32],
    cells: NDArray[np.uint32],
    settings: MoleculeSettings,
    scene: Field,
    seed: int,
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Molecules of clusters, (n, 2), and the number of each one's cluster."""
    rng = part_rng(seed, "clusters")
    counts = rng.poisson(settings.clusters_mean, int(cells.max(initial=0)))
    middle = _within(nuclei, cells, counts, settings, rng)
    low, high = settings.cluster_size
    sizes = np.floor(log_uniform(len(middle), (low, high + 1), rng)).astype(np.int64)
    number = np.repeat(np.arange(len(middle)), sizes)
    away = rng.normal(0, settings.cluster_sd_um / scene.pixel_size_um, (number.size, 2))
    return middle[number] + away, number


def _on_field(place: FloatArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether each place lies on a pixel."""
    nearest = np.rint(place)
    return np.asarray(((nearest >= 0) & (nearest < np.array(shape))).all(axis=1))
