"""What fills a nucleus: chromatin, nucleoli and nucleoplasm in thin layers, and their image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.nuclei import NucleiSettings, Nucleus
from pipelines.simulate.optics import Optics, defocused_sigma_um
from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise
from pipelines.simulate.scene import Field, paste

LAYER_UM = 0.8


@dataclass(frozen=True, slots=True)
class Interior:
    """A nucleus in layers, from bottom to top.

    Attributes:
        depths_um: height of each layer above the middle of the nucleus, µm.
        filled: (layer, h, w) how much of a layer the nucleus fills, 0 to 1.
        chromatin: (layer, h, w) relative density of DNA, about 1.
        nucleoplasm: (layer, h, w) relative density of what is not bound to DNA, about 1.
    """

    depths_um: FloatArray
    filled: FloatArray
    chromatin: FloatArray
    nucleoplasm: FloatArray


@dataclass(frozen=True, slots=True)
class View:
    """How a dye is seen.

    Attributes:
        optics: the objective.
        emission_nm: wavelength of the dye's light, nm.
        binds_dna: whether the dye lies on chromatin, or else in the nucleoplasm.
    """

    optics: Optics
    emission_nm: float
    binds_dna: bool


def fill_nucleus(
    nucleus: Nucleus, settings: NucleiSettings, pixel_size_um: float, seed: int
) -> Interior:
    """Fill a nucleus with chromatin of two grain sizes, nucleoli and a finer nucleoplasm."""
    rng = part_rng(seed, "chromatin", nucleus.index)
    layers = max(3, round(nucleus.height_um / LAYER_UM))
    depths = (np.arange(layers) - (layers - 1) / 2) * nucleus.height_um / layers
    # A nucleus on glass is flat on top: a superellipse of the fourth power keeps its edge steep.
    half_height = nucleus.height_um / 2 * np.sqrt(np.clip(1 - nucleus.rho**4, 0, None))
    step = nucleus.height_um / layers
    filled = np.clip((half_height - np.abs(depths)[:, None, None]) / step + 0.5, 0, 1)
    filled *= nucleus.mask
    coarse = _grains(filled.shape, 2.2 * settings.texture_um, step, pixel_size_um, rng)
    fine = _grains(filled.shape, settings.texture_um, step, pixel_size_um, rng)
    finest = _grains(filled.shape, 0.5 * settings.texture_um, step, pixel_size_um, rng)
    broad = _grains(filled.shape, 5.0, step, pixel_size_um, rng)
    nucleolus = _nucleoli(nucleus, pixel_size_um, rng)
    # Chromatin is a network with holes rather than a cloud: the holes are where |noise| is small.
    network = (np.tanh(np.abs(fine)) - 0.57) / 0.27
    chromatin = np.exp(settings.texture * (0.9 * network + 0.65 * coarse + 0.2 * broad))
    patchy = np.exp(settings.texture * (0.7 * coarse + 0.4 * network + 1.3 * finest + 0.8 * broad))
    nucleoplasm = patchy * (1 - 0.4 * np.minimum(nucleus.rho, 1) ** 2) * (1 - 0.5 * nucleolus)
    return Interior(depths, filled, chromatin * (1 - 0.4 * nucleolus), nucleoplasm)


def _grains(
    shape: tuple[int, ...],
    width_um: float,
    step_um: float,
    pixel_size_um: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Noise with grains of this full width at half maximum, the same in all three directions."""
    sigma_um = width_um / 2.355 / np.sqrt(2.0)
    lateral = sigma_um / pixel_size_um
    return smooth_noise(shape, (sigma_um / step_um, lateral, lateral), rng)


def _nucleoli(nucleus: Nucleus, pixel_size_um: float, rng: np.random.Generator) -> FloatArray:
    """Soft round nucleoli, 0 to 5 of 1 to 2.5 µm, (h, w) 0 outside and 1 within."""
    total = np.zeros(nucleus.rho.shape)
    y, x = np.indices(total.shape, dtype=np.float64)
    inner = np.argwhere(nucleus.rho < 0.75)
    for _ in range(rng.integers(0, 6)):
        cy, cx = inner[rng.integers(len(inner))]
        radius = rng.uniform(0.5, 1.3) / pixel_size_um
        distance = np.hypot(y - cy, x - cx)
        total = np.maximum(total, 1 / (1 + np.exp((distance - radius) / (0.15 * radius))))
    return total


def image_of_layers(
    layers: FloatArray,
    heights_um: NDArray[np.floating],
    planes_um: Sequence[float],
    optics: Optics,
    emission_nm: float,
    pixel_size_um: float,
) -> FloatArray:
    """See layers of light through a wide-field microscope.

    Args:
        layers: (layer, h, w) light of each layer.
        heights_um: height of each layer above the zero of the stage, µm.
        planes_um: heights to which the microscope is focused, µm.
        optics: the objective.
        emission_nm: wavelength of the light, nm.
        pixel_size_um: edge length of a pixel, µm.

    Returns:
        float64 (plane, h, w): every plane gets the light of every layer, more or less blurred.
    """
    image = np.zeros((len(planes_um), *layers.shape[1:]))
    for plane, focus in enumerate(planes_um):
        for layer, height in zip(layers, heights_um, strict=True):
            sigma = defocused_sigma_um(optics, emission_nm, float(height) - focus)
            image[plane] += ndimage.gaussian_filter(layer, sigma / pixel_size_um, mode="constant")
    return image


def add_to_field(field: FloatArray, nucleus: Nucleus, image: FloatArray, level: float) -> None:
    """Add a nucleus's image to the field in place, at a mean of `level` within its outline.

    Args:
        field: (plane, y, x) electrons.
        nucleus: where it lies.
        image: (plane, h, w), any unit.
        level: mean of the plane with the most light in focus, over the nucleus, electrons.
    """
    middle = image[image.shape[0] // 2]
    paste(field, image * (level / float(middle[nucleus.mask].mean())), nucleus.top, nucleus.left)


def paint_nuclei(
    nuclei: Sequence[Nucleus],
    settings: NucleiSettings,
    scene: Field,
    view: View,
    levels: FloatArray,
    seed: int,
) -> FloatArray:
    """Paint one dye of all nuclei in one plane.

    Args:
        nuclei: the nuclei.
        settings: how they are filled.
        scene: the field.
        view: the objective, the wavelength and what the dye binds to.
        levels: mean light of each nucleus, electrons.
        seed: seed of the simulation.

    Returns:
        float64 (y, x) electrons.
    """
    light = np.zeros((1, *scene.shape))
    for nucleus, level in zip(nuclei, levels, strict=True):
        inside = fill_nucleus(nucleus, settings, scene.pixel_size_um, seed)
        matter = inside.chromatin if view.binds_dna else inside.nucleoplasm
        heights = inside.depths_um + nucleus.defocus_um
        image = image_of_layers(
            inside.filled * matter,
            heights,
            (0.0,),
            view.optics,
            view.emission_nm,
            scene.pixel_size_um,
        )
        add_to_field(light, nucleus, image, float(level))
    return np.asarray(light[0])
