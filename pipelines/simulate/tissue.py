"""Simulated tissue sections as cells with positions: sources, and a response that they may induce.

Everything that makes a naive test of spread fail is in here, each with a knob of its own: sources
cluster, the response comes in patches that have nothing to do with the sources, a cell's light
leaks into the cells that it touches (and sources are themselves bright in the response's marker),
sections have ragged edges and lumens, and sources beyond the edge act on cells within.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise

MARGIN_UM = 200.0
GRID_UM = 5.0
NEGATIVE, POSITIVE, THRESHOLD = 1.0, 6.0, 3.0  # light of a marker, arbitrary units


@dataclass(frozen=True, slots=True)
class TissueSettings:
    """One section.

    Attributes:
        height_um: height of the section before its outline is cut, µm.
        width_um: width, µm.
        spacing_um: distance of neighbouring cells, µm.
        source_fraction: fraction of cells that are sources.
        source_cluster_um: SD of a cluster of sources, µm; 0 scatters them.
        clusters_per_mm2: density of such clusters, 1/mm².
        response_fraction: fraction of cells that respond without any source, about.
        patch_um: size of the response's own patches: SD of the filter that smooths them, µm.
        patch_strength: SD of the patches on the logit scale; 0 for none.
        source_response: fraction of sources that are positive for the response's marker, being
            senescent themselves, and twice as bright as a responding cell.
        leak: share of a cell's light that each cell touching it shows, in both markers.
        effect: probability that a source induces a cell right beside it; 0 is no effect.
        range_um: distance over which that probability falls to 1/e, µm.
        ragged: waviness of the outline, as a fraction of the section's half width; 0 is a frame.
        lumens_per_mm2: density of vessels, 1/mm², which hold no cells.
        lumen_um: radius of a typical one, µm.
    """

    height_um: float = 1500.0
    width_um: float = 1500.0
    spacing_um: float = 12.0
    source_fraction: float = 0.05
    source_cluster_um: float = 40.0
    clusters_per_mm2: float = 12.0
    response_fraction: float = 0.2
    patch_um: float = 50.0
    patch_strength: float = 1.5
    source_response: float = 0.8
    leak: float = 0.12
    effect: float = 0.0
    range_um: float = 30.0
    ragged: float = 0.15
    lumens_per_mm2: float = 4.0
    lumen_um: float = 35.0


@dataclass(frozen=True, slots=True)
class Tissue:
    """One simulated section; arrays are one value a cell.

    Attributes:
        positions_um: (n, 2) y and x, µm.
        source: cells whose marker of a source is above the threshold, leak included.
        response: cells whose response marker is, leak included.
        is_source: the cells that really are sources.
        responds: the cells that really respond.
        to_source_um: distance to the nearest real source, those beyond the edge included, µm; 0
            for sources.
        touching: (m, 2) pairs of cells that touch, each once.
    """

    positions_um: FloatArray
    source: NDArray[np.bool_]
    response: NDArray[np.bool_]
    is_source: NDArray[np.bool_]
    responds: NDArray[np.bool_]
    to_source_um: FloatArray
    touching: NDArray[np.int64]


def simulate_tissue(settings: TissueSettings, seed: int) -> Tissue:
    """Simulate one section.

    Args:
        settings: the section.
        seed: seed; the same settings and seed give the same section.

    Returns:
        The cells within the section's outline. What lies beyond was there when cells were induced
        and when light leaked, and was cut off afterwards.
    """
    frame = (settings.height_um + 2 * MARGIN_UM, settings.width_um + 2 * MARGIN_UM)
    positions = _place(frame, settings, seed)
    is_source = _draw_sources(positions, frame, settings, seed)
    to_source = _to_nearest(positions, is_source)
    responds = _draw_response(positions, is_source, to_source, (frame, settings), seed)
    touching = _touching(positions, 1.6 * settings.spacing_um)
    source_light = _light(is_source, part_rng(seed, "source light"))
    response_light = _light(responds, part_rng(seed, "response light"))
    response_light[is_source & responds] *= 2.0
    called = [
        _leaked(light, touching, settings.leak) > THRESHOLD
        for light in (source_light, response_light)
    ]
    kept = _within(positions, frame, settings, seed)
    new = np.cumsum(kept) - 1
    return Tissue(
        positions[kept] - MARGIN_UM,
        called[0][kept],
        called[1][kept],
        is_source[kept],
        responds[kept],
        to_source[kept],
        new[touching[kept[touching].all(axis=1)]],
    )


def _place(frame: tuple[float, float], settings: TissueSettings, seed: int) -> FloatArray:
    """Pack cells like a pavement: a hexagonal lattice, shaken."""
    rng = part_rng(seed, "tissue places")
    step = settings.spacing_um
    y, x = np.meshgrid(
        np.arange(0, frame[0], step * np.sqrt(3) / 2), np.arange(0, frame[1], step), indexing="ij"
    )
    x = x + (np.arange(len(x)) % 2)[:, None] * step / 2
    places = np.column_stack([y.ravel(), x.ravel()])
    places += rng.normal(0, 0.16 * step, size=places.shape)
    return np.asarray(np.clip(places, 0, np.array(frame) - 1e-6))


def _draw_sources(
    positions: FloatArray, frame: tuple[float, float], settings: TissueSettings, seed: int
) -> NDArray[np.bool_]:
    """Sources by a Cox process: Gaussian clusters about random centres."""
    rng = part_rng(seed, "tissue sources")
    draws = rng.random(len(positions))
    if settings.source_cluster_um == 0:
        return np.asarray(draws < settings.source_fraction)
    shape = _grid_shape(frame)
    n = rng.poisson(settings.clusters_per_mm2 * frame[0] * frame[1] / 1e6)
    centres = (rng.random((max(n, 1), 2)) * shape).astype(int)
    density = np.zeros(shape)
    np.add.at(density, tuple(centres.T), rng.gamma(2.0, size=len(centres)))
    density = ndimage.gaussian_filter(density, settings.source_cluster_um / GRID_UM, mode="wrap")
    chance = _at(density, positions)
    return np.asarray(draws < np.minimum(chance * settings.source_fraction / chance.mean(), 0.8))


def _draw_response(
    positions: FloatArray,
    is_source: NDArray[np.bool_],
    to_source: FloatArray,
    section: tuple[tuple[float, float], TissueSettings],
    seed: int,
) -> NDArray[np.bool_]:
    """Cells respond on their own, in patches, or because a source is near."""
    frame, settings = section
    rng = part_rng(seed, "tissue patches")
    patches = smooth_noise(_grid_shape(frame), settings.patch_um / GRID_UM, rng)
    middle = np.log(settings.response_fraction / (1 - settings.response_fraction))
    own = 1 / (1 + np.exp(-middle - settings.patch_strength * _at(patches, positions)))
    induced = settings.effect * np.exp(-to_source / settings.range_um)
    chance = np.where(is_source, settings.source_response, own + (1 - own) * induced)
    return np.asarray(part_rng(seed, "tissue response").random(len(positions)) < chance)


def _light(positive: NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    scatter = np.exp(rng.normal(0, 0.35, size=positive.size))
    return np.asarray(np.where(positive, POSITIVE, NEGATIVE) * scatter)


def _leaked(light: FloatArray, touching: NDArray[np.int64], leak: float) -> FloatArray:
    """What a cell shows: its own light and a share of that of each cell that it touches."""
    first, second = touching.T
    shown = light.copy()
    for one, other in ((first, second), (second, first)):
        shown += leak * np.bincount(one, weights=light[other], minlength=light.size)
    return shown


def _touching(positions: FloatArray, reach: float) -> NDArray[np.int64]:
    """Neighbours in the Delaunay triangulation that are no farther apart than `reach`."""
    corners = spatial.Delaunay(positions).simplices
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0).astype(np.int64)
    apart = np.linalg.norm(positions[edges[:, 0]] - positions[edges[:, 1]], axis=1)
    return np.asarray(edges[apart <= reach])


def _within(
    positions: FloatArray, frame: tuple[float, float], settings: TissueSettings, seed: int
) -> NDArray[np.bool_]:
    """Cells inside the section's outline and outside its lumens."""
    half = np.array([settings.height_um, settings.width_um]) / 2
    apart = (positions - np.array(frame) / 2) / half
    inside: NDArray[np.bool_] = np.abs(apart).max(axis=1) < 1
    rng = part_rng(seed, "tissue outline")
    if settings.ragged > 0:
        angle = np.arctan2(apart[:, 0], apart[:, 1])
        waves = sum(
            rng.normal(0, 1 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
            for order in range(2, 9)
        )
        reach = 1 - settings.ragged * (1 + 0.5 * waves)
        # A superellipse lies between a circle and the frame.
        inside &= (np.abs(apart) ** 4).sum(axis=1) ** 0.25 < np.minimum(reach, 1)
    n = rng.poisson(settings.lumens_per_mm2 * settings.height_um * settings.width_um / 1e6)
    tree = spatial.cKDTree(positions)
    for centre in rng.random((n, 2)) * frame:
        radius = settings.lumen_um * np.exp(rng.normal(0, 0.4))
        inside[tree.query_ball_point(centre, radius)] = False
    return inside


def _grid_shape(frame: tuple[float, float]) -> tuple[int, int]:
    return int(frame[0] / GRID_UM) + 1, int(frame[1] / GRID_UM) + 1


def _at(grid: FloatArray, positions: FloatArray) -> FloatArray:
    """Values of a field at the cells."""
    y, x = (positions / GRID_UM).astype(int).T
    return np.asarray(grid[y, x])


def _to_nearest(positions: FloatArray, chosen: NDArray[np.bool_]) -> FloatArray:
    if not chosen.any():
        return np.full(len(positions), np.inf)
    return np.asarray(spatial.cKDTree(positions[chosen]).query(positions)[0])
