"""What lies in or on cells and must not read as stain: droplets, dead cells, specks and clumps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.brightfield import add_lens, perinuclear_places
from pipelines.simulate.cells import Cells
from pipelines.simulate.nuclei import Nucleus
from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise
from pipelines.simulate.scene import Field, Table, paste

DROPLET_REACH_UM = 14.0


@dataclass(frozen=True, slots=True)
class Inclusions:
    """How much of what must not read as stain there is.

    Attributes:
        adipogenic_fraction: fraction of cells with lipid droplets.
        droplets: fewest and most droplets of such a cell.
        droplet_um: median radius of a droplet, µm; log-normal, at most 7.
        dead_per_mm2: floating round dead cells, bright-edged, 1/mm².
        specks_per_mm2: dark grains of dirt of 0.5 to 3 µm, 1/mm².
        crystals_per_mm2: blue needles of X-gal that fell out outside cells, 1/mm².
        clumps: dense heaps of cells in the field.
        clump_um: mean radius of a heap, µm.
        clump_od: grey optical density of a heap.
    """

    adipogenic_fraction: float = 0.1
    droplets: tuple[int, int] = (15, 60)
    droplet_um: float = 1.5
    dead_per_mm2: float = 12.0
    specks_per_mm2: float = 40.0
    crystals_per_mm2: float = 0.0
    clumps: int = 0
    clump_um: float = 45.0
    clump_od: float = 0.3


@dataclass(frozen=True, slots=True)
class Included:
    """Where the inclusions are.

    Attributes:
        grey_od: (y, x) optical density, the same in all colours.
        blue_od: (y, x) optical density of crystals along the stain's vector.
        free: (y, x) share of a pixel not taken by droplets, 0 to 1.
        clumps: (y, x) uint32 heaps.
        adipogenic: (n,) cells with droplets.
        droplets: table ``cell``, ``y``, ``x``, ``radius_um``.
        debris: table ``kind`` (dead_cell, speck, crystal), ``y``, ``x``, ``radius_um``.
    """

    grey_od: FloatArray
    blue_od: FloatArray
    free: FloatArray
    clumps: NDArray[np.uint32]
    adipogenic: NDArray[np.bool_]
    droplets: Table
    debris: Table


def include(
    factor: FloatArray,
    nuclei: list[Nucleus],
    cells: Cells,
    settings: Inclusions,
    scene: Field,
    seed: int,
) -> Included:
    """Add all inclusions to a field.

    Args:
        factor: (3, y, x) factor by which light is bent; droplets and dead cells are added in place.
        nuclei: the nuclei.
        cells: the cells.
        settings: how much of what.
        scene: the field.
        seed: seed of the simulation.

    Returns:
        What absorbs light, and the truth.
    """
    adipogenic = part_rng(seed, "adipogenic").random(len(nuclei)) < settings.adipogenic_fraction
    full = [n for n, chosen in zip(nuclei, adipogenic, strict=True) if chosen]
    free, droplets = _droplets(factor, full, cells, settings, scene, seed)
    clumps, grey = _clumps(factor, settings, scene, seed)
    blue = np.zeros(scene.shape)
    debris = _debris(factor, grey, blue, settings, scene, seed)
    return Included(grey, blue, free, clumps, adipogenic, droplets, debris)


def _droplets(
    factor: FloatArray,
    nuclei: list[Nucleus],
    cells: Cells,
    settings: Inclusions,
    scene: Field,
    seed: int,
) -> tuple[FloatArray, Table]:
    """Fill cells with lipid droplets that hardly overlap."""
    free = np.ones(scene.shape)
    rows: list[tuple[float, ...]] = []
    for nucleus in nuclei:
        rng = part_rng(seed, "droplets", nucleus.index)
        count = int(rng.integers(settings.droplets[0], settings.droplets[1] + 1))
        reach = DROPLET_REACH_UM / scene.pixel_size_um
        for y, x in perinuclear_places(nucleus, cells, reach, count, rng):
            radius = min(settings.droplet_um * float(np.exp(rng.normal(0, 0.5))), 7.0)
            apart = all(
                np.hypot(y - r[1], x - r[2]) * scene.pixel_size_um > 0.8 * (radius + r[3])
                for r in rows
            )
            if apart:
                rows.append((nucleus.index + 1, y, x, radius))
                _place_droplet(factor, free, (y, x), radius / scene.pixel_size_um)
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return free, {
        "cell": columns[0].astype(np.uint32),
        "y": columns[1],
        "x": columns[2],
        "radius_um": columns[3],
    }


def _place_droplet(
    factor: FloatArray, free: FloatArray, centre: tuple[float, float], radius_px: float
) -> None:
    """Add one droplet to the light and keep precipitate out of it, in place."""
    add_lens(factor, centre, radius_px, min(1.0, radius_px / 1.5))
    half = int(np.ceil(radius_px)) + 1
    top, left = round(centre[0]) - half, round(centre[1]) - half
    y, x = np.mgrid[top : top + 2 * half + 1, left : left + 2 * half + 1]
    inside = np.hypot(y - centre[0], x - centre[1]) < radius_px
    taken = np.zeros(free.shape)
    paste(taken, inside.astype(np.float64), top, left)
    free[taken > 0] = 0.1


def _clumps(
    factor: FloatArray, settings: Inclusions, scene: Field, seed: int
) -> tuple[NDArray[np.uint32], FloatArray]:
    """Heap cells up: grey, lumpy, with many bright and dark edges."""
    labels = np.zeros(scene.shape, dtype=np.uint32)
    grey = np.zeros(scene.shape)
    y, x = np.indices(scene.shape, dtype=np.float64)
    for number in range(settings.clumps):
        rng = part_rng(seed, "clumps", number)
        centre = rng.uniform(0.1, 0.9, size=2) * scene.shape
        radius = settings.clump_um * rng.uniform(0.7, 1.4) / scene.pixel_size_um
        waves = smooth_noise(scene.shape, radius / 4, rng)
        height = np.clip(
            (1 - np.hypot(y - centre[0], x - centre[1]) / radius + 0.15 * waves) / 0.4, 0, 1
        )
        lumps = smooth_noise(scene.shape, 2.5 / scene.pixel_size_um, rng)
        grey += settings.clump_od * height * np.exp(0.4 * lumps)
        labels[height > 0.1] = number + 1
        _heap(factor, height, scene, rng)
    return labels, grey


def _heap(factor: FloatArray, height: FloatArray, scene: Field, rng: np.random.Generator) -> None:
    """Pile round cells up, in place, where the heap is high: one for every 60 µm² of it."""
    places = np.argwhere(height > 0.2)
    count = int(len(places) * scene.pixel_size_um**2 / 60.0)
    for row, column in places[rng.integers(len(places), size=count)] if count else ():
        radius = rng.uniform(3.0, 8.0) / scene.pixel_size_um
        add_lens(factor, (float(row), float(column)), radius, 0.35 * float(height[row, column]))


def _debris(
    factor: FloatArray,
    grey: FloatArray,
    blue: FloatArray,
    settings: Inclusions,
    scene: Field,
    seed: int,
) -> Table:
    """Scatter dead cells, specks and crystals over the field, in place."""
    kinds, rows = [], []
    densities = {
        "dead_cell": settings.dead_per_mm2,
        "speck": settings.specks_per_mm2,
        "crystal": settings.crystals_per_mm2,
    }
    for kind, density in densities.items():
        rng = part_rng(seed, kind)
        for _ in range(rng.poisson(density * scene.area_mm2)):
            centre = rng.uniform(0, scene.height), rng.uniform(0, scene.width)
            ends = {"dead_cell": (4.0, 8.0), "speck": (0.5, 2.0), "crystal": (3.0, 12.0)}[kind]
            radius = float(np.exp(rng.uniform(np.log(ends[0]), np.log(ends[1]))))
            pixels = radius / scene.pixel_size_um
            if kind == "dead_cell":
                add_lens(factor, centre, pixels, 0.8)
                paste(grey, *_blob(centre, (0.6 * pixels, 0.6 * pixels), 0.0, 0.15))
            elif kind == "speck":
                shape = (0.7 * pixels, 0.7 * pixels * rng.uniform(0.5, 1))
                paste(grey, *_blob(centre, shape, rng.uniform(0, np.pi), rng.uniform(0.2, 0.8)))
            else:
                shape = (0.5 * pixels, max(0.5, 0.35 / scene.pixel_size_um))
                paste(blue, *_blob(centre, shape, rng.uniform(0, np.pi), rng.uniform(0.5, 1.2)))
            kinds.append(kind)
            rows.append((*centre, radius))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return {
        "kind": np.array(kinds, dtype=str),
        "y": columns[0],
        "x": columns[1],
        "radius_um": columns[2],
    }


def _blob(
    centre: tuple[float, float], sigmas: tuple[float, float], angle: float, height: float
) -> tuple[FloatArray, int, int]:
    """Draw an oval Gaussian blob: its patch, and the patch's first row and column."""
    half = int(np.ceil(3.5 * max(sigmas))) + 1
    top, left = round(centre[0]) - half, round(centre[1]) - half
    y, x = np.mgrid[top : top + 2 * half + 1, left : left + 2 * half + 1].astype(np.float64)
    dy, dx = y - centre[0], x - centre[1]
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    blob = height * np.exp(-((along / sigmas[0]) ** 2 + (across / sigmas[1]) ** 2) / 2)
    return blob, top, left
