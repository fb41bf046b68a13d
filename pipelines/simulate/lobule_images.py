"""Pictures of simulated liver lobules: nuclei, and zone genes as light of the cells around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import expand_labels

from pipelines.simulate.camera import Camera, expose
from pipelines.simulate.chromatin import View, paint_nuclei
from pipelines.simulate.lobule import GENES, ZONES, Lobules, LobuleSettings, simulate_lobules
from pipelines.simulate.nuclei import NucleiSettings, nuclei_table, put_nuclei
from pipelines.simulate.optics import Optics, psf_sigma_um
from pipelines.simulate.randomness import FloatArray, log_normal, part_rng
from pipelines.simulate.scene import Field, Simulated, Table

CHANNELS = ("dapi", *(gene.lower() for gene in GENES))
EMISSION_NM = 520.0
REACH_UM = 9.0
MARKERS = ("Adgre1", "Cd68", "Il1b")
MARKER_COUNTS = (8.0, 5.0)
ELSEWHERE = 0.02  # of a marker's transcripts in a cell that is no macrophage


@dataclass(frozen=True, slots=True)
class LobuleFieldSettings:
    """A field of liver, at 10x.

    Attributes:
        lobules: the tissue; its side is that of the field. A protein is there in many copies: what
            makes cells differ is `dispersion`, not their number.
        pixel_size_um: edge of a pixel, µm.
        nuclei: nuclei of hepatocytes, round and about 8 µm wide.
        optics: the objective.
        camera: the camera.
        dapi_e: light of a nucleus, electrons.
        gene_e: light of a cell for each of its molecules, electrons a pixel.
        background_e: even background, electrons.
        macrophages: share of cells that are macrophages: they have the transcripts of `MARKERS` and
            none of the zones.
        il1b: mean transcripts of Il1b in a macrophage.
        astray: share of transcripts that lie anywhere.
        decoding_error_um: SD of a decoded transcript's place, µm.
    """

    lobules: LobuleSettings = field(
        default_factory=lambda: LobuleSettings(side_um=650.0, counts=(240.0, 100.0, 180.0))
    )
    pixel_size_um: float = 0.65
    nuclei: NucleiSettings = field(
        default_factory=lambda: NucleiSettings(
            area_um2=48.0, elongation=1.2, dented_fraction=0.0, irregularity=0.02,
            out_of_focus_fraction=0.0,
        )
    )  # fmt: skip
    optics: Optics = field(default_factory=lambda: Optics(0.45, 1.0))
    camera: Camera = field(default_factory=Camera)
    dapi_e: float = 700.0
    gene_e: float = 1.25
    background_e: float = 60.0
    macrophages: float = 0.05
    il1b: float = 0.5
    astray: float = 0.05
    decoding_error_um: float = 0.3


@dataclass(frozen=True, slots=True)
class _Laid:
    """A field before it is photographed."""

    tissue: Lobules
    kept: NDArray[np.int64]
    labels: NDArray[np.uint32]
    cells: NDArray[np.uint32]
    dapi: FloatArray
    truth: Mapping[str, Table]


def simulate_lobule_field(settings: LobuleFieldSettings, seed: int) -> Simulated:
    """Simulate one field of liver, its zone genes as proteins; the same seed, the same bytes.

    Returns:
        Channels ``dapi``, ``cyp2e1``, ``hamp`` and ``cyp2f2``; labels ``nuclei`` and ``cells``;
        tables ``cells`` (counts of each gene, zone, place on the axis), ``nuclei``, and ``veins``
        (``y_um``, ``x_um``, and the ``zone`` at whose end they lie).
    """
    laid = _lay_out(settings, seed)
    sigma = psf_sigma_um(settings.optics, EMISSION_NM) / settings.pixel_size_um
    counts = laid.tissue.counts[laid.kept]
    light = [laid.dapi, *(_body(counts[:, k], laid.cells, settings, sigma) for k in range(3))]
    return _photographed(laid, dict(zip(CHANNELS, light, strict=True)), settings, seed)


def simulate_lobule_transcripts(settings: LobuleFieldSettings, seed: int) -> Simulated:
    """Simulate the same field as in situ sequencing gives it: nuclei, and transcripts decoded.

    Returns:
        The channel ``dapi``, labels and truth as `simulate_lobule_field`, and the input table
        ``transcripts``: ``x`` and ``y``, µm, and ``gene``.
    """
    laid = _lay_out(settings, seed)
    found = _photographed(laid, {"dapi": laid.dapi}, settings, seed)
    counts, macrophage = _with_macrophages(laid.tissue.counts[laid.kept], settings, seed)
    genes = (*GENES, *MARKERS)
    cells: dict[str, NDArray[np.generic]] = {**laid.truth["cells"], "macrophage": macrophage}
    cells |= {gene.lower(): counts[:, k] for k, gene in enumerate(genes)}
    table = _transcripts(laid, counts, genes, settings, part_rng(seed, "transcripts"))
    return replace(found, truth={**found.truth, "cells": cells}, inputs={"transcripts": table})


def _with_macrophages(
    counts: NDArray[np.int64], settings: LobuleFieldSettings, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Counts of `GENES` and `MARKERS` in each cell, and which cells are macrophages."""
    rng = part_rng(seed, "macrophages")
    macrophage = rng.random(len(counts)) < settings.macrophages
    means = np.array([*MARKER_COUNTS, settings.il1b])
    markers = rng.poisson(np.where(macrophage[:, None], means, ELSEWHERE))
    return np.column_stack([np.where(macrophage[:, None], 0, counts), markers]), macrophage


def _lay_out(settings: LobuleFieldSettings, seed: int) -> _Laid:
    tissue = simulate_lobules(settings.lobules, seed)
    size = round(settings.lobules.side_um / settings.pixel_size_um)
    scene = Field(height=size, width=size, pixel_size_um=settings.pixel_size_um)
    places = tissue.positions_um / settings.pixel_size_um
    nuclei, labels, kept = put_nuclei(settings.nuclei, scene, places, seed)
    cells = _grown(labels, REACH_UM / settings.pixel_size_um)
    levels = np.array([log_normal(1, 0.12, part_rng(seed, "staining", n.index)) for n in nuclei])
    view = View(settings.optics, 461.0, binds_dna=True)
    dapi = paint_nuclei(nuclei, settings.nuclei, scene, view, settings.dapi_e * levels, seed)
    truth = {
        "cells": _cells_table(tissue, kept),
        "nuclei": nuclei_table(nuclei, labels, settings.pixel_size_um),
        "veins": _veins_table(tissue, settings.lobules.side_um),
    }
    return _Laid(tissue, kept, labels, cells, dapi, truth)


def _grown(labels: NDArray[np.uint32], reach_px: float) -> NDArray[np.uint32]:
    grown: NDArray[np.uint32] = expand_labels(labels, reach_px)  # type: ignore[no-untyped-call]
    return grown.astype(np.uint32)


def _photographed(
    laid: _Laid, light: Mapping[str, FloatArray], settings: LobuleFieldSettings, seed: int
) -> Simulated:
    pictures = {
        name: expose(e + settings.background_e, settings.camera, part_rng(seed, f"camera {name}"))
        for name, e in light.items()
    }
    labels = {"nuclei": laid.labels, "cells": laid.cells}
    return Simulated(pictures, settings.pixel_size_um, labels, laid.truth)


def _transcripts(
    laid: _Laid,
    counts: NDArray[np.int64],
    genes: Sequence[str],
    settings: LobuleFieldSettings,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.generic]]:
    """Put each transcript anywhere in its cell, off by the error of decoding; some lie astray."""
    order = np.argsort(laid.cells.ravel(), kind="stable")
    first = np.searchsorted(laid.cells.ravel()[order], np.arange(1, len(counts) + 2))
    owner = np.repeat(np.tile(np.arange(len(counts)), len(genes)), counts.T.ravel())
    gene = np.repeat(np.arange(len(genes)), counts.sum(axis=0))
    pixel = order[(first[owner] + rng.random(owner.size) * np.diff(first)[owner]).astype(np.int64)]
    astray = rng.random(owner.size) < settings.astray
    pixel[astray] = rng.integers(laid.cells.size, size=int(astray.sum()))
    y, x = np.array(np.unravel_index(pixel, laid.cells.shape)) + rng.random((2, pixel.size)) - 0.5
    error = settings.decoding_error_um
    return {
        "x": np.round(x * settings.pixel_size_um + rng.normal(0, error, x.size), 2),
        "y": np.round(y * settings.pixel_size_um + rng.normal(0, error, y.size), 2),
        "gene": np.asarray(genes)[gene],
    }


def _body(
    counts: NDArray[np.int64],
    cells: NDArray[np.uint32],
    settings: LobuleFieldSettings,
    sigma: float,
) -> FloatArray:
    level = np.append(0.0, counts * settings.gene_e)[cells]
    return np.asarray(ndimage.gaussian_filter(level, sigma))


def _cells_table(tissue: Lobules, kept: NDArray[np.int64]) -> Table:
    table: dict[str, NDArray[np.generic]] = {
        "label": np.arange(1, kept.size + 1, dtype=np.uint32),
        "zone": np.asarray(ZONES)[tissue.zone[kept]],
        "axis": tissue.axis[kept],
    }
    return table | {gene.lower(): tissue.counts[kept, k] for k, gene in enumerate(GENES)}


def _veins_table(tissue: Lobules, side_um: float) -> Table:
    """Veins in the field and those around it that decide on cells at its edge."""
    places = np.concatenate([tissue.central_um, tissue.portal_um])
    zones = np.repeat([ZONES[0], ZONES[2]], [len(tissue.central_um), len(tissue.portal_um)])
    near = ((places > -300) & (places < side_um + 300)).all(axis=1)
    return {"y_um": places[near, 0], "x_um": places[near, 1], "zone": zones[near]}
