"""Which cells express which reporter, how strongly, and how far from primary cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import spatial

from pipelines.simulate.nuclei import Nucleus, centre_of
from pipelines.simulate.randomness import FloatArray, part_rng

CLASSES = ("negative", "primary", "secondary", "double")


@dataclass(frozen=True, slots=True)
class Expression:
    """Expression of mCherry, GFP and p21.

    Attributes:
        primary_fraction: fraction of cells with mCherry alone.
        secondary_fraction: fraction with GFP alone.
        double_fraction: fraction with both.
        reach_um: distance from primary cells over which secondary ones get rarer, e-fold; None
            where they lie anywhere.
        p21_probability: probability of p21 in negative, primary, secondary and double cells.
        reporter_e: median light of GFP and of mCherry in cells that express them, electrons.
        p21_e: median light of p21 in positive nuclei, electrons.
        expression_spread: SD of the logarithm of expression between cells.
        leak_e: light of a reporter or p21 in cells that do not express it, electrons.
        bright_fraction: fraction of cells with autofluorescence so bright that it shows in every
            channel, as lipofuscin does.
    """

    primary_fraction: float = 0.15
    secondary_fraction: float = 0.2
    double_fraction: float = 0.05
    reach_um: float | None = None
    p21_probability: tuple[float, float, float, float] = (0.05, 0.8, 0.5, 0.8)
    reporter_e: tuple[float, float] = (500.0, 350.0)
    p21_e: float = 300.0
    expression_spread: float = 0.6
    leak_e: float = 8.0
    bright_fraction: float = 0.03


def express(
    nuclei: list[Nucleus],
    cell_labels: NDArray[np.uint32],
    settings: Expression,
    pixel_size_um: float,
    seed: int,
) -> dict[str, NDArray[np.generic]]:
    """Draw what each cell expresses.

    Returns:
        ``label``; ``reporter_class`` (negative, primary, secondary, double); ``mcherry_positive``,
        ``gfp_positive``, ``p21_positive``; ``mcherry_e``, ``gfp_e``, ``p21_e``, the light of each
        dye, electrons; ``autofluorescent``; ``area_um2``, as far as the field shows it;
        ``to_primary_um``, the distance of the nearest other mCherry cell.
    """
    chosen, distance = _classes(nuclei, settings, pixel_size_um, seed)
    chance = np.asarray(settings.p21_probability)[chosen]
    positive = {
        "gfp": chosen >= 2,
        "mcherry": (chosen == 1) | (chosen == 3),
        "p21": part_rng(seed, "p21").random(len(nuclei)) < chance,
    }
    medians = dict(zip(("gfp", "mcherry"), settings.reporter_e, strict=True))
    medians["p21"] = settings.p21_e
    table: dict[str, NDArray[np.generic]] = {
        "label": np.arange(1, len(nuclei) + 1, dtype=np.uint32),
        "reporter_class": np.asarray(CLASSES)[chosen],
    }
    for dye, expressed in positive.items():
        scatter = part_rng(seed, f"expression {dye}").normal(size=len(nuclei))
        amount = np.where(expressed, medians[dye], settings.leak_e)
        table[f"{dye}_positive"] = expressed
        table[f"{dye}_e"] = amount * np.exp(settings.expression_spread * scatter)
    bright = part_rng(seed, "autofluorescent").random(len(nuclei)) < settings.bright_fraction
    area = np.bincount(cell_labels.ravel(), minlength=len(nuclei) + 1)[1:]
    table["autofluorescent"] = bright
    table["area_um2"] = area * pixel_size_um**2
    table["to_primary_um"] = distance
    return table


def _classes(
    nuclei: list[Nucleus], settings: Expression, pixel_size_um: float, seed: int
) -> tuple[NDArray[np.int64], FloatArray]:
    """Draw each cell's class as an index of `CLASSES`, and its distance to mCherry cells, µm."""
    n = len(nuclei)
    draws = part_rng(seed, "classes").random(n)
    marked = settings.primary_fraction + settings.double_fraction
    chosen = np.zeros(n, dtype=np.int64)
    chosen[draws < marked] = 3
    chosen[draws < settings.primary_fraction] = 1
    centres = np.array([centre_of(c) for c in nuclei]).reshape(-1, 2)
    distance = _to_nearest(centres, chosen > 0) * pixel_size_um
    free = np.flatnonzero(chosen == 0)
    weight = np.zeros(free.size)
    if settings.reach_um is not None and (chosen > 0).any():
        weight = -distance[free] / settings.reach_um
    # Gumbel noise on log-weights draws without replacement in proportion to the weights.
    rank = np.argsort(-(weight + part_rng(seed, "secondary").gumbel(size=n)[free]))
    chosen[free[rank[: round(settings.secondary_fraction * n)]]] = 2
    return chosen, distance


def _to_nearest(centres: FloatArray, marked: NDArray[np.bool_]) -> FloatArray:
    """Distance of every centre to the nearest other marked one, px; infinite without any."""
    distance = np.full(len(centres), np.inf)
    if marked.any():
        reach = spatial.distance_matrix(centres, centres[marked])
        reach[np.flatnonzero(marked), np.arange(marked.sum())] = np.inf
        distance = reach.min(axis=1)
    return distance
