"""Simulated γH2AX: nuclei with foci of known place, size and signal-to-noise ratio."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.camera import Camera, expose, to_grey
from pipelines.simulate.chromatin import add_to_field, fill_nucleus, image_of_layers
from pipelines.simulate.focus_light import Imaging, foci_table, paint_foci
from pipelines.simulate.nuclei import NucleiSettings, Nucleus, nuclei_table, place_nuclei
from pipelines.simulate.optics import Optics, illumination, mix
from pipelines.simulate.randomness import FloatArray, log_normal, part_rng
from pipelines.simulate.scene import (
    Field,
    Simulated,
    cytoplasm_light,
    scatter_debris,
    spread_light,
)
from pipelines.simulate.spots import FocusSettings, draw_foci, imaged_width_um

DAPI_NM = 461.0
GH2AX_NM = 519.0  # Alexa Fluor 488


@dataclass(frozen=True, slots=True)
class FociSettings:
    """A field of nuclei stained for DNA and γH2AX.

    Attributes:
        scene: the field of view and what spoils it.
        nuclei: how the nuclei look and lie.
        foci: how many foci there are and how they look.
        optics: the objective.
        camera: the camera.
        dapi_e: mean light of a 2N nucleus in focus in the DNA channel, electrons.
        gh2ax_e: mean diffuse γH2AX light of a nucleus, electrons.
        staining_cv: coefficient of variation of both between nuclei.
        pan_nuclear_fraction: fraction of nuclei that are bright all over and have no foci.
        pan_nuclear_factor: how many times brighter the diffuse light is in those.
        debris_e: brightness of a typical speck of debris, electrons.
        bleed_through: rows are the channels dapi and gh2ax, columns the dyes.
        z_planes: planes of the stack; 1 gives a single (y, x) plane at the nuclei's middle.
        z_step_um: distance of the planes, µm.
        keep_expected: keep the noiseless images in the result.
    """

    scene: Field = field(default_factory=Field)
    nuclei: NucleiSettings = field(default_factory=NucleiSettings)
    foci: FocusSettings = field(default_factory=FocusSettings)
    optics: Optics = field(default_factory=Optics)
    camera: Camera = field(default_factory=Camera)
    dapi_e: float = 2500.0
    gh2ax_e: float = 150.0
    staining_cv: float = 0.25
    pan_nuclear_fraction: float = 0.03
    pan_nuclear_factor: float = 8.0
    debris_e: float = 400.0
    bleed_through: tuple[tuple[float, ...], ...] = ((1.0, 0.0), (0.0, 1.0))
    z_planes: int = 1
    z_step_um: float = 0.3
    keep_expected: bool = False

    @property
    def planes_um(self) -> tuple[float, ...]:
        """Heights to which the microscope is focused, µm; 0 is the middle of the nuclei."""
        middle = (self.z_planes - 1) / 2
        return tuple((k - middle) * self.z_step_um for k in range(self.z_planes))


def simulate_foci(settings: FociSettings, seed: int) -> Simulated:
    """Simulate one field of γH2AX foci.

    Args:
        settings: the field, its nuclei and foci, and the microscope.
        seed: seed; the same settings and seed give the same bytes.

    Returns:
        Channels ``dapi`` and ``gh2ax``, (y, x) or (z, y, x) uint16; labels ``nuclei``; tables
        ``nuclei`` (see `nuclei_table`; also ``count`` and ``pan_nuclear``), ``foci`` (see
        `focus_light.foci_table`) and ``debris``. ``expected`` has, if asked for, the noiseless grey
        values of both channels and of ``gh2ax_background``, γH2AX without foci.
    """
    scene, camera = settings.scene, settings.camera
    nuclei, labels = place_nuclei(settings.nuclei, scene, seed)
    pan = _pan_nuclear(len(nuclei), settings, seed)
    dyes, debris = _light_without_foci(nuclei, labels, pan, settings, seed)
    lit = [illumination(scene.shape, scene.falloff, part_rng(seed, "light", c)) for c in range(2)]
    background = mix(list(dyes), settings.bleed_through) * np.stack(lit)[:, None]
    width = imaged_width_um(settings.foci, settings.optics, GH2AX_NM)
    bearing = [n for n, stained in zip(nuclei, pan, strict=True) if not stained]
    foci = draw_foci(bearing, settings.foci, scene, width, seed)
    imaging = Imaging(
        settings.optics,
        GH2AX_NM,
        scene.pixel_size_um,
        settings.planes_um,
        camera,
        settings.foci.surroundings_um,
    )
    painted = paint_foci(foci, background[1], labels, imaging)
    leak = np.asarray(settings.bleed_through)[:, 1] / settings.bleed_through[1][1]
    electrons = background + leak[:, None, None, None] * painted.light
    counts = np.bincount(foci.nucleus, minlength=len(nuclei)).astype(np.uint32)
    table = nuclei_table(nuclei, labels, scene.pixel_size_um)
    return Simulated(
        channels=_photographs(electrons, camera, seed),
        pixel_size_um=scene.pixel_size_um,
        labels={"nuclei": labels},
        truth={
            "nuclei": {**table, "count": counts, "pan_nuclear": pan},
            "foci": foci_table(foci, painted, imaging, width),
            "debris": debris,
        },
        expected=_expected(electrons, background, camera) if settings.keep_expected else {},
        z_step_um=settings.z_step_um if settings.z_planes > 1 else None,
    )


def _pan_nuclear(n_nuclei: int, settings: FociSettings, seed: int) -> NDArray[np.bool_]:
    """Choose the nuclei that are stained all over."""
    draws = part_rng(seed, "pan-nuclear").random(n_nuclei)
    return np.asarray(draws < settings.pan_nuclear_fraction)


def _light_without_foci(
    nuclei: list[Nucleus],
    labels: NDArray[np.uint32],
    pan: NDArray[np.bool_],
    settings: FociSettings,
    seed: int,
) -> tuple[FloatArray, dict[str, NDArray[np.generic]]]:
    """Paint both dyes without foci: (dye, plane, y, x) electrons, and the table of the debris."""
    scene = settings.scene
    light = np.zeros((2, settings.z_planes, *scene.shape))
    for nucleus in nuclei:
        brighter = settings.pan_nuclear_factor if pan[nucleus.index] else 1.0
        _add_nucleus(light, nucleus, settings, brighter, seed)
    specks, debris = scatter_debris(scene, seed)
    cytoplasm = scene.cytoplasm_e * cytoplasm_light(labels, scene, seed)
    light = spread_light(light + settings.debris_e * specks, scene)
    return light + scene.background_e + cytoplasm, debris


def _add_nucleus(
    light: FloatArray, nucleus: Nucleus, settings: FociSettings, brighter: float, seed: int
) -> None:
    """Add a nucleus's DNA and diffuse γH2AX light to (dye, plane, y, x) in place."""
    pixel_size = settings.scene.pixel_size_um
    inside = fill_nucleus(nucleus, settings.nuclei, pixel_size, seed)
    heights = inside.depths_um + nucleus.defocus_um
    rng = part_rng(seed, "staining", nucleus.index)
    # Integrated DNA light is the DNA content; a larger nucleus spreads it over more area.
    levels = (
        settings.dapi_e
        * (nucleus.dna / 2) ** (1 / 3)
        * log_normal(1, settings.staining_cv / 2, rng),
        settings.gh2ax_e * brighter * log_normal(1, settings.staining_cv, rng),
    )
    for dye, (matter, nm) in enumerate(
        ((inside.chromatin, DAPI_NM), (inside.nucleoplasm, GH2AX_NM))
    ):
        image = image_of_layers(
            inside.filled * matter, heights, settings.planes_um, settings.optics, nm, pixel_size
        )
        add_to_field(light[dye], nucleus, image, levels[dye])


def _photographs(
    electrons: FloatArray, camera: Camera, seed: int
) -> dict[str, NDArray[np.generic]]:
    """Photograph both channels; a single plane loses its z axis."""
    names = ("dapi", "gh2ax")
    pictures = (
        expose(e, camera, part_rng(seed, f"camera {n}"))
        for n, e in zip(names, electrons, strict=True)
    )
    return {name: p[0] if len(p) == 1 else p for name, p in zip(names, pictures, strict=True)}


def _expected(
    electrons: FloatArray, background: FloatArray, camera: Camera
) -> dict[str, FloatArray]:
    """Give the noiseless grey values of both channels, and of γH2AX without foci."""
    images = {"dapi": electrons[0], "gh2ax": electrons[1], "gh2ax_background": background[1]}
    grey = {name: to_grey(image, camera) for name, image in images.items()}
    return {name: image[0] if len(image) == 1 else image for name, image in grey.items()}
