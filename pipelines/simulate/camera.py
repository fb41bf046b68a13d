"""The camera: photo-electrons become grey values, with the noise of both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.randomness import FloatArray


@dataclass(frozen=True, slots=True)
class Camera:
    """A scientific CMOS camera.

    The defaults are those of a common sCMOS sensor: 1.6 electrons (RMS) of read noise, 0.46
    electrons a grey value, an offset of 100 and a full well of 30,000 electrons, read as 16 bit
    (Hamamatsu ORCA-Flash4.0 V2 data sheet).

    Attributes:
        electrons_per_dn: electrons for one step of the grey scale.
        read_noise_e: SD of the read-out noise, electrons.
        offset_dn: grey value of darkness.
        full_well_e: electrons at which a pixel is full.
        bits: bits of the converter: no value exceeds 2^bits - 1.
    """

    electrons_per_dn: float = 0.46
    read_noise_e: float = 1.6
    offset_dn: float = 100.0
    full_well_e: float = 30000.0
    bits: int = 16


def noise_sd_e(electrons: NDArray[np.floating], camera: Camera) -> FloatArray:
    """SD of one pixel's noise in electrons: shot noise and read noise, added in variance."""
    return np.asarray(np.sqrt(np.maximum(electrons, 0.0) + camera.read_noise_e**2))


def to_grey(electrons: NDArray[np.floating], camera: Camera) -> FloatArray:
    """Turn expected electrons into expected grey values, without noise, rounding or saturation."""
    return np.asarray(electrons / camera.electrons_per_dn + camera.offset_dn)


def white_level(camera: Camera) -> float:
    """Largest grey value: that of a full well, or the converter's last."""
    full_dn = camera.full_well_e / camera.electrons_per_dn + camera.offset_dn
    return float(min(np.floor(full_dn), 2**camera.bits - 1))


def expose(
    electrons: NDArray[np.floating], camera: Camera, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Take a picture.

    Args:
        electrons: expected photo-electrons of each pixel, any shape; negative counts as 0.
        camera: the camera.
        rng: source of the noise.

    Returns:
        uint16 grey values of the same shape.
    """
    counted = rng.poisson(np.maximum(electrons, 0.0)).astype(np.float64)
    counted += rng.normal(0.0, camera.read_noise_e, size=counted.shape)
    grey = np.rint(to_grey(counted, camera))
    return np.clip(grey, 0, white_level(camera)).astype(np.uint16)
