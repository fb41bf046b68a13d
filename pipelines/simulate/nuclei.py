"""Nuclei: their outlines, how they lie together, and their truth."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.randomness import FloatArray, log_normal, part_rng
from pipelines.simulate.scene import Field

N_ANGLES = 256
MAX_TRIES = 300


@dataclass(frozen=True, slots=True)
class NucleiSettings:
    """How the nuclei of a field look.

    The default area is that of cultured fibroblasts and MSC, 150 to 400 µm².

    Attributes:
        count: nuclei asked for; a field that is full holds fewer, and the truth says how many.
        area_um2: mean area of a nucleus with 2N of DNA, µm².
        area_cv: coefficient of variation of the area between such nuclei.
        elongation: largest ratio of the long to the short axis; ratios are even between 1 and it.
        irregularity: relative size of the outline's waves, 0 an ellipse, 0.1 lobed.
        dented_fraction: fraction of nuclei with a dent or a bay in the outline.
        height_um: height of a nucleus, µm.
        s_fraction: fraction of nuclei in S phase, with 2N to 4N of DNA.
        g2_fraction: fraction of nuclei with 4N of DNA.
        touching_fraction: fraction of nuclei that are put against a neighbour.
        min_gap_um: smallest gap between the others, µm.
        texture: relative SD of the chromatin's density.
        texture_um: width of its grains, µm.
        out_of_focus_fraction: fraction of nuclei that lie out of the focal plane.
        defocus_um: how far those lie out of it, µm, at most; at least half of it.
    """

    count: int = 9
    area_um2: float = 215.0
    area_cv: float = 0.18
    elongation: float = 2.0
    irregularity: float = 0.06
    dented_fraction: float = 0.4
    height_um: float = 5.0
    s_fraction: float = 0.1
    g2_fraction: float = 0.15
    touching_fraction: float = 0.15
    min_gap_um: float = 1.0
    texture: float = 0.34
    texture_um: float = 0.6
    out_of_focus_fraction: float = 0.1
    defocus_um: float = 6.0


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One nucleus in its own crop.

    Attributes:
        index: number of the nucleus, from 0; its label is one more.
        top: row of the crop's first pixel in the field; may be negative.
        left: column of the crop's first pixel in the field; may be negative.
        rho: (h, w) distance from the centre over the outline's distance in that direction: 0 in
            the centre, 1 on the outline.
        height_um: height, µm.
        defocus_um: height of its middle above the focal plane, µm.
        dna: DNA content in genomes, 2 to 4.
    """

    index: int
    top: int
    left: int
    rho: FloatArray
    height_um: float
    defocus_um: float
    dna: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(h, w) pixels of the nucleus in its crop."""
        return np.asarray(self.rho < 1.0)


def place_nuclei(
    settings: NucleiSettings, scene: Field, seed: int
) -> tuple[list[Nucleus], NDArray[np.uint32]]:
    """Lay nuclei out over the field, without overlap.

    Args:
        settings: how they look.
        scene: the field.
        seed: seed of the simulation.

    Returns:
        The nuclei in the order of their labels, and the labels, (y, x) uint32. A nucleus may be
        cut by the edge of the field, but its centre lies within.
    """
    labels = np.zeros(scene.shape, dtype=np.uint32)
    nuclei: list[Nucleus] = []
    for number in range(settings.count):
        shaped = _shape_nucleus(settings, scene.pixel_size_um, seed, number)
        rng = part_rng(seed, "nucleus place", number)
        if nuclei and rng.random() < settings.touching_fraction:
            placed = _beside_another(shaped, nuclei, labels, rng)
        else:
            placed = _anywhere(shaped, labels, settings.min_gap_um / scene.pixel_size_um, rng)
        if placed is not None:
            nuclei.append(replace(placed, index=len(nuclei)))
            _view(labels, placed)[_visible(placed.rho < 1.0, labels, placed)] = len(nuclei)
    return nuclei, labels


def put_nuclei(
    settings: NucleiSettings, scene: Field, centres: FloatArray, seed: int
) -> tuple[list[Nucleus], NDArray[np.uint32], NDArray[np.int64]]:
    """Lay nuclei out at given places.

    Args:
        settings: how they look.
        scene: the field.
        centres: (n, 2) row and column of each, px.
        seed: seed of the simulation.

    Returns:
        The nuclei in the order of their labels, the labels, (y, x) uint32, and which of the places
        they have: one that would overlap another nucleus or lies outside the field is left out.
    """
    labels = np.zeros(scene.shape, dtype=np.uint32)
    nuclei: list[Nucleus] = []
    kept = []
    for number, centre in enumerate(centres):
        shaped = _shape_nucleus(settings, scene.pixel_size_um, seed, number)
        placed = replace(_centred_at(shaped, centre), index=len(nuclei))
        shown = _visible(placed.mask, labels, placed)
        if not _centre_inside(placed, labels.shape) or _view(labels, placed)[shown].any():
            continue
        nuclei.append(placed)
        kept.append(number)
        _view(labels, placed)[shown] = len(nuclei)
    return nuclei, labels, np.array(kept, dtype=np.int64)


def nuclei_table(
    nuclei: list[Nucleus], labels: NDArray[np.uint32], pixel_size_um: float
) -> dict[str, NDArray[np.generic]]:
    """Say what is known of each nucleus.

    Returns:
        ``label``, ``y`` and ``x`` (centre, px), ``area_um2`` (what the field shows of it),
        ``dna_content`` (genomes), ``defocus_um``, ``in_focus``, ``at_edge`` (cut by the field).
    """
    ids = np.arange(1, len(nuclei) + 1, dtype=np.uint32)
    areas = np.bincount(labels.ravel(), minlength=len(nuclei) + 1)[1:]
    frame = np.ones(labels.shape, dtype=bool)
    frame[1:-1, 1:-1] = False
    centres = np.array([centre_of(n) for n in nuclei], dtype=np.float64).reshape(-1, 2)
    return {
        "label": ids,
        "y": centres[:, 0],
        "x": centres[:, 1],
        "area_um2": areas * pixel_size_um**2,
        "dna_content": np.array([n.dna for n in nuclei], dtype=np.float64),
        "defocus_um": np.array([n.defocus_um for n in nuclei], dtype=np.float64),
        "in_focus": np.array([n.defocus_um == 0.0 for n in nuclei], dtype=bool),
        "at_edge": np.isin(ids, labels[frame]),
    }


def centre_of(nucleus: Nucleus) -> tuple[float, float]:
    """Give the (row, column) in the field where the nucleus's outline is centred."""
    height, width = nucleus.rho.shape
    return nucleus.top + (height - 1) / 2, nucleus.left + (width - 1) / 2


def _shape_nucleus(
    settings: NucleiSettings, pixel_size_um: float, seed: int, number: int
) -> Nucleus:
    """Draw one nucleus, centred in a crop at (0, 0) that leaves room for its blur."""
    rng = part_rng(seed, "nucleus shape", number)
    radii = outline(settings.elongation, settings.irregularity, settings.dented_fraction, rng)
    dna = _dna_content(settings, rng)
    area = log_normal(settings.area_um2, settings.area_cv, rng) * (dna / 2.0) ** (2 / 3)
    scale = np.sqrt(area / polygon_area(radii)) / pixel_size_um
    blurred = rng.random() < settings.out_of_focus_fraction
    defocus = rng.uniform(0.5, 1.0) * rng.choice([-1.0, 1.0]) * settings.defocus_um
    rho = relative_radius(radii * scale, margin_px=int(np.ceil(2.0 / pixel_size_um)))
    return Nucleus(0, 0, 0, rho, settings.height_um, float(defocus) if blurred else 0.0, dna)


def _dna_content(settings: NucleiSettings, rng: np.random.Generator) -> float:
    """Draw a DNA content: 2 in G1, 4 in G2, between them in S."""
    phase, progress = rng.random(2)
    if phase < settings.g2_fraction:
        return 4.0
    if phase < settings.g2_fraction + settings.s_fraction:
        return float(2.0 + 2.0 * progress)
    return 2.0


def outline(
    elongation: float, irregularity: float, dented_fraction: float, rng: np.random.Generator
) -> FloatArray:
    """Draw a star-convex outline: an ellipse in a random direction with waves and maybe a dent.

    Returns:
        Distance from the centre at `N_ANGLES` even steps of direction, arbitrary unit.
    """
    angles = np.linspace(0, 2 * np.pi, N_ANGLES, endpoint=False)
    ratio = rng.uniform(1.0, max(elongation, 1.0))
    turned = angles - rng.uniform(0, np.pi)
    radii = 1.0 / np.hypot(np.cos(turned) / np.sqrt(ratio), np.sin(turned) * np.sqrt(ratio))
    for order in range(2, 7):
        size, phase = rng.normal(0, irregularity * 4 / order**2), rng.uniform(0, 2 * np.pi)
        radii = radii * (1.0 + size * np.cos(order * angles + phase))
    dented, depth, width = rng.random(), rng.uniform(0.1, 0.35), rng.uniform(0.2, 0.5)
    away = (angles - rng.uniform(0, 2 * np.pi) + np.pi) % (2 * np.pi) - np.pi
    dent = depth * np.exp(-(away**2) / (2 * width**2)) * (dented < dented_fraction)
    return np.asarray(np.maximum(radii * (1.0 - dent), 0.2))


def polygon_area(radii: FloatArray) -> float:
    """Area within a star-convex outline given at even steps of direction, squared unit of it."""
    return float(0.5 * np.sin(2 * np.pi / radii.size) * (radii * np.roll(radii, 1)).sum())


def relative_radius(radii_px: FloatArray, margin_px: int) -> FloatArray:
    """Measure the plane by an outline: 0 in its centre, 1 on it, 2 twice as far.

    Args:
        radii_px: distance of the outline at even steps of direction, px.
        margin_px: room around the outline, px.

    Returns:
        float64 (h, w) with odd sides, the outline's centre in the middle.
    """
    half = int(np.ceil(radii_px.max())) + margin_px
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    position = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * radii_px.size
    radius = np.interp(position, np.arange(radii_px.size + 1), np.append(radii_px, radii_px[0]))
    return np.asarray(np.hypot(y, x) / radius)


def _anywhere(
    nucleus: Nucleus, labels: NDArray[np.uint32], gap_px: float, rng: np.random.Generator
) -> Nucleus | None:
    """Try random places until the nucleus, grown by the gap, meets no other."""
    mean_radius = np.sqrt(nucleus.mask.sum() / np.pi)
    grown = nucleus.rho < 1.0 + gap_px / mean_radius
    for _ in range(MAX_TRIES):
        moved = _centred_at(nucleus, rng.uniform(0, 1, size=2) * labels.shape)
        if not _view(labels, moved)[_visible(grown, labels, moved)].any():
            return moved
    return None


def _beside_another(
    nucleus: Nucleus, others: list[Nucleus], labels: NDArray[np.uint32], rng: np.random.Generator
) -> Nucleus | None:
    """Slide the nucleus away from another one until they just touch."""
    for _ in range(MAX_TRIES // 10):
        start = np.array(centre_of(others[rng.integers(len(others))]))
        angle = rng.uniform(0, 2 * np.pi)
        step = np.array([np.sin(angle), np.cos(angle)])
        for distance in range(1, max(nucleus.rho.shape) * 2):
            moved = _centred_at(nucleus, start + distance * step)
            if not _centre_inside(moved, labels.shape):
                break
            if not _view(labels, moved)[_visible(moved.mask, labels, moved)].any():
                return moved
    return None


def _centred_at(nucleus: Nucleus, centre: FloatArray) -> Nucleus:
    """Move the nucleus so that its crop's middle lies at `centre`, to the pixel."""
    height, width = nucleus.rho.shape
    return replace(nucleus, top=int(centre[0]) - height // 2, left=int(centre[1]) - width // 2)


def _centre_inside(nucleus: Nucleus, shape: tuple[int, ...]) -> bool:
    """Whether the nucleus's centre lies in the field."""
    y, x = centre_of(nucleus)
    return 0 <= y < shape[0] and 0 <= x < shape[1]


def _view(labels: NDArray[np.uint32], nucleus: Nucleus) -> NDArray[np.uint32]:
    """View of the labels under the nucleus's crop, cut at the field's edge."""
    height, width = nucleus.rho.shape
    rows = slice(max(nucleus.top, 0), max(nucleus.top + height, 0))
    columns = slice(max(nucleus.left, 0), max(nucleus.left + width, 0))
    return labels[rows, columns]


def _visible(
    crop: NDArray[np.bool_], labels: NDArray[np.uint32], nucleus: Nucleus
) -> NDArray[np.bool_]:
    """Part of a crop-sized array that lies in the field: it fits `_view`."""
    height, width = _view(labels, nucleus).shape
    top, left = max(-nucleus.top, 0), max(-nucleus.left, 0)
    return crop[top : top + height, left : left + width]
