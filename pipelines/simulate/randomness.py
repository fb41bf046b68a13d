"""Random numbers that stay put: one independent stream for every part of a simulation.

A part draws from a stream named after it, so that changing one knob (say, the signal-to-noise ratio
of the foci) leaves all the others (where the nuclei lie, how many foci each has) as they were.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float64]


def part_rng(seed: int, part: str, *index: int) -> np.random.Generator:
    """Give the random generator of one part of one simulation.

    Args:
        seed: seed of the whole simulation, 0 or more.
        part: name of the part, such as ``nuclei`` or ``camera``.
        *index: number of the object within the part, 0 or more, where each has its own stream.

    Returns:
        A generator that depends on nothing but the arguments.
    """
    spawn_key = (crc32(part.encode()), *index)
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=spawn_key))


def smooth_noise(
    shape: tuple[int, ...], sigma_px: float | Sequence[float], rng: np.random.Generator
) -> FloatArray:
    """Draw a Gaussian random field with mean 0 and SD 1.

    Args:
        shape: shape of the field.
        sigma_px: SD of the Gaussian that smooths white noise, in px, one number or one an axis;
            the field's autocorrelation is a Gaussian of sqrt(2) times this width.
        rng: source of the randomness.

    Returns:
        float64 array of `shape`, periodic at its edges.
    """
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma_px, mode="wrap")
    spread = float(field.std())
    return np.asarray((field - field.mean()) / (spread if spread > 0 else 1.0))


def log_normal(mean: float, cv: float, rng: np.random.Generator) -> float:
    """Draw from the log-normal distribution with this mean and coefficient of variation."""
    variance = np.log1p(cv**2)
    return float(mean * np.exp(rng.normal(-variance / 2, np.sqrt(variance))))
