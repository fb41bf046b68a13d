"""The microscope: how wide a point becomes, in and out of focus, and how evenly it is lit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.randomness import FloatArray

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, slots=True)
class Optics:
    """A wide-field fluorescence objective.

    Attributes:
        numerical_aperture: NA of the objective; 1.4 is a 63x or 100x oil lens, 0.45 a dry 10x.
        refractive_index: of the immersion medium; 1.515 oil, 1.0 air.
    """

    numerical_aperture: float = 1.4
    refractive_index: float = 1.515


def psf_sigma_um(optics: Optics, emission_nm: float) -> float:
    """Lateral SD of the Gaussian nearest to the in-focus point spread function, in µm.

    Source: 0.21 λ/NA, least-squares fit for the wide-field microscope, Zhang, Zerubia and
    Olivo-Marin 2007 (Appl Opt 46:1819).
    """
    return 0.21 * emission_nm / 1000.0 / optics.numerical_aperture


def rayleigh_length_um(optics: Optics, emission_nm: float) -> float:
    """Defocus at which the peak of a point falls to half, in µm.

    Source: half width at half maximum of the axial Gaussian with SD 0.78 n λ/NA², the paraxial
    wide-field fit of Zhang, Zerubia and Olivo-Marin 2007.
    """
    wavelength_um = emission_nm / 1000.0
    axial = 0.78 * optics.refractive_index * wavelength_um / optics.numerical_aperture**2
    return float(axial * FWHM_PER_SIGMA / 2.0)


def defocused_sigma_um(optics: Optics, emission_nm: float, defocus_um: float) -> float:
    """Lateral SD of a point that lies `defocus_um` out of the focal plane, in µm.

    A wide-field microscope keeps the light of a point in every plane and only spreads it, as a
    Gaussian beam does: sigma(z) = sigma(0) sqrt(1 + (z/z_R)²). The peak of a point is then halved
    at z_R, as the axial fit says.
    """
    relative = defocus_um / rayleigh_length_um(optics, emission_nm)
    return float(psf_sigma_um(optics, emission_nm) * np.sqrt(1.0 + relative**2))


def illumination(shape: tuple[int, int], falloff: float, rng: np.random.Generator) -> FloatArray:
    """Make an uneven light field: vignetting about a point off the centre, with a slope.

    Args:
        shape: (y, x) of the image.
        falloff: loss from the brightest to the darkest pixel as a fraction of the brightest, 0 to
            below 1.
        rng: source of the bright point's place and of the slope's direction.

    Returns:
        float64 (y, x), 1 at the brightest pixel and 1 - falloff at the darkest.
    """
    centre = 0.5 + rng.uniform(-0.15, 0.15, size=2)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    vignette = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    loss = vignette + 0.15 * (y * np.sin(angle) + x * np.cos(angle))
    span = float(np.ptp(loss))
    return np.asarray(1.0 - falloff * (loss - loss.min()) / (span if span > 0 else 1.0))


def bleed_through_matrix(n_channels: int, fraction: float) -> tuple[tuple[float, ...], ...]:
    """Make a matrix in which each dye leaks `fraction` of its signal into neighbouring channels.

    Returns:
        Rows are detection channels, columns are dyes, 1 on the diagonal and `fraction` beside it.
    """
    dyes = range(n_channels)
    return tuple(
        tuple(1.0 if row == dye else fraction * (abs(row - dye) == 1) for dye in dyes)
        for row in dyes
    )


def mix(dyes: Sequence[NDArray[np.floating]], matrix: Sequence[Sequence[float]]) -> FloatArray:
    """Turn the light of each dye into the light of each detection channel.

    Args:
        dyes: images of one shape, one a dye.
        matrix: rows are detection channels, columns are dyes.

    Returns:
        float64 (channel, ...).
    """
    return np.tensordot(np.asarray(matrix, dtype=np.float64), np.stack(dyes), axes=1)
