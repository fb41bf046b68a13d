"""Decoding: shifts, calls, words and false discoveries, by hand and against simulated rounds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import KDTree

from measurements.decoding.codebook import NONE, Codebook, Limits, read_words
from measurements.decoding.decode import align_rounds, decode
from measurements.decoding.decoys import decoys_of, false_discovery
from measurements.decoding.registration import STRAIGHT, align
from measurements.decoding.registration import Limits as AlignmentLimits
from measurements.decoding.signals import without_bleed
from measurements.errors import MeasurementError
from measurements.spots.settings import SpotSettings
from pipelines.simulate.rounds import RoundsSettings, dot_sigma_px, draw_words, simulate_rounds

BASE = RoundsSettings()
SMALL = replace(
    BASE,
    scene=replace(BASE.scene, height=256, width=256),
    nuclei=replace(BASE.nuclei, count=9),
    shift_px=6.0,
)
WORDS = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 2, 3, 0], [3, 3, 3, 3, 3]])
BOOK = Codebook(WORDS, ("A", "B", "C", "empty"), np.array([False, False, False, True]))


def light_of(words, faint=0.1, channels=4):
    """Light of clean reads."""
    return np.eye(channels)[np.array(words)] + faint


@pytest.fixture(scope="module")
def rounds():
    return simulate_rounds(SMALL, 3)


def book_of(rounds):
    return Codebook(rounds.words, rounds.genes, np.arange(len(rounds.genes)) >= SMALL.n_genes)


def test_shifts_are_found_to_a_tenth_of_a_pixel(rounds):
    found = align_rounds(rounds.nuclei, AlignmentLimits())
    shifts = np.array([a.shift for a in found])
    assert np.hypot(*(shifts - rounds.shifts).T).max() < 0.15
    assert max(a.residual for a in found) < 0.15
    assert min(a.correlation for a in found) > 0.9


def test_another_field_and_a_turned_one_are_refused(rounds):
    elsewhere = simulate_rounds(replace(SMALL, bad_round=2, density_per_px=0.0002), 3)
    with pytest.raises(MeasurementError, match=r"round 3 .* cannot be laid upon round 1"):
        align_rounds(elsewhere.nuclei, AlignmentLimits())
    turned = ndimage.rotate(rounds.nuclei[0].astype(float), 3, reshape=False, mode="nearest")
    assert not align(rounds.nuclei[0], turned, AlignmentLimits()).accepted
    blank = np.full((256, 256), 7, dtype=np.uint16)
    assert not align(rounds.nuclei[0], blank, AlignmentLimits()).accepted
    with pytest.raises(MeasurementError, match="one shape"):
        align(rounds.nuclei[0], blank[:100], AlignmentLimits())


def test_transcripts_are_read(rounds):
    found = decode(
        rounds.dots,
        align_rounds(rounds.nuclei, AlignmentLimits()),
        book_of(rounds),
        SpotSettings(sigma=dot_sigma_px(SMALL)),
        Limits(),
    )
    truth = np.column_stack([rounds.transcripts[c] for c in "yx"])
    moved = truth[:, None] + rounds.shifts
    seen = ((moved >= 0) & (moved <= 255)).all(axis=(1, 2))
    kept = found.reads.kept & (found.reads.word < SMALL.n_genes)
    away, nearest = KDTree(truth).query(found.places[kept])
    right = (away < 2) & (rounds.transcripts["word"][nearest] == found.reads.word[kept])
    assert len(set(nearest[right])) > 0.9 * seen.sum()
    assert right.mean() > 0.95
    assert np.median(away[right]) < 0.3


def test_words_within_the_corrections_are_known_and_others_are_not():
    assert BOOK.corrections == 1
    reads = read_words(
        light_of([[1, 1, 1, 1, 1], [1, 1, 1, 1, 2], [1, 1, 1, 2, 2], [0, 1, 2, 3, 0]]),
        BOOK,
        Limits(),
    )
    assert reads.word.tolist() == [1, 1, NONE, 2]
    assert reads.wrong.tolist() == [0, 1, 2, 0]
    # 1.1 of 1.4 in the right channel; 0.1 of it in the wrong round.
    np.testing.assert_allclose(reads.quality[:2], [1.1 / 1.4, (4 * 1.1 + 0.1) / 5 / 1.4])
    np.testing.assert_allclose(reads.call_quality, 1.1 / 1.4)
    strict = read_words(light_of([[1, 1, 1, 1, 2]]), BOOK, Limits(corrections=0))
    assert strict.word.tolist() == [NONE]


def test_faint_reads_are_known_but_not_kept_and_dark_ones_are_nothing():
    faint = read_words(light_of([[1, 1, 1, 1, 1]], faint=1.0), BOOK, Limits())
    assert faint.word.tolist() == [1]
    assert faint.kept.tolist() == [False]
    dark = read_words(np.zeros((1, 5, 4)), BOOK, Limits())
    assert dark.calls.tolist() == [[NONE] * 5]
    assert not dark.kept.any()
    assert read_words(np.zeros((0, 5, 4)), BOOK, Limits()).word.shape == (0,)


def test_a_word_as_near_as_another_is_not_guessed():
    pair = Codebook(np.array([[0, 0], [1, 1]]), ("A", "B"), np.zeros(2, dtype=bool))
    assert read_words(light_of([[0, 1]]), pair, Limits(corrections=1)).word.tolist() == [NONE]


def test_false_discovery_by_hand():
    """The one word two rounds from both genes is read twice: so is each of them, falsely."""
    book = Codebook(np.array([[0, 0], [1, 1]]), ("A", "B"), np.zeros(2, dtype=bool))
    assert decoys_of(book.words, 3).tolist() == [[2, 2]]
    words = [[0, 0]] * 30 + [[1, 1]] * 20 + [[2, 2]] * 2 + [[0, 1]] * 5
    light = np.concatenate(
        [light_of(words, channels=3), light_of([[2, 2]], faint=1.5, channels=3)]  # too faint
    )
    told = false_discovery(light, read_words(light, book, Limits()), book, Limits())
    assert told.share == pytest.approx(4 / 50)
    assert told.error == pytest.approx(np.sqrt(2 * 2**2) / 50)
    nothing = read_words(light[50:], book, Limits())
    assert np.isnan(false_discovery(light[50:], nothing, book, Limits()).share)


def test_where_no_decoy_is_left_empty_words_tell():
    pair = np.array([[0, 0], [1, 1], [0, 1]])
    light = light_of([[0, 0]] * 30 + [[1, 1]] * 20 + [[0, 1]], channels=2)
    book = Codebook(pair, ("A", "B", "empty"), np.array([False, False, True]))
    reads = read_words(light, book, Limits())
    assert false_discovery(light, reads, book, Limits()).share == pytest.approx(2 / 50)
    without = Codebook(pair[:2], ("A", "B"), np.zeros(2, dtype=bool))
    reads = read_words(light, without, Limits())
    assert np.isnan(false_discovery(light, reads, without, Limits()).share)


@pytest.mark.parametrize(
    ("rounds", "channels", "genes", "apart", "wrong"), [(6, 4, 40, 3, 0.03), (7, 4, 12, 5, 0.1)]
)
def test_false_reads_are_told_for_words_and_abundances_of_many_kinds(
    rounds, channels, genes, apart, wrong
):
    """Genes of very different abundance, wrong rounds and strays: no empty word is needed."""
    rng = np.random.default_rng(5)
    settings = replace(
        BASE, n_rounds=rounds, n_channels=channels, n_genes=genes, n_empty=0, min_distance=apart
    )
    told, false = 0.0, 0
    for _ in range(12):
        book = Codebook(draw_words(settings, rng), ("gene",) * genes, np.zeros(genes, dtype=bool))
        abundance = rng.lognormal(0, 1.5, genes)
        gene = rng.choice(genes, 1000, p=abundance / abundance.sum())
        words = book.words[gene]
        other = (words + rng.integers(1, channels, words.shape)) % channels
        seen = np.where(rng.random(words.shape) < wrong, other, words)
        strays = rng.integers(0, channels, (100, rounds))
        truth = np.concatenate([gene, np.full(100, NONE)])
        light = light_of(np.concatenate([seen, strays]), channels=channels)
        reads = read_words(light, book, Limits())
        told += false_discovery(light, reads, book, Limits()).share * reads.kept.sum()
        false += int((reads.kept & (reads.word != truth)).sum())
    assert false > 80
    assert told == pytest.approx(false, rel=1 / 3)


def test_bleed_through_is_taken_off_whatever_the_dyes_brightness():
    rng = np.random.default_rng(0)
    matrix = np.array([[1, 0.3, 0, 0], [0.4, 2, 0.1, 0], [0, 0.5, 1, 0.2], [0, 0, 0.3, 0.6]])
    dyes = np.eye(4)[rng.integers(0, 4, (400, 3))] * rng.uniform(0.5, 1.5, (400, 3, 1))
    clean = without_bleed(dyes @ matrix.T * 100)
    assert (clean.argmax(axis=2) == dyes.argmax(axis=2)).all()
    assert clean[dyes == 0].max() < 0.05 * clean[dyes > 0].mean()


def test_what_does_not_fit_is_refused():
    with pytest.raises(MeasurementError, match="same word"):
        Codebook(WORDS[[0, 0]], ("A", "B"), np.zeros(2, dtype=bool))
    with pytest.raises(MeasurementError, match="3 rounds of 4 channels"):
        read_words(np.zeros((2, 3, 4)), BOOK, Limits())
    with pytest.raises(MeasurementError, match="channels"):
        read_words(np.zeros((2, 5, 2)), BOOK, Limits())
    with pytest.raises(ValueError, match="were asked for"):
        draw_words(replace(BASE, n_rounds=2), np.random.default_rng(0))


def test_the_simulator_keeps_its_word():
    first, again = simulate_rounds(SMALL, 1), simulate_rounds(SMALL, 1)
    assert first.dots.tobytes() == again.dots.tobytes()
    apart = (first.words[:, None] != first.words[None]).sum(axis=2)
    assert apart[~np.eye(len(apart), dtype=bool)].min() >= 3
    many = simulate_rounds(replace(SMALL, density_per_px=0.02, stray_fraction=0), 2)
    share = many.transcripts["errors"].sum() / many.transcripts["errors"].size / SMALL.n_rounds
    assert share == pytest.approx(0.03, abs=0.006)


def test_turned_rounds_are_simulated_about_the_middle():
    """The nuclei of a turned round, laid back by what the truth says, are those of the first."""
    rounds = simulate_rounds(replace(SMALL, turn_deg=3.0, scale_per_mille=5.0), 4)
    middle = np.array([127.5, 127.5])
    angles = np.rad2deg(np.arctan2(rounds.turns[:, 1, 0], rounds.turns[:, 0, 0]))
    assert angles[0] == 0
    assert 0.5 < np.abs(angles).max() <= 3
    np.testing.assert_allclose(rounds.seen(middle[None])[0] - middle, rounds.shifts, atol=1e-9)
    grid = np.stack(np.mgrid[20:236, 20:236], axis=-1).reshape(-1, 2).astype(float)
    seen = rounds.seen(grid)
    first = rounds.nuclei[0][20:236, 20:236].ravel()
    for number in range(SMALL.n_rounds):
        there = ndimage.map_coordinates(rounds.nuclei[number].astype(float), seen[:, number].T)
        assert np.corrcoef(first, there)[0, 1] > 0.95


def test_turned_and_scaled_rounds_are_laid_upon_the_first():
    """Every corner comes to lie within 0.3 px; by a shift alone some lie 5 px away."""
    settings = replace(BASE, turn_deg=1.2, scale_per_mille=6.0, density_per_px=1e-4)
    rounds = simulate_rounds(settings, 12)
    found = align_rounds(rounds.nuclei, AlignmentLimits())
    corners = np.array([(10.0, 10.0), (10.0, 501.0), (501.0, 10.0), (501.0, 501.0)])
    truth = rounds.seen(corners)
    for number, alignment in enumerate(found):
        seen = alignment.seen(corners)
        assert np.hypot(*(seen - truth[:, number]).T).max() < 0.3
        np.testing.assert_allclose(alignment.laid_back(seen), corners, atol=1e-6)
    angles = np.rad2deg(np.arctan2(rounds.turns[:, 1, 0], rounds.turns[:, 0, 0]))
    assert np.abs(angles).max() > 0.6
    np.testing.assert_allclose([a.turn_deg for a in found], angles, atol=0.05)


def test_rounds_that_are_only_shifted_stay_straight(rounds):
    assert {a.matrix for a in align_rounds(rounds.nuclei, AlignmentLimits())} == {STRAIGHT}
