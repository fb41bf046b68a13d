"""Foci as points of light: where they lie, how bright they must be, and how they look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.nuclei import Nucleus
from pipelines.simulate.optics import FWHM_PER_SIGMA, Optics, psf_sigma_um
from pipelines.simulate.randomness import FloatArray, part_rng
from pipelines.simulate.scene import Field

MAX_TRIES = 200


@dataclass(frozen=True, slots=True)
class FocusSettings:
    """How many foci there are, how they lie and how they look.

    A width is the full width at half maximum of a focus of median size as it is imaged in focus;
    `imaged_width_um` computes it. γH2AX foci are 0.3 to 1 µm wide, and nuclei have 0 to some 60.

    Attributes:
        count_mean: mean foci a nucleus.
        count_dispersion: d of the counts' variance, mean + d mean²; 0 is Poisson.
        max_count: largest count of a nucleus.
        exact_count: the same count for all nuclei, instead of the three above; None for theirs.
        snr: lowest and highest signal-to-noise ratio in focus, log-uniform between them.
        fwhm_um: median width of a focus before the microscope, µm.
        fwhm_spread: SD of the logarithm of that width.
        elongation: how far, at most, the two halves of a focus lie from its centre, in SDs of it.
        min_spacing_widths: smallest lateral distance of two foci of a nucleus, widths.
        pair_fraction: fraction of foci that are put beside the focus drawn before them, at
            `pair_widths` whatever `min_spacing_widths` says.
        pair_widths: lateral distance within such a pair, widths.
        depth_fraction: fraction of the nucleus's height over which foci are spread; with 0 all lie
            in the nucleus's middle plane.
        surroundings_um: radius within which background, texture and noise of a focus count, µm.
    """

    count_mean: float = 18.0
    count_dispersion: float = 0.5
    max_count: int = 60
    exact_count: int | None = None
    snr: tuple[float, float] = (3.0, 40.0)
    fwhm_um: float = 0.5
    fwhm_spread: float = 0.3
    elongation: float = 0.8
    min_spacing_widths: float = 1.5
    pair_fraction: float = 0.0
    pair_widths: float = 1.0
    depth_fraction: float = 0.25
    surroundings_um: float = 1.5


@dataclass(frozen=True, slots=True)
class Foci:
    """Foci of a field before their light is known; all arrays have one value a focus.

    Attributes:
        nucleus: index of the nucleus, from 0.
        y: row, px.
        x: column, px.
        z_um: height above the focal plane's zero, µm.
        sigma_um: SD of its own size, µm.
        arm_um: (n, 2) row and column offset of its halves from its centre, µm.
        snr: signal-to-noise ratio that it shall have in focus.
    """

    nucleus: NDArray[np.int64]
    y: FloatArray
    x: FloatArray
    z_um: FloatArray
    sigma_um: FloatArray
    arm_um: FloatArray
    snr: FloatArray


def imaged_width_um(settings: FocusSettings, optics: Optics, emission_nm: float) -> float:
    """Full width at half maximum of a focus of median size, as imaged in focus, in µm."""
    return float(np.hypot(settings.fwhm_um, FWHM_PER_SIGMA * psf_sigma_um(optics, emission_nm)))


def draw_foci(
    nuclei: Sequence[Nucleus],
    settings: FocusSettings,
    scene: Field,
    width_um: float,
    seed: int,
) -> Foci:
    """Draw the foci of all nuclei that may have some.

    Args:
        nuclei: the nuclei; leave out those that are stained all over.
        settings: how many foci, where and how.
        scene: the field.
        width_um: what one width is, µm; see `imaged_width_um`.
        seed: seed of the simulation.

    Returns:
        The foci that lie in the field, in the order of their nuclei.
    """
    owners, places, sizes, arms, ratios = [], [], [], [], []
    for nucleus in nuclei:
        found = _places(nucleus, settings, width_um / scene.pixel_size_um, seed)
        found = found[_inside(found, scene.shape)]
        n = len(found)
        owners.append(np.full(n, nucleus.index))
        places.append(found)
        sizes.append(_sizes(n, settings, part_rng(seed, "focus size", nucleus.index)))
        arms.append(_arms(n, settings, part_rng(seed, "focus shape", nucleus.index)))
        ratios.append(_log_uniform(n, settings.snr, part_rng(seed, "focus snr", nucleus.index)))
    place = np.concatenate([np.empty((0, 3)), *places])
    sigma = np.concatenate([np.empty(0), *sizes])
    arm = np.concatenate([np.empty((0, 2)), *arms]) * sigma[:, None]
    owner = np.concatenate([np.empty(0, dtype=np.int64), *owners])
    snr = np.concatenate([np.empty(0), *ratios])
    return Foci(owner, place[:, 0], place[:, 1], place[:, 2], sigma, arm, snr)


def _count(settings: FocusSettings, rng: np.random.Generator) -> int:
    """Draw a nucleus's number of foci: a gamma-mixed Poisson count, that is negative binomial."""
    if settings.exact_count is not None:
        return settings.exact_count
    d = settings.count_dispersion
    rate = settings.count_mean * (rng.gamma(1 / d, d) if d > 0 else 1.0)
    return int(min(rng.poisson(rate), settings.max_count))


def _places(nucleus: Nucleus, settings: FocusSettings, width_px: float, seed: int) -> FloatArray:
    """Throw foci into a nucleus: (n, 3) row and column in the field, px, and height, µm."""
    count = _count(settings, part_rng(seed, "focus count", nucleus.index))
    rng = part_rng(seed, "focus place", nucleus.index)
    inner = np.argwhere(nucleus.rho < 0.9)
    found = np.empty((0, 2))
    for _ in range(count):
        paired = len(found) > 0 and rng.random() < settings.pair_fraction
        place = _free_place(nucleus, inner, found, settings, width_px, rng, paired=paired)
        if place is not None:
            found = np.vstack([found, place])
    rho = nucleus.rho[tuple(np.rint(found).astype(int).T)]
    half_height = nucleus.height_um / 2 * np.sqrt(np.clip(1 - rho**4, 0, None))
    relative = part_rng(seed, "focus depth", nucleus.index).uniform(-1, 1, size=len(found))
    z_um = nucleus.defocus_um + settings.depth_fraction * half_height * relative
    return np.column_stack([found[:, 0] + nucleus.top, found[:, 1] + nucleus.left, z_um])


def _free_place(
    nucleus: Nucleus,
    inner: NDArray[np.int64],
    found: FloatArray,
    settings: FocusSettings,
    width_px: float,
    rng: np.random.Generator,
    *,
    paired: bool,
) -> FloatArray | None:
    """Find a place in the crop that keeps its distance, or its pair's; None where there is none."""
    for _ in range(MAX_TRIES):
        others = found
        if paired:
            angle = rng.uniform(0, 2 * np.pi)
            away = np.array([np.sin(angle), np.cos(angle)]) * settings.pair_widths * width_px
            place, others = found[-1] + away, found[:-1]
        else:
            place = inner[rng.integers(len(inner))] + rng.uniform(-0.5, 0.5, size=2)
        row, column = np.rint(place).astype(int)
        if nucleus.rho[row, column] >= 0.92:
            continue
        distance = np.hypot(*(others - place).T)
        if (distance >= settings.min_spacing_widths * width_px).all():
            return np.asarray(place, dtype=np.float64)
    return None


def _inside(place: FloatArray, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether each place lies on a pixel of the field."""
    row, column = np.rint(place[:, 0]), np.rint(place[:, 1])
    return np.asarray((row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1]))


def _sizes(n: int, settings: FocusSettings, rng: np.random.Generator) -> FloatArray:
    """Draw the SDs of foci's own size, log-normal, µm."""
    fwhm = settings.fwhm_um * np.exp(rng.normal(0, settings.fwhm_spread, size=n))
    return np.asarray(fwhm / FWHM_PER_SIGMA)


def _arms(n: int, settings: FocusSettings, rng: np.random.Generator) -> FloatArray:
    """Draw the offset of foci's halves from their centres, (n, 2), in SDs."""
    length, angle = rng.uniform(0, settings.elongation, size=n), rng.uniform(0, np.pi, size=n)
    return np.column_stack([length * np.sin(angle), length * np.cos(angle)])


def _log_uniform(n: int, ends: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Draw n values whose logarithm is uniform between those of the ends."""
    return np.asarray(np.exp(rng.uniform(np.log(ends[0]), np.log(ends[1]), size=n)))
