"""Cell bodies around nuclei: spread, spindle-shaped or polygonal, meeting without overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.nuclei import N_ANGLES, Nucleus, centre_of, relative_radius
from pipelines.simulate.randomness import FloatArray, log_normal, part_rng
from pipelines.simulate.scene import Field

FAR = 1e3


@dataclass(frozen=True, slots=True)
class CellShape:
    """How cells spread.

    Attributes:
        body_um: mean distance of the cell body's outline from its centre, µm.
        arm_um: mean length of the protrusions beyond it, µm.
        arms: fewest and most protrusions.
        size_cv: coefficient of variation of the size between cells.
    """

    body_um: float = 32.0
    arm_um: float = 55.0
    arms: tuple[int, int] = (2, 4)
    size_cv: float = 0.2


@dataclass(frozen=True, slots=True)
class Cells:
    """Territories of the cells of a field.

    Attributes:
        labels: (y, x) uint32, a cell having the label of its nucleus.
        rho: (y, x) distance from the centre over that of the cell's own outline: 0 to 1 in a
            cell, `FAR` outside all.
        axis: direction of each cell's first protrusion, radians from the columns' axis, (n,).
    """

    labels: NDArray[np.uint32]
    rho: FloatArray
    axis: FloatArray


def spread_cells(
    nuclei: Sequence[Nucleus],
    nucleus_labels: NDArray[np.uint32],
    shape: CellShape,
    sizes: FloatArray,
    scene: Field,
    seed: int,
) -> Cells:
    """Spread a cell around every nucleus.

    Where two cells would overlap, a pixel goes to the one in which it lies relatively nearer to the
    centre, so that neighbours meet in a border. A nucleus always belongs to its own cell.

    Args:
        nuclei: nuclei in the order of their labels.
        nucleus_labels: (y, x) nuclei.
        shape: how cells spread.
        sizes: relative size of each cell, such as 1.3 for one that is a third larger.
        scene: the field.
        seed: seed of the simulation.

    Returns:
        The territories, each in one piece.
    """
    labels = np.zeros(scene.shape, dtype=np.uint32)
    rho = np.full(scene.shape, FAR)
    axis = np.zeros(len(nuclei))
    for nucleus, size in zip(nuclei, sizes, strict=True):
        rng = part_rng(seed, "cell shape", nucleus.index)
        scale = size * log_normal(1.0, shape.size_cv, rng) / scene.pixel_size_um
        radii, axis[nucleus.index] = cell_outline(shape, rng)
        _claim(labels, rho, relative_radius(radii * scale, 1), nucleus)
    inside = nucleus_labels > 0
    labels[inside] = nucleus_labels[inside]
    rho[inside] = np.minimum(rho[inside], 0.3)
    _keep_whole(labels, rho, nucleus_labels)
    return Cells(labels, rho, axis)


def cell_outline(shape: CellShape, rng: np.random.Generator) -> tuple[FloatArray, float]:
    """Draw a star-shaped outline with tapering protrusions.

    Returns:
        Distance from the centre at `N_ANGLES` even steps of direction, µm, and the direction of
        the first protrusion, radians.
    """
    angles = np.linspace(0, 2 * np.pi, N_ANGLES, endpoint=False)
    radii = np.full(N_ANGLES, shape.body_um * rng.uniform(0.8, 1.2))
    count = int(rng.integers(shape.arms[0], shape.arms[1] + 1))
    first = float(rng.uniform(0, 2 * np.pi))
    for arm in range(count):
        direction = first + 2 * np.pi * arm / count + rng.normal(0, 0.35) * (arm > 0)
        away = (angles - direction + np.pi) % (2 * np.pi) - np.pi
        width, length = rng.uniform(0.12, 0.4), shape.arm_um * rng.uniform(0.4, 1.4)
        # A tip falls off faster than a Gaussian at first: arms taper instead of ending in bulbs.
        radii = radii + length * np.exp(-((np.abs(away) / width) ** 1.3))
    for order in range(3, 9):
        wave = np.cos(order * angles + rng.uniform(0, 2 * np.pi))
        radii = radii * (1.0 + rng.normal(0, 0.12 / order) * wave)
    return np.asarray(radii), first


def distance_from_nucleus(
    cells: Cells, nuclei: Sequence[Nucleus], pixel_size_um: float
) -> FloatArray:
    """Distance of each pixel of a cell from the cell's own nucleus, taken as round, µm.

    Returns:
        float64 (y, x), 0 within the nucleus's radius, `FAR` outside cells.
    """
    centres = np.array([(0.0, 0.0), *(centre_of(n) for n in nuclei)])
    radii = np.array([0.0, *(np.sqrt(n.mask.sum() / np.pi) for n in nuclei)])
    y, x = np.indices(cells.labels.shape, dtype=np.float64)
    row, column = centres[cells.labels].transpose(2, 0, 1)
    distance = np.hypot(y - row, x - column) - radii[cells.labels]
    inside = cells.labels > 0
    return np.where(inside, np.maximum(distance, 0.0) * pixel_size_um, FAR)


def _claim(labels: NDArray[np.uint32], rho: FloatArray, own: FloatArray, nucleus: Nucleus) -> None:
    """Give a cell, in place, the pixels where it is relatively nearer than those before it."""
    half = own.shape[0] // 2
    row, column = (round(c) for c in centre_of(nucleus))
    y0, y1 = max(row - half, 0), min(row + half + 1, labels.shape[0])
    x0, x1 = max(column - half, 0), min(column + half + 1, labels.shape[1])
    crop = own[y0 - row + half : y1 - row + half, x0 - column + half : x1 - column + half]
    won = (crop < 1.0) & (crop < rho[y0:y1, x0:x1])
    rho[y0:y1, x0:x1][won] = crop[won]
    labels[y0:y1, x0:x1][won] = nucleus.index + 1


def _keep_whole(
    labels: NDArray[np.uint32], rho: FloatArray, nucleus_labels: NDArray[np.uint32]
) -> None:
    """Drop, in place, the pieces of cells that a neighbour cut off from their nucleus."""
    for label, window in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if window is None:
            continue
        mine = labels[window] == label
        pieces, _ = ndimage.label(mine)
        kept = np.unique(pieces[(nucleus_labels[window] == label) & mine])
        lost = mine & ~np.isin(pieces, kept)
        labels[window][lost] = 0
        rho[window][lost] = FAR
