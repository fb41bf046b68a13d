"""Simulated reporters: mCherry marks primary, GFP secondary senescent cells, p21 and DNA beside."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.camera import Camera, expose, to_grey
from pipelines.simulate.cells import Cells, CellShape, distance_from_nucleus, spread_cells
from pipelines.simulate.chromatin import View, paint_nuclei
from pipelines.simulate.expression import Expression, express
from pipelines.simulate.nuclei import (
    NucleiSettings,
    Nucleus,
    nuclei_table,
    place_nuclei,
)
from pipelines.simulate.optics import Optics, bleed_through_matrix, illumination, mix, psf_sigma_um
from pipelines.simulate.randomness import FloatArray, log_normal, part_rng, smooth_noise
from pipelines.simulate.scene import Field, Simulated, scatter_debris, spread_light

DYES = ("dapi", "gfp", "mcherry", "p21")
EMISSION_NM = (461.0, 509.0, 610.0, 668.0)  # DAPI, EGFP, mCherry, p21 in Alexa Fluor 647


@dataclass(frozen=True, slots=True)
class ReporterSettings:
    """A field of cells of which some express mCherry, GFP or both.

    Channels and dyes are dapi, gfp, mcherry and p21, in the order of their wavelength.

    Attributes:
        scene: the field of view and what spoils it.
        nuclei: how the nuclei look and lie; their number is that of the cells.
        cells: how cells spread.
        optics: the objective.
        camera: the camera.
        expression: which cells express what, and how much.
        stained: dyes that are in the specimen; leave out for controls.
        dapi_e: mean light of a nucleus, electrons.
        autofluorescence_e: light of every cell in every channel, electrons.
        bright_e: light of autofluorescent cells in every channel, electrons.
        debris_e: brightness of a typical speck of debris in every channel, electrons.
        bleed_through: rows are channels, columns dyes; see `optics.bleed_through_matrix`.
        keep_expected: keep the noiseless images in the result.
    """

    scene: Field = field(
        default_factory=lambda: Field(
            height=900, width=1100, pixel_size_um=0.325, haze_sigma_um=8.0, debris_per_mm2=60.0
        )
    )
    nuclei: NucleiSettings = field(
        default_factory=lambda: NucleiSettings(count=70, area_um2=150.0, min_gap_um=6.0)
    )
    cells: CellShape = field(default_factory=lambda: CellShape(14.0, 20.0, (2, 4), 0.2))
    optics: Optics = field(default_factory=lambda: Optics(0.75, 1.0))
    camera: Camera = field(default_factory=Camera)
    expression: Expression = field(default_factory=Expression)
    stained: tuple[str, ...] = DYES
    dapi_e: float = 900.0
    autofluorescence_e: float = 25.0
    bright_e: float = 350.0
    debris_e: float = 300.0
    bleed_through: tuple[tuple[float, ...], ...] = bleed_through_matrix(4, 0.0)
    keep_expected: bool = False


def simulate_reporters(settings: ReporterSettings, seed: int) -> Simulated:
    """Simulate one field of reporter cells.

    Args:
        settings: the field, its cells and their expression, and the microscope.
        seed: seed; the same settings and seed give the same bytes.

    Returns:
        Channels ``dapi``, ``gfp``, ``mcherry`` and ``p21``, (y, x) uint16; labels ``nuclei`` and
        ``cells``; tables ``cells`` (see `expression.express`), ``nuclei`` and ``debris``.
        ``expected`` has, if asked for, the noiseless grey values by channel and, as
        ``dye_<name>``, the electrons of each dye before haze, bleed-through and uneven light.
    """
    scene = settings.scene
    nuclei, nucleus_labels = place_nuclei(settings.nuclei, scene, seed)
    cells = spread_cells(nuclei, nucleus_labels, settings.cells, np.ones(len(nuclei)), scene, seed)
    table = express(nuclei, cells.labels, settings.expression, scene.pixel_size_um, seed)
    body = _body_pattern(nuclei, cells, scene, seed)
    dyes = _dye_light(nuclei, cells.labels, body, table, settings, seed)
    own = _own_light(cells.labels, body, table, settings, seed)
    specks, debris = scatter_debris(scene, seed)
    light = mix(list(dyes), settings.bleed_through) + own + settings.debris_e * specks
    lit = np.stack(
        [illumination(scene.shape, scene.falloff, part_rng(seed, "light", c)) for c in range(4)]
    )
    electrons = (spread_light(light, scene) + scene.background_e) * lit
    pictures = {
        name: expose(e, settings.camera, part_rng(seed, f"camera {name}"))
        for name, e in zip(DYES, electrons, strict=True)
    }
    expected = {n: to_grey(e, settings.camera) for n, e in zip(DYES, electrons, strict=True)}
    expected |= {f"dye_{n}": light for n, light in zip(DYES, dyes, strict=True)}
    return Simulated(
        channels=pictures,
        pixel_size_um=scene.pixel_size_um,
        labels={"nuclei": nucleus_labels, "cells": cells.labels},
        truth={
            "cells": table,
            "nuclei": nuclei_table(nuclei, nucleus_labels, scene.pixel_size_um),
            "debris": debris,
        },
        expected=expected if settings.keep_expected else {},
    )


def reporter_controls(settings: ReporterSettings) -> dict[str, ReporterSettings]:
    """Settings of the control slides: unlabelled, and one for each dye with DNA stained beside it.

    In a single-colour control every cell expresses its dye, as in a constitutive line.

    Returns:
        ``unlabelled``, ``only_dapi``, ``only_gfp``, ``only_mcherry`` and ``only_p21``, each with
        the microscope of `settings`.
    """
    all_express = replace(
        settings.expression,
        primary_fraction=0.0,
        secondary_fraction=0.0,
        double_fraction=1.0,
        p21_probability=(1.0, 1.0, 1.0, 1.0),
    )
    everyone = replace(settings, expression=all_express)
    stained: dict[str, tuple[str, ...]] = {"unlabelled": (), "only_dapi": ("dapi",)}
    stained |= {f"only_{dye}": ("dapi", dye) for dye in DYES[1:]}
    return {name: replace(everyone, stained=dyes) for name, dyes in stained.items()}


def simulate_reporter_controls(settings: ReporterSettings, seed: int) -> dict[str, Simulated]:
    """Simulate one field of each of `reporter_controls`, each with a seed of its own."""
    return {
        name: simulate_reporters(control, seed + 1 + number)
        for number, (name, control) in enumerate(reporter_controls(settings).items())
    }


def _dye_light(
    nuclei: list[Nucleus],
    labels: NDArray[np.uint32],
    body: FloatArray,
    table: dict[str, NDArray[np.generic]],
    settings: ReporterSettings,
    seed: int,
) -> FloatArray:
    """Paint each dye that is in the specimen, (dye, y, x) electrons, evenly lit."""
    scene = settings.scene
    light = np.zeros((len(DYES), *scene.shape))
    for number, (dye, nm) in enumerate(zip(DYES, EMISSION_NM, strict=True)):
        if dye not in settings.stained:
            continue
        if dye in ("dapi", "p21"):
            levels = _nuclear_levels(dye, nuclei, table, settings, seed)
            view = View(settings.optics, nm, binds_dna=dye == "dapi")
            light[number] = paint_nuclei(nuclei, settings.nuclei, scene, view, levels, seed)
        else:
            amounts = np.asarray(table[f"{dye}_e"], dtype=np.float64)
            light[number] = _blurred(body * np.append(0.0, amounts)[labels], nm, settings)
    return light


def _nuclear_levels(
    dye: str,
    nuclei: list[Nucleus],
    table: dict[str, NDArray[np.generic]],
    settings: ReporterSettings,
    seed: int,
) -> FloatArray:
    """Mean light of each nucleus in a nuclear dye, electrons."""
    if dye == "p21":
        return np.asarray(table["p21_e"], dtype=np.float64)
    spread = [log_normal(1, 0.12, part_rng(seed, "staining", n.index)) for n in nuclei]
    dna = np.array([(n.dna / 2) ** (1 / 3) for n in nuclei])
    return np.asarray(settings.dapi_e * dna * np.array(spread))


def _body_pattern(nuclei: list[Nucleus], cells: Cells, scene: Field, seed: int) -> FloatArray:
    """Fill cell bodies with a freely diffusing protein: most where the cell is thick.

    Returns:
        float64 (y, x) whose mean over every cell is 1.
    """
    pixel = scene.pixel_size_um
    near = distance_from_nucleus(cells, nuclei, pixel)
    grains = smooth_noise(scene.shape, 0.6 / pixel, part_rng(seed, "cytosol"))
    height = (0.35 + np.exp(-near / 7.0)) * np.clip((1 - cells.rho) / 0.1, 0, 1) ** 0.5
    pattern = height * np.exp(0.08 * grains) * (cells.labels > 0)
    mean = ndimage.mean(pattern, cells.labels, np.arange(1, len(nuclei) + 1))
    return np.asarray(pattern / np.append(1.0, mean)[cells.labels])


def _blurred(light: FloatArray, emission_nm: float, settings: ReporterSettings) -> FloatArray:
    """Blur light in focus by the objective."""
    sigma = psf_sigma_um(settings.optics, emission_nm) / settings.scene.pixel_size_um
    return np.asarray(ndimage.gaussian_filter(light, sigma))


def _own_light(
    labels: NDArray[np.uint32],
    body: FloatArray,
    table: dict[str, NDArray[np.generic]],
    settings: ReporterSettings,
    seed: int,
) -> FloatArray:
    """Paint autofluorescence, (channel, y, x) electrons: faint in all, granular where bright."""
    lit = np.asarray(table["autofluorescent"], dtype=np.float64) * settings.bright_e
    bright = np.append(0.0, lit)[labels]
    rng = part_rng(seed, "lipofuscin")
    grains = smooth_noise(settings.scene.shape, 0.6 / settings.scene.pixel_size_um, rng)
    # Grains of lipofuscin: exp(1.2 N) has the mean exp(0.72), and they gather where the cell is
    # thick, about the nucleus.
    granular = _blurred(bright * body**1.5 * np.exp(1.2 * grains - 0.72), EMISSION_NM[1], settings)
    faint = _blurred(body * settings.autofluorescence_e, EMISSION_NM[1], settings)
    # Both are stronger in the blue and green than in the far red.
    return np.asarray(
        np.array([1.0, 1.0, 0.8, 0.5])[:, None, None] * faint
        + np.array([1.0, 1.1, 1.0, 0.8])[:, None, None] * granular
    )
