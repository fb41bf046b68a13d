"""Simulated RNA in situ: dots of molecules, alone and in clusters, beside lipofuscin."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.camera import Camera, expose, noise_sd_e, to_grey
from pipelines.simulate.cells import CellShape, spread_cells
from pipelines.simulate.chromatin import View, paint_nuclei
from pipelines.simulate.molecules import (
    GranuleSettings,
    MoleculeSettings,
    Points,
    draw_granules,
    draw_molecules,
    imaged_sigmas_px,
    paint_points,
    pixel_gaussian,
)
from pipelines.simulate.nuclei import NucleiSettings, nuclei_table, place_nuclei
from pipelines.simulate.optics import Optics, illumination, psf_sigma_um
from pipelines.simulate.randomness import FloatArray, log_normal, part_rng
from pipelines.simulate.scene import (
    Field,
    Simulated,
    Table,
    cytoplasm_light,
    scatter_debris,
    spread_light,
)

CHANNELS = ("dapi", "rna", "blank")
DAPI_NM, RNA_NM, BLANK_NM = 461.0, 590.0, 525.0
SURROUNDINGS_UM = 1.5


@dataclass(frozen=True, slots=True)
class RnaSettings:
    """A field of a section stained for DNA and one RNA, with a channel that nothing was put into.

    Attributes:
        scene: the field of view and what spoils it.
        nuclei: how the nuclei look and lie; their number is that of the cells.
        cells: how cells spread.
        molecules: the RNA.
        granules: lipofuscin, seen in the channels ``rna`` and ``blank``.
        optics: the objective.
        camera: the camera.
        dapi_e: mean light of a nucleus in the DNA channel, electrons.
        debris_e: brightness of a typical speck of debris in every channel, electrons.
        bleed: light of the RNA that reaches the unused channel, as a fraction.
        chromatic_um: (row, column) shift of the unused channel, µm.
        keep_expected: keep the noiseless images in the result.
    """

    scene: Field = field(
        default_factory=lambda: Field(height=700, width=700, pixel_size_um=0.1625, cytoplasm_e=40.0)
    )
    nuclei: NucleiSettings = field(
        default_factory=lambda: NucleiSettings(
            count=45, area_um2=42.0, min_gap_um=4.0, elongation=1.4
        )
    )
    cells: CellShape = field(default_factory=lambda: CellShape(8.0, 2.0, (3, 6), 0.15))
    molecules: MoleculeSettings = field(default_factory=MoleculeSettings)
    granules: GranuleSettings = field(default_factory=GranuleSettings)
    optics: Optics = field(default_factory=lambda: Optics(1.3, 1.515))
    camera: Camera = field(default_factory=Camera)
    dapi_e: float = 1500.0
    debris_e: float = 300.0
    bleed: float = 0.01
    chromatic_um: tuple[float, float] = (0.06, -0.04)
    keep_expected: bool = False


def simulate_rna(settings: RnaSettings, seed: int) -> Simulated:
    """Simulate one field of RNA in situ.

    Args:
        settings: the field, its cells and molecules, and the microscope.
        seed: seed; the same settings and seed give the same bytes.

    Returns:
        Channels ``dapi``, ``rna`` and ``blank``, (y, x) uint16; labels ``nuclei`` and ``cells``;
        tables ``nuclei``, ``cells`` (``label``, ``count`` of molecules, ``nucleus_count``,
        ``granules``), ``molecules`` (``y``, ``x``, ``cell``, ``in_nucleus``, ``cluster``, ``light``
        in median molecules, ``peak`` above the background in grey values, ``sigma_px``, ``snr``),
        ``granules`` (``y``, ``x``, ``cell``, ``light``, ``ratio``) and ``debris``. ``expected``
        has, if asked for, noiseless grey values of the channels and of ``rna_background``.
    """
    scene, size = settings.scene, settings.scene.pixel_size_um
    nuclei, labels = place_nuclei(settings.nuclei, scene, seed)
    cells = spread_cells(nuclei, labels, settings.cells, np.ones(len(nuclei)), scene, seed).labels
    molecules = draw_molecules(labels, cells, settings.molecules, scene, seed)
    granules, ratio = draw_granules(labels, cells, settings.granules, seed)
    specks, debris = scatter_debris(scene, seed)
    levels = np.array(
        [log_normal(settings.dapi_e, 0.15, part_rng(seed, "dna", n.index)) for n in nuclei]
    )
    view = View(settings.optics, DAPI_NM, binds_dna=True)
    dapi = paint_nuclei(nuclei, settings.nuclei, scene, view, levels, seed)
    haze = scene.cytoplasm_e * cytoplasm_light(labels, scene, seed) + settings.debris_e * specks
    plain = spread_light(haze, scene) + scene.background_e
    unit = _unit_light(molecules, plain, settings)
    rna = unit * paint_points(molecules, settings.optics, RNA_NM, scene)
    granular = unit * paint_points(granules, settings.optics, RNA_NM, scene)
    away = (shift / size for shift in settings.chromatic_um)
    unused = granules.lit(ratio).moved(*away)
    blank = unit * paint_points(unused, settings.optics, BLANK_NM, scene) + settings.bleed * rna
    lit = [illumination(scene.shape, scene.falloff, part_rng(seed, "light", c)) for c in range(3)]
    electrons = {
        "dapi": (spread_light(dapi + settings.debris_e * specks, scene) + scene.background_e)
        * lit[0],
        "rna": (spread_light(rna + granular, scene) + plain) * lit[1],
        "blank": (spread_light(blank, scene) + plain) * lit[2],
    }
    camera = settings.camera
    background = (spread_light(granular, scene) + plain) * lit[1]
    tables: dict[str, Table] = {
        "nuclei": nuclei_table(nuclei, labels, size),
        "cells": cells_table(molecules, granules, labels, cells),
        "molecules": _molecules_table(molecules, labels, cells, unit, background, settings),
        "granules": {
            "y": granules.y, "x": granules.x, "cell": label_at(granules, cells),
            "light": granules.light, "ratio": ratio,
        },
        "debris": debris,
    }  # fmt: skip
    expected = {**electrons, "rna_background": background} if settings.keep_expected else {}
    return Simulated(
        channels={
            name: expose(electrons[name], camera, part_rng(seed, f"camera {name}"))
            for name in CHANNELS
        },
        pixel_size_um=size,
        labels={"nuclei": labels, "cells": cells},
        truth=tables,
        expected={name: to_grey(image, camera) for name, image in expected.items()},
    )


def spot_sigma_px(settings: RnaSettings) -> float:
    """SD of the image of a molecule in focus, px."""
    return sigma_in_focus_px(settings.molecules, settings.optics, RNA_NM, settings.scene)


def sigma_in_focus_px(
    molecules: MoleculeSettings, optics: Optics, nm: float, scene: Field
) -> float:
    """SD of the image of a molecule in focus in light of a wavelength, px."""
    own = molecules.fwhm_um / (2 * np.sqrt(2 * np.log(2)))
    return float(np.hypot(own, psf_sigma_um(optics, nm)) / scene.pixel_size_um)


def _unit_light(molecules: Points, plain: FloatArray, settings: RnaSettings) -> float:
    """Electrons of a median molecule, for the signal-to-noise ratio asked for.

    One number for the field, as in a specimen: the median, over the molecules' places, of the SD of
    the background around and of a pixel's noise.
    """
    if molecules.y.size == 0:
        return 0.0
    spread = np.median([_spread_at(plain, y, x, settings) for y, x in places(molecules)])
    middle = pixel_gaussian(np.zeros(1), spot_sigma_px(settings))[0] ** 2
    return float(settings.molecules.snr * spread / middle)


def _spread_at(plain: FloatArray, y: int, x: int, settings: RnaSettings) -> float:
    """SD of background and noise around a place, electrons."""
    half = round(SURROUNDINGS_UM / settings.scene.pixel_size_um)
    window = plain[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
    noise = float(noise_sd_e(window.mean(), settings.camera))
    return float(np.hypot(window.std(), noise))


def places(points: Points) -> list[tuple[int, int]]:
    """Pixel of each point."""
    return [(round(y), round(x)) for y, x in zip(points.y, points.x, strict=True)]


def label_at(points: Points, labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Label of the pixel that each point lies on."""
    y, x = (np.rint(along).astype(np.int64) for along in (points.y, points.x))
    return labels[y, x]


def cells_table(
    molecules: Points,
    granules: Points,
    nuclei: NDArray[np.uint32],
    cells: NDArray[np.uint32],
) -> Table:
    """Molecules and granules of every cell."""
    n = int(cells.max(initial=0)) + 1
    found = {"count": label_at(molecules, cells), "nucleus_count": label_at(molecules, nuclei)}
    found["granules"] = label_at(granules, cells)
    counts = {k: np.bincount(v, minlength=n)[1:].astype(np.uint32) for k, v in found.items()}
    return {"label": np.arange(1, n, dtype=np.uint32), **counts}


def _molecules_table(
    molecules: Points,
    nuclei: NDArray[np.uint32],
    cells: NDArray[np.uint32],
    unit: float,
    background: FloatArray,
    settings: RnaSettings,
) -> Table:
    size = settings.scene.pixel_size_um
    sigma = imaged_sigmas_px(molecules, settings.optics, RNA_NM, size)
    found = [_spread_at(background, y, x, settings) for y, x in places(molecules)]
    spread = np.array(found, dtype=np.float64)
    table = molecules_table(molecules, (nuclei, cells), sigma, unit, spread)
    peak = np.asarray(table["peak"], dtype=np.float64)
    return {**table, "peak": peak / settings.camera.electrons_per_dn}


def molecules_table(
    molecules: Points,
    labels: tuple[NDArray[np.uint32], NDArray[np.uint32]],
    sigma: FloatArray,
    unit: float,
    spread: FloatArray,
) -> Table:
    """Truth of every molecule.

    Args:
        molecules: where they lie.
        labels: nuclei and cells.
        sigma: SD of each one's image, px.
        unit: light or density times pixels of a median molecule.
        spread: SD of background and noise around each, in the unit of the peak.
    """
    nuclei, cells = labels
    middle = np.array([pixel_gaussian(np.zeros(1), float(s))[0] ** 2 for s in sigma])
    peak = molecules.light * unit * middle
    return {
        "y": molecules.y,
        "x": molecules.x,
        "cell": label_at(molecules, cells),
        "in_nucleus": label_at(molecules, nuclei) > 0,
        "cluster": molecules.cluster,
        "light": molecules.light,
        "peak": peak,
        "sigma_px": sigma,
        "snr": peak / spread,
    }
