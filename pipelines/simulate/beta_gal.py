"""Simulated SA-β-Gal: flat cells in colour bright field, some with a blue precipitate."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.brightfield import Contrast, refract, thickness_um
from pipelines.simulate.camera import Camera, expose
from pipelines.simulate.cells import Cells, CellShape, spread_cells
from pipelines.simulate.chromatin import View, paint_nuclei
from pipelines.simulate.inclusions import Included, Inclusions, include
from pipelines.simulate.nuclei import NucleiSettings, Nucleus, nuclei_table, place_nuclei
from pipelines.simulate.optics import Optics, illumination, psf_sigma_um
from pipelines.simulate.photograph import ColourCamera, photograph
from pipelines.simulate.randomness import FloatArray, log_normal, part_rng
from pipelines.simulate.scene import Field, Simulated, Table
from pipelines.simulate.x_gal import indigo_vector, precipitate, tilted

DAPI_NM = 461.0
GREEN_NM = 550.0


@dataclass(frozen=True, slots=True)
class BetaGalSettings:
    """A colour bright-field image of a culture stained with X-gal.

    Attributes:
        scene: the field of view; of its spoilers only the fall-off of the light counts here.
        nuclei: how the nuclei look and lie; their number is that of the cells.
        cells: how cells spread.
        contrast: how strongly unstained cells show.
        inclusions: droplets, debris and clumps.
        optics: the objective.
        stained_fraction: probability of a cell to be stained, 0 to 1.
        stain_od: mean of the stained cells' mean optical density along the stain's vector.
        stain_cv: coefficient of variation of that between stained cells.
        background_od: mean optical density of the stain in cells that are not stained.
        stained_size: how many times larger in diameter stained cells are: senescent cells spread.
        stain_vector: optical density of red, green and blue; see `x_gal.indigo_vector`.
        vector_jitter_deg: how far an image's stain lies from that colour, degrees (SD).
        body_od: optical density of an unstained cell body per µm of thickness, slightly yellow.
        counterstain_od: optical density of nuclei after a red counterstain; 0 for none.
        white_balance: gain of red, green and blue.
        white_level: grey value of an empty field where it is brightest, of 255.
        electrons: electrons at 255: the fewer, the noisier.
        read_noise_e: SD of the read-out noise, electrons.
        gamma: exponent by which the camera encodes light; 1 is linear, 2.2 a consumer camera.
        jpeg_quality: quality 1 to 95 of a JPEG compression; None for none.
        light_seed: where the light is brightest, see `photograph.ColourCamera`.
        dapi_e: light of nuclei in a second image, stained with DAPI, electrons; 0 for none.
    """

    scene: Field = field(
        default_factory=lambda: Field(
            height=1000, width=1200, pixel_size_um=0.65, falloff=0.2, debris_per_mm2=0.0
        )
    )
    nuclei: NucleiSettings = field(
        default_factory=lambda: NucleiSettings(
            count=36,
            area_um2=260.0,
            elongation=1.6,
            irregularity=0.03,
            dented_fraction=0.1,
            touching_fraction=0.0,
            min_gap_um=32.0,
            out_of_focus_fraction=0.0,
        )
    )
    cells: CellShape = field(default_factory=CellShape)
    contrast: Contrast = field(default_factory=Contrast)
    inclusions: Inclusions = field(default_factory=Inclusions)
    optics: Optics = field(default_factory=lambda: Optics(0.45, 1.0))
    stained_fraction: float = 0.4
    stain_od: float = 0.14
    stain_cv: float = 0.6
    background_od: float = 0.006
    stained_size: float = 1.15
    stain_vector: tuple[float, float, float] = field(default_factory=indigo_vector)
    vector_jitter_deg: float = 3.0
    body_od: float = 0.012
    counterstain_od: float = 0.0
    white_balance: tuple[float, float, float] = (1.0, 0.99, 0.96)
    white_level: float = 215.0
    electrons: float = 12000.0
    read_noise_e: float = 8.0
    gamma: float = 1.0
    jpeg_quality: int | None = None
    light_seed: int | None = None
    dapi_e: float = 0.0

    @property
    def camera(self) -> ColourCamera:
        """The camera that takes the picture."""
        return ColourCamera(
            self.white_balance,
            self.white_level,
            self.electrons,
            self.read_noise_e,
            self.gamma,
            self.jpeg_quality,
            self.light_seed,
        )


# Optical densities of an unstained cell body, and of nuclear fast red as in the stain list of
# ImageJ's colour deconvolution (Ruifrok and Johnston 2001).
BODY_VECTOR = np.array([0.45, 0.55, 0.70])
RED_VECTOR = np.array([0.213, 0.851, 0.478])


def simulate_beta_gal(settings: BetaGalSettings, seed: int) -> Simulated:
    """Simulate one SA-β-Gal field.

    Light follows Beer and Lambert: white light, times the factor by which cells bend it, times
    10^-OD of stain, bodies, counterstain and debris in each colour.

    Args:
        settings: the field, its cells, its stain, and the microscope.
        seed: seed; the same settings and seed give the same bytes.

    Returns:
        Channel ``rgb``, (y, x, 3) uint8, and ``dapi`` (y, x) uint16 where asked for; labels
        ``nuclei``, ``cells`` and ``clumps``; tables ``cells`` (see `_cells_table`), ``nuclei``,
        ``droplets``, ``debris`` and ``colour`` (the stain vector of this image). ``expected`` has
        ``stain_od``, the optical density of the stain along its vector, crystals left out.
    """
    scene = settings.scene
    nuclei, nucleus_labels = place_nuclei(settings.nuclei, scene, seed)
    stained, amounts = _stain_amounts(len(nuclei), settings, seed)
    sizes = np.where(stained, settings.stained_size, 1.0)
    cells = spread_cells(nuclei, nucleus_labels, settings.cells, sizes, scene, seed)
    thickness = thickness_um(cells, nuclei, nucleus_labels, scene, seed)
    factor = refract(thickness, settings.contrast, scene)
    included = include(factor, nuclei, cells, settings.inclusions, scene, seed)
    # A wide cone of light and the cell's own height blur more than the objective alone.
    blur = np.hypot(psf_sigma_um(settings.optics, GREEN_NM), 0.5) / scene.pixel_size_um
    stain = precipitate(cells, nuclei, nucleus_labels, amounts, included.free, scene, seed)
    stain = ndimage.gaussian_filter(stain, blur)
    vector = tilted(settings.stain_vector, settings.vector_jitter_deg, part_rng(seed, "colour"))
    absorbing = {
        "stain": (stain + ndimage.gaussian_filter(included.blue_od, blur), vector),
        "grey": (included.grey_od, np.ones(3)),
        "body": (settings.body_od * thickness, BODY_VECTOR / np.linalg.norm(BODY_VECTOR)),
        "red": (
            settings.counterstain_od * ndimage.gaussian_filter((nucleus_labels > 0) * 1.0, blur),
            RED_VECTOR / np.linalg.norm(RED_VECTOR),
        ),
    }
    density = sum(od * colour[:, None, None] for od, colour in absorbing.values())
    light = np.clip(factor, 0.1, None) * 10.0 ** -np.asarray(density)
    return Simulated(
        channels={"rgb": photograph(light, scene, settings.camera, seed)}
        | _dapi(nuclei, settings, seed),
        pixel_size_um=scene.pixel_size_um,
        labels={"nuclei": nucleus_labels, "cells": cells.labels, "clumps": included.clumps},
        truth={
            "cells": _cells_table(cells, stain, stained, included, scene.pixel_size_um),
            "nuclei": nuclei_table(nuclei, nucleus_labels, scene.pixel_size_um),
            "droplets": included.droplets,
            "debris": included.debris,
            "colour": {"red": vector[:1], "green": vector[1:2], "blue": vector[2:]},
        },
        expected={"stain_od": stain},
    )


def _stain_amounts(
    n_cells: int, settings: BetaGalSettings, seed: int
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Decide which cells are stained and draw every cell's mean optical density."""
    stained = part_rng(seed, "stained").random(n_cells) < settings.stained_fraction
    amounts = np.zeros(n_cells)
    for cell in range(n_cells):
        rng = part_rng(seed, "stain amount", cell)
        mean = settings.stain_od if stained[cell] else settings.background_od
        amounts[cell] = log_normal(mean, settings.stain_cv, rng) if mean > 0 else 0.0
    return stained, amounts


def _cells_table(
    cells: Cells,
    stain: FloatArray,
    stained: NDArray[np.bool_],
    included: Included,
    pixel_size_um: float,
) -> Table:
    """Say what is known of each cell.

    Returns:
        ``label``; ``stained``, whether it was given precipitate; ``mean_od`` and ``integrated_od``
        (OD µm²) of the stain along its vector; ``area_um2``, as far as the field shows it;
        ``adipogenic``; ``in_clump``, whether over a fifth of it lies in a heap.
    """
    ids = np.arange(1, stained.size + 1, dtype=np.uint32)
    area = np.bincount(cells.labels.ravel(), minlength=ids.size + 1)[1:] * pixel_size_um**2
    total = np.bincount(cells.labels.ravel(), stain.ravel(), ids.size + 1)[1:] * pixel_size_um**2
    heaped = np.bincount(cells.labels.ravel(), included.clumps.ravel() > 0, ids.size + 1)[1:]
    shown = np.maximum(area, pixel_size_um**2)
    return {
        "label": ids,
        "stained": stained,
        "mean_od": total / shown,
        "integrated_od": total,
        "area_um2": area,
        "adipogenic": included.adipogenic,
        "in_clump": heaped * pixel_size_um**2 / shown > 0.2,
    }


def _dapi(
    nuclei: list[Nucleus], settings: BetaGalSettings, seed: int
) -> dict[str, NDArray[np.generic]]:
    """Photograph the nuclei's DNA, where asked for."""
    if settings.dapi_e == 0:
        return {}
    scene = settings.scene
    levels = np.full(len(nuclei), settings.dapi_e)
    view = View(settings.optics, DAPI_NM, binds_dna=True)
    light = paint_nuclei(nuclei, settings.nuclei, scene, view, levels, seed)
    light += scene.background_e
    lit = illumination(scene.shape, scene.falloff, part_rng(seed, "light", 1))
    return {"dapi": expose(light * lit, Camera(), part_rng(seed, "camera dapi"))}
