"""Foci detectors on simulated nuclei: ``python -m tests.benchmarks.foci [--fields N]``.

Fields come from `pipelines.simulate.simulate_foci`: textured nuclei, uneven light, shot noise,
debris. The signal-to-noise ratio of a focus is its height over the SD of texture and noise within
1.5 µm. A detection is right when it lies within one width of the point spread function's image of
a focus (0.53 µm) of a true one, one to one; a stricter match, within the point spread function's
own width (0.18 µm), is printed too. Nuclei out of focus are left out. Every detector gets the true
nuclei. skimage's `blob_log` gets the threshold that is best on average over the conditions on
other seeds; U-FISH its package's own; senescope its defaults. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from skimage.feature import blob_log

from measurements.errors import MeasurementError
from measurements.foci_detection import find_foci
from measurements.foci_settings import FociSettings as Detection
from measurements.foci_ufish import find_foci_ufish
from measurements.regions import Regions
from pipelines.simulate.foci import GH2AX_NM, FociSettings, simulate_foci
from pipelines.simulate.optics import FWHM_PER_SIGMA, psf_sigma_um
from pipelines.simulate.scene import Field, Simulated
from pipelines.simulate.spots import FocusSettings, imaged_width_um

Places = NDArray[np.float64]
Detector = Callable[[NDArray[np.generic], NDArray[np.uint32]], Places]

SCENE = Field(height=640, width=760)
NUCLEI = 5
BASE = FocusSettings(depth_fraction=0, exact_count=20, min_spacing_widths=2.0)
WIDTH_PX = imaged_width_um(BASE, FociSettings().optics, GH2AX_NM) / SCENE.pixel_size_um
STRICT_PX = FWHM_PER_SIGMA * psf_sigma_um(FociSettings().optics, GH2AX_NM) / SCENE.pixel_size_um
SIGMA = WIDTH_PX / FWHM_PER_SIGMA
TUNING_SEED, TEST_SEED = 0, 100
GRID = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4)


@dataclass(frozen=True)
class Condition:
    """What is simulated: the ratio, foci a nucleus, spacing in widths, share of pairs, loss."""

    snr: float = 5.0
    count: int = 20
    spacing: float = 2.0
    pairs: float = 0.0
    falloff: float = 0.15

    def settings(self) -> FociSettings:
        foci = replace(
            BASE,
            snr=(self.snr, self.snr),
            exact_count=self.count,
            min_spacing_widths=2.0 if self.pairs else self.spacing,
            pair_fraction=self.pairs,
            pair_widths=self.spacing,
        )
        settings = FociSettings(scene=replace(SCENE, falloff=self.falloff), foci=foci)
        return replace(settings, nuclei=replace(settings.nuclei, count=NUCLEI))

    def simulate(self, seed: int) -> Simulated:
        return simulate_foci(self.settings(), seed)


@dataclass
class Score:
    """Counts over fields."""

    true: int = 0
    found: int = 0
    right: int = 0
    strict: int = 0
    nuclei: int = 0
    seconds: float = 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / max(self.true + self.found, 1)

    @property
    def f1_strict(self) -> float:
        return 2 * self.strict / max(self.true + self.found, 1)

    @property
    def bias(self) -> float:
        return (self.found - self.true) / max(self.true, 1)


def senescope(image: NDArray[np.generic], labels: NDArray[np.uint32]) -> Places:
    return find_foci(image, Regions.of(labels), Detection(sigma=SIGMA)).places


def ufish(image: NDArray[np.generic], labels: NDArray[np.uint32]) -> Places:
    return find_foci_ufish(image, Regions.of(labels))[0]


def blob_log_at(threshold: float) -> Detector:
    def detect(image: NDArray[np.generic], labels: NDArray[np.uint32]) -> Places:
        # Relative to a usual nucleus: blob_log's threshold is absolute.
        scaled = image / np.median(image[labels > 0])
        blobs = blob_log(
            scaled, min_sigma=0.8 * SIGMA, max_sigma=1.4 * SIGMA, num_sigma=3, threshold=threshold
        )[:, :2]
        return blobs[labels[tuple(blobs.astype(int).T)] > 0]

    return detect


def matches(true: Places, found: Places, radius: float) -> int:
    """Number of one-to-one pairs within a distance, the nearest first."""
    if not len(true) or not len(found):
        return 0
    near = KDTree(true).sparse_distance_matrix(KDTree(found), radius, output_type="ndarray")
    taken: set[tuple[str, int]] = set()
    for pair in near[np.argsort(near["v"], kind="stable")]:
        ends = {("true", int(pair["i"])), ("found", int(pair["j"]))}
        if not ends & taken:
            taken |= ends
    return len(taken) // 2


def judge(detect: Detector, fields: list[Simulated]) -> Score:
    score = Score()
    for field in fields:
        labels, image = field.labels["nuclei"], field.channels["gh2ax"]
        sharp = np.concatenate([[False], np.asarray(field.truth["nuclei"]["in_focus"])])
        start = time.perf_counter()
        found = detect(image, labels)
        score.seconds += time.perf_counter() - start
        foci = field.truth["foci"]
        true = np.column_stack([foci["y"], foci["x"]])[sharp[foci["nucleus"]]]
        found = found[sharp[labels[tuple(np.rint(found).astype(int).T)]]]
        score.true += len(true)
        score.found += len(found)
        score.right += matches(true, found, WIDTH_PX)
        score.strict += matches(true, found, STRICT_PX)
        score.nuclei += sharp.size - 1
    return score


def conditions() -> dict[str, list[Condition]]:
    """The curves, by title."""
    return {
        "F1 by signal-to-noise ratio, 20 foci a nucleus at least 2 widths apart": [
            Condition(snr=snr) for snr in (2, 3, 4, 5, 8, 12)
        ],
        "by foci a nucleus, signal-to-noise ratio 3": [Condition(snr=3, count=n) for n in (8, 40)],
        "by foci a nucleus, signal-to-noise ratio 5": [Condition(count=n) for n in (8, 40)],
        "by distance within pairs, widths; half of the foci in pairs, ratio 8": [
            Condition(snr=8, spacing=w, pairs=0.5) for w in (0.8, 1.0, 1.25, 1.5)
        ],
        "by loss of light across the field": [Condition(falloff=f) for f in (0.0, 0.4, 0.7)],
    }


def best_blob_log(n_fields: int) -> float:
    """Threshold with the best mean F1 over ratios 3 and 5 on the tuning seeds."""
    tuning = [
        [Condition(snr=snr).simulate(TUNING_SEED + seed) for seed in range(n_fields)]
        for snr in (3, 5)
    ]
    scores = [np.mean([judge(blob_log_at(t), fields).f1 for fields in tuning]) for t in GRID]
    return GRID[int(np.argmax(scores))]


def detectors(n_fields: int) -> dict[str, Detector]:
    """Those that can run here."""
    chosen = {"senescope": senescope, "blob_log": blob_log_at(best_blob_log(max(1, n_fields // 2)))}
    try:
        ufish(np.ones((32, 32), dtype=np.uint8), np.ones((32, 32), dtype=np.uint32))
    except MeasurementError as error:
        print(error)
    else:
        chosen["ufish"] = ufish
    return chosen


def run(n_fields: int) -> dict[str, object]:
    """Print all curves; return the figures of each detector."""
    chosen = detectors(n_fields)
    at: dict[str, dict[Condition, Score]] = {name: {} for name in chosen}
    for title, curve in conditions().items():
        print(f"\n{title}\n{'':54s}{'F1':>7s}{'strict':>8s}{'bias':>8s}{'nuclei/s':>10s}")
        for condition in curve:
            fields = [condition.simulate(TEST_SEED + seed) for seed in range(n_fields)]
            for name, detect in chosen.items():
                score = at[name][condition] = judge(detect, fields)
                said = (
                    f"ratio {condition.snr:g} foci {condition.count} "
                    f"spacing {condition.spacing:g} loss {condition.falloff:g}"
                )
                print(
                    f"{said:44s}{name:10s}{score.f1:7.3f}{score.f1_strict:8.3f}"
                    f"{score.bias:+8.3f}{score.nuclei / score.seconds:10.1f}"
                )
    return {name: figures(scores) for name, scores in at.items()}


def figures(scores: dict[Condition, Score]) -> dict[str, float]:
    """The headline figures; the bias is that of the worst density at a ratio of 5."""
    fives = [scores[Condition(count=n)].bias for n in (8, 20, 40)]
    return {
        "f1_snr5": round(scores[Condition()].f1, 4),
        "f1_snr3": round(scores[Condition(snr=3)].f1, 4),
        "count_bias": round(max(fives, key=abs), 4),
        "nuclei_per_s": round(
            sum(s.nuclei for s in scores.values()) / sum(s.seconds for s in scores.values()), 1
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=3, help="fields of each condition")
    result = run(parser.parse_args().fields)
    own = result.pop("senescope")
    assert isinstance(own, dict)
    print(json.dumps({**own, "peers": result}))


if __name__ == "__main__":
    main()
