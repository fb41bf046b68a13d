"""Simulated in situ sequencing: rounds of coloured dots, each transcript a word of colours."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.simulate.camera import Camera, expose, noise_sd_e
from pipelines.simulate.chromatin import View, paint_nuclei
from pipelines.simulate.molecules import ALONE, Points, paint_points
from pipelines.simulate.nuclei import NucleiSettings, place_nuclei
from pipelines.simulate.optics import FWHM_PER_SIGMA, Optics, mix, psf_sigma_um
from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise
from pipelines.simulate.scene import Field, Table

DAPI_NM, DYE_NM = 461.0, 600.0
MARGIN = 24
MAX_TRIES = 20000


@dataclass(frozen=True, slots=True)
class RoundsSettings:
    """A field of in situ sequencing.

    Attributes:
        scene: the field of view; its haze and debris are not used.
        nuclei: how the nuclei look and lie.
        optics: the objective.
        camera: the camera.
        n_rounds: rounds.
        n_channels: channels of dots, one dye each.
        n_genes: genes.
        n_empty: words that no gene has, as far from the others as genes are from each other.
        min_distance: rounds, at least, in which two words differ.
        density_per_px: transcripts, 1/px². 0.0104 is that of the pyramidal layer of mouse CA1
            (2,447 on 560 x 420 px), 0.0017 the mean of that section.
        clustering: SD of the logarithm of the density over the field, which crowds dots.
        dropout: probability of a transcript to stay dark in a round.
        wrong: probability of a transcript to light up in a wrong colour in a round.
        stray_fraction: dots of no transcript, each in random colours, over transcripts.
        bleed: light of a dye in the neighbouring channels.
        snr: height of a median dot over noise.
        brightness_cv: coefficient of variation of dots' light, and again of each round's.
        fwhm_um: width of a dot before the microscope.
        shift_px: how far a round is shifted against the first, at most, along each axis.
        turn_deg: how far a round is turned against the first about the field's middle, at most.
        scale_per_mille: how much larger or smaller it is, at most.
        bad_round: number of a round, from 0, whose nuclei are those of another field; None for
            none.
        dapi_e: mean light of a nucleus, electrons.
        channel_gain: light of each dye relative to the first.
    """

    scene: Field = field(
        default_factory=lambda: Field(height=512, width=512, pixel_size_um=0.1625, falloff=0.0)
    )
    nuclei: NucleiSettings = field(
        default_factory=lambda: NucleiSettings(
            count=28, area_um2=42.0, min_gap_um=2.0, elongation=1.4, out_of_focus_fraction=0.0
        )
    )
    optics: Optics = field(default_factory=lambda: Optics(0.8, 1.0))
    camera: Camera = field(default_factory=Camera)
    n_rounds: int = 6
    n_channels: int = 4
    n_genes: int = 40
    n_empty: int = 20
    min_distance: int = 3
    density_per_px: float = 0.004
    clustering: float = 0.5
    dropout: float = 0.02
    wrong: float = 0.01
    stray_fraction: float = 0.05
    bleed: float = 0.15
    snr: float = 10.0
    brightness_cv: float = 0.3
    fwhm_um: float = 0.5
    shift_px: float = 12.0
    turn_deg: float = 0.0
    scale_per_mille: float = 0.0
    bad_round: int | None = None
    dapi_e: float = 800.0
    channel_gain: tuple[float, ...] = (1.0, 0.7, 1.3, 0.9)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rounds of one field and what is known of them.

    Attributes:
        nuclei: (round, y, x) uint16, the nuclear stain of each round.
        dots: (round, channel, y, x) uint16.
        words: (word, round) channel that each word lights up in; genes first, then empty words.
        genes: names of the words, ``empty_N`` for those that no gene has.
        shifts: (round, 2) row and column by which each round's middle lies away from the first's.
        turns: (round, 2, 2) rotation and scale of each round about its middle.
        transcripts: ``y``, ``x`` (px of the first round), ``word``, ``errors`` (rounds dark or in a
            wrong colour).
        labels: (y, x) nuclei in the first round.
    """

    nuclei: NDArray[np.uint16]
    dots: NDArray[np.uint16]
    words: NDArray[np.int64]
    genes: tuple[str, ...]
    shifts: FloatArray
    turns: FloatArray
    transcripts: Table
    labels: NDArray[np.uint32]

    def seen(self, places: FloatArray) -> FloatArray:
        """Where (n, 2) places of the first round lie in every round, (n, round, 2)."""
        middle = (np.array(self.labels.shape) - 1) / 2
        return np.stack(
            [
                _moved(places, shift, turn, middle)
                for shift, turn in zip(self.shifts, self.turns, strict=True)
            ],
            axis=1,
        )


def simulate_rounds(settings: RoundsSettings, seed: int) -> Rounds:
    """Simulate the rounds of one field.

    Args:
        settings: the field, its transcripts and the microscope.
        seed: seed; the same settings and seed give the same bytes.

    Raises:
        ValueError: there are not so many words at that distance.
    """
    words = draw_words(settings, part_rng(seed, "words"))
    place = _places(settings, seed)
    gene = part_rng(seed, "genes").integers(0, settings.n_genes, len(place))
    colours, errors = _colours(words[gene], settings, part_rng(seed, "errors"))
    strays = _strays(len(place), settings, seed)
    rng = part_rng(seed, "shifts")
    shifts = rng.uniform(-settings.shift_px, settings.shift_px, (settings.n_rounds, 2))
    shifts[0] = 0
    turns = _turns(settings, seed)
    middle = (np.array(settings.scene.shape) - 1) / 2
    labels, dna = _dna(settings, seed)
    every = np.concatenate([place, strays[0]])
    lit = np.concatenate([colours, strays[1]])
    light = _dot_light(len(every), settings, seed)
    dots, nuclei = [], []
    for number in range(settings.n_rounds):
        here = _moved(every, shifts[number], turns[number], middle)
        dyes = [
            _paint(here, light[:, number] * (lit[:, number] == dye), settings)
            for dye in range(settings.n_channels)
        ]
        dots.append(_photograph(dyes, settings, seed, number))
        shown = _dna(settings, seed + 1)[1] if settings.bad_round == number else dna
        moved = _laid(shown, shifts[number], turns[number])
        cut = moved[MARGIN:-MARGIN, MARGIN:-MARGIN]
        nuclei.append(
            expose(cut + settings.scene.background_e, settings.camera, part_rng(seed, "n", number))
        )
    names = [f"gene_{i + 1}" for i in range(settings.n_genes)]
    names += [f"empty_{i + 1}" for i in range(settings.n_empty)]
    table = {"y": place[:, 0], "x": place[:, 1], "word": gene, "errors": errors}
    return Rounds(
        np.stack(nuclei), np.stack(dots), words, tuple(names), shifts, turns, table, labels
    )


def draw_words(settings: RoundsSettings, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw words that differ from each other in enough rounds, at random, one after another.

    Raises:
        ValueError: there are not so many.
    """
    wanted, words = settings.n_genes + settings.n_empty, np.empty((0, settings.n_rounds), int)
    for _ in range(MAX_TRIES):
        if len(words) == wanted:
            return words.astype(np.int64)
        word = rng.integers(0, settings.n_channels, settings.n_rounds)
        if ((words != word).sum(axis=1) >= settings.min_distance).all():
            words = np.vstack([words, word])
    raise ValueError(
        f"Found {len(words)} words of {settings.n_rounds} rounds, {settings.n_channels} colours, "
        f"that differ in {settings.min_distance} rounds, {wanted} were asked for."
    )


def _places(settings: RoundsSettings, seed: int) -> FloatArray:
    """Places of transcripts, denser here and there."""
    rng, shape = part_rng(seed, "transcripts"), settings.scene.shape
    density = np.exp(settings.clustering * smooth_noise(shape, 25.0, rng))
    density *= settings.density_per_px / density.mean()
    pixels = np.repeat(np.arange(density.size), rng.poisson(density).ravel())
    place = np.stack(np.unravel_index(pixels, shape), axis=1) + rng.uniform(
        -0.5, 0.5, (pixels.size, 2)
    )
    return np.asarray(place, dtype=np.float64)


def _colours(
    words: NDArray[np.int64], settings: RoundsSettings, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The colour of every transcript in every round, -1 for dark, and how many are wrong."""
    draw = rng.random(words.shape)
    other = (words + rng.integers(1, settings.n_channels, words.shape)) % settings.n_channels
    dark = draw < settings.dropout
    wrong = ~dark & (draw < settings.dropout + settings.wrong)
    colours = np.where(dark, -1, np.where(wrong, other, words))
    return colours, (dark | wrong).sum(axis=1)


def _strays(n: int, settings: RoundsSettings, seed: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Dots of no transcript: places and colours."""
    rng = part_rng(seed, "strays")
    count = rng.poisson(settings.stray_fraction * n)
    place = rng.uniform(0, 1, (count, 2)) * (np.array(settings.scene.shape) - 1)
    return place, rng.integers(0, settings.n_channels, (count, settings.n_rounds))


def _dot_light(n: int, settings: RoundsSettings, seed: int) -> FloatArray:
    """(dot, round) light relative to a median one: a dot has its own, each round varies."""
    rng, sd = part_rng(seed, "dot light"), np.sqrt(np.log1p(settings.brightness_cv**2))
    return np.asarray(np.exp(rng.normal(0, sd, (n, 1)) + rng.normal(0, sd, (n, settings.n_rounds))))


def _turns(settings: RoundsSettings, seed: int) -> FloatArray:
    """Rotation and scale of every round, (round, 2, 2)."""
    rng, n = part_rng(seed, "turns"), settings.n_rounds
    angle = np.deg2rad(settings.turn_deg) * rng.uniform(-1, 1, n)
    scale = 1 + settings.scale_per_mille / 1000 * rng.uniform(-1, 1, n)
    angle[0], scale[0] = 0, 1
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.stack([np.stack([cosine, -sine], 1), np.stack([sine, cosine], 1)], axis=1)


def _moved(
    places: FloatArray, shift: FloatArray, turn: FloatArray, middle: FloatArray
) -> FloatArray:
    if np.array_equal(turn, np.eye(2)):
        return places + shift
    return np.asarray((places - middle) @ turn.T + middle + shift)


def _laid(picture: FloatArray, shift: FloatArray, turn: FloatArray) -> FloatArray:
    """A picture of the first round as another one shows it."""
    if np.array_equal(turn, np.eye(2)):
        return np.asarray(ndimage.shift(picture, shift, mode="wrap"))
    middle, back = (np.array(picture.shape) - 1) / 2, np.linalg.inv(turn)
    offset = middle - back @ (middle + shift)
    return np.asarray(ndimage.affine_transform(picture, back, offset, mode="wrap"))


def _paint(moved: FloatArray, light: FloatArray, settings: RoundsSettings) -> FloatArray:
    """One dye of one round, with the light that the signal-to-noise ratio asks for, electrons."""
    lit = light > 0
    n = int(lit.sum())
    size = settings.scene.pixel_size_um
    own = settings.fwhm_um / FWHM_PER_SIGMA
    sigma = np.hypot(own, psf_sigma_um(settings.optics, DYE_NM)) / size
    noise = float(noise_sd_e(np.array(settings.scene.background_e), settings.camera))
    unit = settings.snr * noise * 2 * np.pi * sigma**2
    place = moved[lit]
    points = Points(
        place[:, 0], place[:, 1], np.zeros(n), np.full(n, own), unit * light[lit], np.full(n, ALONE)
    )
    return paint_points(points, settings.optics, DYE_NM, settings.scene)


def _photograph(
    dyes: list[FloatArray], settings: RoundsSettings, seed: int, number: int
) -> NDArray[np.uint16]:
    """All channels of a round: dyes of their own brightness, bleeding into their neighbours."""
    channels = range(settings.n_channels)
    bleed = [[settings.bleed ** abs(i - j) if abs(i - j) < 2 else 0.0 for j in channels]
             for i in channels]  # fmt: skip
    gained = [dye * gain for dye, gain in zip(dyes, settings.channel_gain, strict=True)]
    light = mix(gained, bleed) + settings.scene.background_e
    return expose(light, settings.camera, part_rng(seed, "dots", number))


def _dna(settings: RoundsSettings, seed: int) -> tuple[NDArray[np.uint32], FloatArray]:
    """Nuclei of the first round, and their light with a margin that shifts bring in."""
    scene = settings.scene
    wide = replace(scene, height=scene.height + 2 * MARGIN, width=scene.width + 2 * MARGIN)
    nuclei, labels = place_nuclei(settings.nuclei, wide, seed)
    view = View(settings.optics, DAPI_NM, binds_dna=True)
    levels = np.full(len(nuclei), settings.dapi_e)
    light = paint_nuclei(nuclei, settings.nuclei, wide, view, levels, seed)
    return labels[MARGIN:-MARGIN, MARGIN:-MARGIN], light


def dot_sigma_px(settings: RoundsSettings) -> float:
    """SD of the image of a dot, px."""
    own = settings.fwhm_um / FWHM_PER_SIGMA
    blur = psf_sigma_um(settings.optics, DYE_NM)
    return float(np.hypot(own, blur) / settings.scene.pixel_size_um)
