"""Simulated liver lobules as cells with counts of zone genes: Cyp2e1, Hamp and Cyp2f2.

Central veins lie on a hexagonal lattice, portal veins at the corners between three of them, and a
cell's place between the nearest of both decides what it expresses. Two knobs do what two kinds of
senescence do to the liver: `erk` loses pericentral cells and mixes the zones, `p38` lowers the zone
genes and keeps the layout.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import spatial

from pipelines.simulate.randomness import FloatArray, log_normal, part_rng

GENES = ("Cyp2e1", "Hamp", "Cyp2f2")
ZONES = ("pericentral", "midzonal", "periportal")
MIXED, LOST = 0.5, 0.7


@dataclass(frozen=True, slots=True)
class LobuleSettings:
    """One section of liver.

    Attributes:
        side_um: side of the section, µm.
        lobule_um: distance between central veins, µm.
        spacing_um: distance between hepatocytes, µm.
        counts: mean counts of each of `GENES` in a cell where it is highest.
        floor: counts elsewhere, as a share of that.
        dispersion: variance of a count beyond Poisson, as a share of its squared mean.
        capture_cv: coefficient of variation between sections of how much is captured.
        erk: 0 to 1: 70 % of this share of pericentral cells is lost, and half of this share of the
            others does what a cell elsewhere does.
        p38: 0 to 1: share of the zone genes' expression that is lost.
    """

    side_um: float = 1200.0
    lobule_um: float = 450.0
    spacing_um: float = 20.0
    counts: tuple[float, float, float] = (12.0, 5.0, 9.0)
    floor: float = 0.04
    dispersion: float = 0.3
    capture_cv: float = 0.12
    erk: float = 0.0
    p38: float = 0.0


@dataclass(frozen=True, slots=True)
class Lobules:
    """One simulated section; arrays are one value a cell.

    Attributes:
        positions_um: (n, 2) y and x.
        axis: 0 at a central vein, 1 at a portal one.
        zone: true zone, an index of `ZONES`: thirds of the axis.
        counts: (n, 3) of `GENES`.
        central_um: (m, 2) central veins.
        portal_um: (k, 2) portal veins.
    """

    positions_um: FloatArray
    axis: FloatArray
    zone: NDArray[np.int64]
    counts: NDArray[np.int64]
    central_um: FloatArray
    portal_um: FloatArray


def simulate_lobules(settings: LobuleSettings, seed: int) -> Lobules:
    """Simulate one section of liver; the same settings and seed give the same one."""
    central, portal = _veins(settings, seed)
    cells = _lattice(settings.side_um, settings.spacing_um, 0.16, part_rng(seed, "hepatocytes"))
    inside = ((cells > 0) & (cells < settings.side_um)).all(axis=1)
    cells = cells[inside]
    to_central, to_portal = (spatial.cKDTree(v).query(cells)[0] for v in (central, portal))
    cells = cells[kept := (to_central > 25) & (to_portal > 20)]
    axis = (to_central / (to_central + to_portal))[kept]
    rng = part_rng(seed, "erk")
    lost = (axis < 1 / 3) & (rng.random(axis.size) < LOST * settings.erk)
    program = axis.copy()
    mixed = rng.random(axis.size) < MIXED * settings.erk
    program[mixed] = rng.permutation(axis)[mixed]
    counts = _express(program, settings, seed)
    zone = np.minimum((axis * 3).astype(np.int64), 2)
    left = ~lost
    return Lobules(cells[left], axis[left], zone[left], counts[left], central, portal)


def _veins(settings: LobuleSettings, seed: int) -> tuple[FloatArray, FloatArray]:
    rng = part_rng(seed, "veins")
    wide = settings.side_um + 4 * settings.lobule_um
    offset = rng.uniform(0, settings.lobule_um, size=2) - 2 * settings.lobule_um
    central = _lattice(wide, settings.lobule_um, 0.06, rng) + offset
    corners = central[spatial.Delaunay(central).simplices].mean(axis=1)
    return central, np.asarray(corners)


def _lattice(side: float, step: float, shaken: float, rng: np.random.Generator) -> FloatArray:
    rows, columns = np.arange(0, side, step * np.sqrt(3) / 2), np.arange(0, side, step)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    x = x + (np.arange(rows.size) % 2)[:, None] * step / 2
    places = np.column_stack([y.ravel(), x.ravel()])
    return np.asarray(places + rng.normal(0, shaken * step, size=places.shape))


def _express(axis: FloatArray, settings: LobuleSettings, seed: int) -> NDArray[np.int64]:
    """Negative binomial counts about each gene's profile along the axis."""
    rng = part_rng(seed, "zone genes")
    captured = log_normal(1.0, settings.capture_cv, part_rng(seed, "capture"))
    profile = np.column_stack(
        [
            np.exp(-((axis / 0.4) ** 2)),
            np.exp(-(((axis - 0.5) / 0.2) ** 2)),
            np.exp(-(((1 - axis) / 0.4) ** 2)),
        ]
    )
    share = settings.floor + (1 - settings.floor) * profile
    mean = np.array(settings.counts) * share * captured * (1 - settings.p38)
    shape = 1 / settings.dispersion
    return np.asarray(rng.poisson(rng.gamma(shape, mean / shape)), dtype=np.int64)
