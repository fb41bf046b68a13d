"""Simulated chromogenic RNA in situ: brown or red dots on haematoxylin, in colour bright field.

What makes real fields hard is in it: dots are deposits that the objective blurs as light, not as
density, so that dense clusters weigh less than their parts; the counterstain is pale and granular,
in the cytoplasm too; the chromogen hazes the cells; stray light greys what is black; pigment is
nearly as brown as DAB; and the file went through JPEG, which keeps half of the colour's detail.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from pipelines.simulate.cells import CellShape, spread_cells
from pipelines.simulate.chromatin import View, paint_nuclei
from pipelines.simulate.molecules import (
    GranuleSettings,
    MoleculeSettings,
    Points,
    draw_granules,
    draw_molecules,
    imaged_sigmas_px,
    pixel_gaussian,
    stamp_points,
)
from pipelines.simulate.nuclei import NucleiSettings, nuclei_table, place_nuclei
from pipelines.simulate.optics import Optics, illumination, psf_sigma_um
from pipelines.simulate.photograph import ColourCamera, photograph, white_electrons
from pipelines.simulate.randomness import FloatArray, log_normal, part_rng, smooth_noise
from pipelines.simulate.rna import (
    SURROUNDINGS_UM,
    cells_table,
    label_at,
    molecules_table,
    places,
    sigma_in_focus_px,
)
from pipelines.simulate.scene import (
    Field,
    Simulated,
    cytoplasm_light,
    scatter_debris,
    spread_light,
)
from pipelines.simulate.x_gal import tilted

GREEN_NM = 550.0
LN_10 = float(np.log(10.0))
Vector = tuple[float, float, float]

# Optical densities of red, green and blue in the stain list of ImageJ's colour deconvolution, after
# Ruifrok and Johnston 2001 (Anal Quant Cytol Histol 23:291).
HAEMATOXYLIN: Vector = (0.644, 0.717, 0.267)
DAB: Vector = (0.268, 0.570, 0.776)
FAST_RED: Vector = (0.214, 0.851, 0.478)
# Lipofuscin is golden brown: its absorption rises towards the blue more steeply than DAB's
# [judgement].
LIPOFUSCIN: Vector = (0.18, 0.42, 0.89)


@dataclass(frozen=True, slots=True)
class RnaBrightfieldSettings:
    """A colour bright-field image of a section with one RNA in a chromogen, on haematoxylin.

    Densities are such as an annotated field of DAB on haematoxylin shows (`skimage.data`'s ihc, a
    JPEG): nuclei 0.22, tissue between them 0.08 with an SD of 0.03, DAB of empty glass 0.013 (SD).

    Attributes:
        scene: the field of view; `haze` is stray light, `falloff` that of the lamp.
        nuclei: how the nuclei look and lie; their number is that of the cells.
        cells: how cells spread.
        molecules: the RNA; `snr` is the density of a median dot over the SD of the chromogen's
            density within 1.5 µm and of a pixel's noise in it, before JPEG.
        pigment: granules of lipofuscin; `brightness` is density, in median dots.
        optics: the objective; the defaults are those of a slide scanner at 40x.
        camera: the camera and the file.
        chromogen: optical densities of red, green and blue of the dots.
        vector_jitter_deg: how far an image's stains lie from their colours, degrees (SD).
        nucleus_od: mean density of haematoxylin in a nucleus.
        nucleus_cv: coefficient of variation of that between nuclei.
        tissue_od: the same of the cytoplasm, at its densest.
        chromogen_haze_od: density of the chromogen's haze over cells, at its densest.
        grain_od: SD of the neutral density of unstained tissue, which bends light.
        debris_od: neutral density of a typical speck.
    """

    scene: Field = field(
        default_factory=lambda: Field(
            height=640, width=640, pixel_size_um=0.25, falloff=0.12, haze=0.03, debris_per_mm2=150.0
        )
    )
    nuclei: NucleiSettings = field(
        default_factory=lambda: NucleiSettings(
            count=75, area_um2=42.0, min_gap_um=4.0, elongation=1.4
        )
    )
    cells: CellShape = field(default_factory=lambda: CellShape(8.0, 2.0, (3, 6), 0.15))
    molecules: MoleculeSettings = field(
        default_factory=lambda: MoleculeSettings(
            count_mean=8.0,
            clusters_mean=0.25,
            cluster_size=(2, 20),
            cluster_sd_um=0.5,
            fwhm_um=0.8,
            brightness_cv=0.4,
            depth_um=0.5,
            snr=20.0,
        )
    )
    pigment: GranuleSettings = field(
        default_factory=lambda: GranuleSettings(0.4, (0.4, 1.5), (0.4, 2.0), (1.0, 1.0))
    )
    optics: Optics = field(default_factory=lambda: Optics(0.75, 1.0))
    camera: ColourCamera = field(default_factory=lambda: ColourCamera(jpeg_quality=85))
    chromogen: Vector = DAB
    vector_jitter_deg: float = 3.0
    nucleus_od: float = 0.24
    nucleus_cv: float = 0.25
    tissue_od: float = 0.08
    chromogen_haze_od: float = 0.02
    grain_od: float = 0.008
    debris_od: float = 0.3


def simulate_rna_brightfield(settings: RnaBrightfieldSettings, seed: int) -> Simulated:
    """Simulate one field of chromogenic RNA in situ.

    Light follows Beer and Lambert through haematoxylin, chromogen, pigment and grey matter, is then
    blurred by the objective, gains stray light, and is photographed.

    Args:
        settings: the field, its cells, stains and molecules, and the microscope.
        seed: seed; the same settings and seed give the same bytes.

    Returns:
        Channel ``rgb``, (y, x, 3) uint8; labels ``nuclei`` and ``cells``; tables ``nuclei``,
        ``cells`` (``label``, ``count`` of molecules, ``nucleus_count``, ``granules`` of pigment),
        ``molecules`` (``y``, ``x``, ``cell``, ``in_nucleus``, ``cluster``, ``light`` in median
        molecules, ``peak`` density of it alone, ``sigma_px``, ``snr``), ``pigment``, ``debris`` and
        ``colour`` (vectors of this image's stains, a column each). ``expected`` has
        ``chromogen_od`` and ``haematoxylin_od``, what lies in the specimen.
    """
    scene = settings.scene
    nuclei, labels = place_nuclei(settings.nuclei, scene, seed)
    cells = spread_cells(nuclei, labels, settings.cells, np.ones(len(nuclei)), scene, seed).labels
    molecules = draw_molecules(labels, cells, settings.molecules, scene, seed)
    pigment, _ = draw_granules(labels, cells, settings.pigment, seed)
    specks, debris = scatter_debris(scene, seed)
    levels = [
        log_normal(settings.nucleus_od, settings.nucleus_cv, part_rng(seed, "dna", n.index))
        for n in nuclei
    ]
    view = View(settings.optics, GREEN_NM, binds_dna=True)
    body = cytoplasm_light(labels, scene, seed)
    stained = paint_nuclei(nuclei, settings.nuclei, scene, view, np.array(levels), seed)
    grain = smooth_noise(scene.shape, 0.4 / scene.pixel_size_um, part_rng(seed, "grain"))
    colours = _colours(settings, seed)
    densities = {
        "haematoxylin": stained + settings.tissue_od * body,
        "chromogen": settings.chromogen_haze_od * body,
        "pigment": np.zeros(scene.shape),
        "grey": settings.debris_od * specks + settings.grain_od * grain,
    }
    noise = _noise_sd(_transmitted(densities, colours, settings), colours, settings, seed)
    spread = _spread(densities["chromogen"], noise, molecules, settings)
    unit = _unit_density(spread, settings)
    densities["chromogen"] = densities["chromogen"] + unit * _deposited(molecules, settings)
    densities["pigment"] = unit * _deposited(pigment, settings)
    light = _transmitted(densities, colours, settings)
    sigma = imaged_sigmas_px(molecules, settings.optics, GREEN_NM, scene.pixel_size_um)
    return Simulated(
        channels={"rgb": photograph(light, scene, settings.camera, seed)},
        pixel_size_um=scene.pixel_size_um,
        labels={"nuclei": labels, "cells": cells},
        truth={
            "nuclei": nuclei_table(nuclei, labels, scene.pixel_size_um),
            "cells": cells_table(molecules, pigment, labels, cells),
            "molecules": molecules_table(molecules, (labels, cells), sigma, unit, spread),
            "pigment": {
                "y": pigment.y, "x": pigment.x, "cell": label_at(pigment, cells),
                "light": pigment.light,
            },
            "debris": debris,
            "colour": {name: np.array(vector) for name, vector in colours.items()},
        },
        expected={f"{name}_od": densities[name] for name in ("chromogen", "haematoxylin")},
    )  # fmt: skip


def dot_sigma_px(settings: RnaBrightfieldSettings) -> float:
    """SD of the image of a dot in focus, px."""
    return sigma_in_focus_px(settings.molecules, settings.optics, GREEN_NM, settings.scene)


def _colours(settings: RnaBrightfieldSettings, seed: int) -> dict[str, FloatArray]:
    """Colour of each kind of matter in this image; batches of stains differ."""
    usual = {
        "haematoxylin": HAEMATOXYLIN, "chromogen": settings.chromogen, "pigment": LIPOFUSCIN,
    }  # fmt: skip
    own = {
        name: tilted(vector, settings.vector_jitter_deg, part_rng(seed, f"colour {name}"))
        for name, vector in usual.items()
    }
    return {**own, "grey": np.ones(3) / np.sqrt(3)}


def _transmitted(
    densities: dict[str, FloatArray],
    colours: dict[str, FloatArray],
    settings: RnaBrightfieldSettings,
) -> FloatArray:
    """Light of red, green and blue (3, y, x) that reaches the camera, 1 for an empty field."""
    scene = settings.scene
    density = sum(od * colours[name][:, None, None] for name, od in densities.items())
    blur = psf_sigma_um(settings.optics, GREEN_NM) / scene.pixel_size_um
    through = ndimage.gaussian_filter(10.0 ** -np.asarray(density), (0, blur, blur))
    return spread_light(through, scene) / (1 + scene.haze)


def _noise_sd(
    light: FloatArray,
    colours: dict[str, FloatArray],
    settings: RnaBrightfieldSettings,
    seed: int,
) -> FloatArray:
    """SD (y, x) of the chromogen's density in a pixel, told from haematoxylin's, without dots.

    By propagation through OD = -log10 I and the least-squares weights of the two stains; shot noise
    and read noise as in `pipelines.simulate.camera`.
    """
    camera = settings.camera
    lit = illumination(settings.scene.shape, settings.scene.falloff, part_rng(seed, "light"))
    electrons = light * lit * white_electrons(camera)[:, None, None]
    of_colour = np.sqrt(electrons + camera.read_noise_e**2) / electrons / LN_10
    both = np.stack([colours["chromogen"], colours["haematoxylin"]])
    weights = np.linalg.pinv(both)[:, 0]
    return np.asarray(np.sqrt(np.einsum("c,cyx->yx", weights**2, of_colour**2)))


def _spread(
    haze: FloatArray, noise: FloatArray, molecules: Points, settings: RnaBrightfieldSettings
) -> FloatArray:
    """SD of the chromogen's density around each molecule: its haze's and a pixel's noise."""
    half = round(SURROUNDINGS_UM / settings.scene.pixel_size_um)
    found = [
        np.hypot(
            haze[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1].std(),
            noise[y, x],
        )
        for y, x in places(molecules)
    ]
    return np.array(found, dtype=np.float64)


def _unit_density(spread: FloatArray, settings: RnaBrightfieldSettings) -> float:
    """Density times pixels of a median molecule, for the ratio asked for; one for the field."""
    if spread.size == 0:
        return 0.0
    middle = pixel_gaussian(np.zeros(1), dot_sigma_px(settings))[0] ** 2
    return float(settings.molecules.snr * np.median(spread) / middle)


def _deposited(points: Points, settings: RnaBrightfieldSettings) -> FloatArray:
    """Density of points before the objective blurs their light; what lies out of focus is wider."""
    size = settings.scene.pixel_size_um
    blur = psf_sigma_um(settings.optics, GREEN_NM) / size
    imaged = imaged_sigmas_px(points, settings.optics, GREEN_NM, size)
    return stamp_points(points, np.sqrt(imaged**2 - blur**2), settings.scene)
