"""Decoding of simulated in situ sequencing: ``python -m tests.benchmarks.decoding [--fields N]``.

Fields come from `pipelines.simulate.rounds`: six rounds of four colours, 40 genes and 20 empty
words that differ in three rounds or more, 2 % dark and 1 % wrong colours in each round, bleed of
15 % into the neighbouring channels, dots of no transcript, shifts up to 12 px, light that varies by
30 % from dot to dot and again from round to round. The density of 0.004 dots/px is 2.4 times the
mean of a real section of mouse CA1 and 0.0104 that of its pyramidal layer (iss_mouse_ca1; their
clusters are simulated by a density that varies over the field). A read is right when it lies within
2 px of a transcript of its gene, one to one; transcripts that a shift takes out of view in a round
are left out of recall. The last line is one JSON object, of the density 0.004.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from measurements.decoding.codebook import Codebook, Limits
from measurements.decoding.decode import align_rounds, decode
from measurements.decoding.registration import Limits as AlignmentLimits
from measurements.errors import MeasurementError
from measurements.spots.settings import SpotSettings
from pipelines.simulate.rounds import Rounds, RoundsSettings, dot_sigma_px, simulate_rounds

REACH = 2.0
TEST_SEED = 100
USUAL = 0.004


@dataclass
class Score:
    """Counts over fields."""

    right: int = 0
    seen: int = 0
    true: int = 0
    found: int = 0
    expected_false: float = 0.0
    shift_error: float = 0.0
    seconds: float = 0.0

    def add(self, other: "Score") -> None:
        for name in ("right", "seen", "true", "found", "expected_false", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.shift_error = max(self.shift_error, other.shift_error)

    def figures(self) -> dict[str, float]:
        found = max(self.found, 1)
        return {
            "recall": round(self.seen / max(self.true, 1), 3),
            "precision": round(self.right / found, 3),
            "shift_error_px": round(self.shift_error, 3),
            "fdr_true": round(1 - self.right / found, 4),
            "fdr_estimated": round(self.expected_false / found, 4),
        }


def matched(
    true: NDArray[np.float64],
    words: NDArray[np.int64],
    found: NDArray[np.float64],
    read: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Transcripts that a read of their gene lies upon, one to one, the nearest first."""
    near = KDTree(true).sparse_distance_matrix(KDTree(found), REACH, output_type="ndarray")
    taken: dict[int, int] = {}
    used: set[int] = set()
    for pair in near[np.argsort(near["v"], kind="stable")]:
        i, j = int(pair["i"]), int(pair["j"])
        if words[i] == read[j] and i not in taken and j not in used:
            taken[i] = j
            used.add(j)
    return np.array(sorted(taken), dtype=np.int64)


def judge(rounds: Rounds, settings: RoundsSettings) -> Score:
    start = time.perf_counter()
    book = Codebook(rounds.words, rounds.genes, np.arange(len(rounds.genes)) >= settings.n_genes)
    alignments = align_rounds(rounds.nuclei, AlignmentLimits())
    found = decode(
        rounds.dots, alignments, book, SpotSettings(sigma=dot_sigma_px(settings)), Limits()
    )
    seconds = time.perf_counter() - start
    kept = found.reads.kept & (found.reads.word < settings.n_genes)
    truth = np.column_stack([rounds.transcripts[c] for c in "yx"]).astype(float)
    words = rounds.transcripts["word"].astype(np.int64)
    right = matched(truth, words, found.places[kept], found.reads.word[kept])
    last = np.array(settings.scene.shape) - 1
    moved = rounds.seen(truth)
    in_view = ((moved >= 0) & (moved <= last)).all(axis=(1, 2))
    errors = np.array([a.shift for a in alignments]) - rounds.shifts
    told = found.false_discovery.share
    expected = 0.0 if np.isnan(told) else told * kept.sum()
    return Score(
        right=len(right),
        seen=int(in_view[right].sum()),
        true=int(in_view.sum()),
        found=int(kept.sum()),
        expected_false=float(expected),
        shift_error=float(np.hypot(*errors.T).max()),
        seconds=seconds,
    )


def run(settings: RoundsSettings, n_fields: int) -> Score:
    total = Score()
    for seed in range(n_fields):
        total.add(judge(simulate_rounds(settings, TEST_SEED + seed), settings))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=8)
    n_fields = parser.parse_args().fields
    base = RoundsSettings(density_per_px=USUAL)
    conditions = {
        "density 0.0017 (mean of CA1)": replace(base, density_per_px=0.0017),
        "density 0.004": base,
        "density 0.0104 (pyramidal layer)": replace(base, density_per_px=0.0104),
        "0.004, 20 % stray dots": replace(base, stray_fraction=0.2),
        "0.004, ratio 6": replace(base, snr=6.0),
        **{
            f"0.004, turned by {turn:g}° at most": replace(base, turn_deg=turn)
            for turn in (0.1, 0.2, 0.3, 0.5)
        },
        "0.004, scaled by 3 ‰ at most": replace(base, scale_per_mille=3.0),
    }
    print(f"{'':34}{'recall':>8}{'precision':>10}{'shift px':>9}{'FDR':>8}{'told':>8}{'s':>6}")
    usual: dict[str, float] = {}
    for name, settings in conditions.items():
        score = run(settings, n_fields)
        figures = score.figures()
        usual = figures if settings is base else usual
        print(
            f"{name:34}{figures['recall']:>8.3f}{figures['precision']:>10.3f}"
            f"{figures['shift_error_px']:>9.3f}{figures['fdr_true']:>8.4f}"
            f"{figures['fdr_estimated']:>8.4f}{score.seconds / n_fields:>6.1f}",
            flush=True,
        )
    try:
        judge(simulate_rounds(replace(base, bad_round=3), TEST_SEED), base)
    except MeasurementError as error:
        print(f"a round of another field: {error}")
    print(json.dumps(usual))


if __name__ == "__main__":
    main()
