"""Foci detectors on simulated nuclei: ``python -m tests.benchmarks.foci [--fields N]``.

Fields come from `pipelines.simulate.simulate_foci`: textured nuclei, uneven light, shot noise,
debris. The signal-to-noise ratio of a focus is its height over the SD of texture and noise within
1.5 µm. A detection is right when it lies within one width of the point spread function's image of
a focus (0.53 µm) of a true one, one to one; a stricter match, within the point spread function's
own width (0.18 µm), is printed too. Nuclei out of focus are left out. Every detector gets the true
nuclei. All fields of one ratio, whatever their density and light, are one batch to senescope, as
in a study; "alone" is senescope judging each field by itself. skimage's `blob_log` gets the
threshold that is best on average over the conditions on other seeds; U-FISH and, where it is
installed, Big-FISH (log filter, automatic threshold) their own; senescope its defaults. Spotiflow
is not among them: its weights do not come with its package. A second table says what becomes of the
mean count of nuclei with 0 to 40 foci in one batch, by rule for the threshold. The last line is one
JSON object.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.feature import blob_log

from measurements.errors import MeasurementError
from measurements.foci_detection import Peaks, find_foci, find_peaks
from measurements.foci_response import band_pass
from measurements.foci_settings import FociSettings as FociDetection
from measurements.foci_threshold import control_height, parting_heights
from measurements.foci_ufish import find_foci_ufish
from measurements.regions import Regions
from pipelines.simulate.scene import Simulated
from tests.benchmarks.foci_bound import Scored, best_f1, told
from tests.benchmarks.foci_fields import SIGMA, Condition, Places, Score, judge

Single = Callable[[NDArray[np.generic], NDArray[np.uint32]], Places]
Detector = Callable[[Sequence[Simulated]], list[Places]]

SETTINGS = FociDetection(sigma=SIGMA)
TUNING_SEED, TEST_SEED = 0, 3000
GRID = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4)
BEST_THRESHOLD, TOLD = "best_threshold", "told_filter"


def each(detect: Single) -> Detector:
    """A detector that judges every field by itself."""
    return lambda fields: [detect(f.channels["gh2ax"], f.labels["nuclei"]) for f in fields]


def peaks_in(fields: Sequence[Simulated]) -> list[Peaks]:
    return [
        find_peaks(
            band_pass(f.channels["gh2ax"], Regions.of(f.labels["nuclei"]), SETTINGS), SETTINGS
        )
        for f in fields
    ]


def senescope(fields: Sequence[Simulated]) -> list[Places]:
    """Texture and foci told apart over all fields, as in a study."""
    peaks = peaks_in(fields)
    return above(peaks, parting_heights([p.all_heights for p in peaks]).thresholds)


def above(
    peaks: Sequence[Peaks], thresholds: Sequence[float] | NDArray[np.float64]
) -> list[Places]:
    return [p.places[p.height > k] for p, k in zip(peaks, thresholds, strict=True)]


def alone(image: NDArray[np.generic], labels: NDArray[np.uint32]) -> Places:
    return find_foci(image, Regions.of(labels), SETTINGS).places


def ufish(image: NDArray[np.generic], labels: NDArray[np.uint32]) -> Places:
    return find_foci_ufish(image, Regions.of(labels))[0]


def big_fish(image: NDArray[np.generic], labels: NDArray[np.uint32]) -> Places:
    from bigfish.detection import detect_spots

    spots = detect_spots(image, voxel_size=(1, 1), spot_radius=(SIGMA, SIGMA)).astype(float)
    return spots[labels[tuple(spots.astype(int).T)] > 0]


def blob_log_at(threshold: float) -> Single:
    def detect(image: NDArray[np.generic], labels: NDArray[np.uint32]) -> Places:
        # Relative to a usual nucleus: blob_log's threshold is absolute.
        scaled = image / np.median(image[labels > 0])
        blobs = blob_log(
            scaled, min_sigma=0.8 * SIGMA, max_sigma=1.4 * SIGMA, num_sigma=3, threshold=threshold
        )[:, :2]
        return blobs[labels[tuple(blobs.astype(int).T)] > 0]

    return detect


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
    scores = [
        np.mean([judge(each(blob_log_at(t))(fields), fields).f1 for fields in tuning]) for t in GRID
    ]
    return GRID[int(np.argmax(scores))]


def detectors(n_fields: int) -> dict[str, Detector]:
    """Those that can run here."""
    best = best_blob_log(n_fields)
    print(f"blob_log's threshold: {best} of a usual nucleus's level")
    chosen = {"senescope": senescope, "alone": each(alone), "blob_log": each(blob_log_at(best))}
    try:
        ufish(np.ones((32, 32), dtype=np.uint8), np.ones((32, 32), dtype=np.uint32))
    except MeasurementError as error:
        print(error)
    else:
        chosen["ufish"] = each(ufish)
    if importlib.util.find_spec("bigfish"):
        chosen["big_fish"] = each(big_fish)
    return chosen


def run(n_fields: int) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Print all curves; return the figures of each detector, and the bounds."""
    chosen = detectors(n_fields)
    curves = conditions()
    scores: dict[str, dict[Condition, Score]] = {name: {} for name in chosen}
    bounds: dict[str, dict[Condition, float]] = {BEST_THRESHOLD: {}, TOLD: {}}
    seconds, n_nuclei = dict.fromkeys(chosen, 0.0), 0
    for ratio in sorted({c.snr for curve in curves.values() for c in curve}):
        batch = list(dict.fromkeys(c for curve in curves.values() for c in curve if c.snr == ratio))
        fields = [
            c.simulate(TEST_SEED + seed, told=True) for c in batch for seed in range(n_fields)
        ]
        n_nuclei += sum(int(f.labels["nuclei"].max()) for f in fields)
        for name, detect in chosen.items():
            start = time.perf_counter()
            found = detect(fields)
            seconds[name] += time.perf_counter() - start
            for i, condition in enumerate(batch):
                own = slice(i * n_fields, (i + 1) * n_fields)
                scores[name][condition] = judge(found[own], fields[own])
        for i, condition in enumerate(batch):
            of_condition = fields[i * n_fields : (i + 1) * n_fields]
            for name, bound in bounds_of(of_condition).items():
                bounds[name][condition] = bound
    for title, curve in curves.items():
        print(f"\n{title}\n{'':54s}{'F1':>7s}{'strict':>8s}{'bias':>8s}")
        for condition in curve:
            print_condition(condition, {name: of[condition] for name, of in scores.items()})
            for name, of in bounds.items():
                print(f"{'':24s}{name:30s}{of[condition]:7.3f}")
    return (
        {name: figures(of, n_nuclei / seconds[name]) for name, of in scores.items()},
        {name: headline(of) for name, of in bounds.items()},
    )


def bounds_of(fields: Sequence[Simulated]) -> dict[str, float]:
    """F1 that the threshold, and any linear filter, could not exceed."""
    own = [Scored(p.places, p.height) for p in peaks_in(fields)]
    return {BEST_THRESHOLD: best_f1(own, fields), TOLD: told(fields)}


def print_condition(condition: Condition, scores: dict[str, Score]) -> None:
    said = (
        f"ratio {condition.snr:g} foci {condition.count} "
        f"spacing {condition.spacing:g} loss {condition.falloff:g}"
    )
    for name, score in scores.items():
        print(f"{said:44s}{name:10s}{score.f1:7.3f}{score.f1_strict:8.3f}{score.bias:+8.3f}")


def figures(scores: dict[Condition, Score], nuclei_per_s: float) -> dict[str, float]:
    """The headline figures; the bias is that of the worst density at a ratio of 5."""
    fives = [scores[Condition(count=n)].bias for n in (8, 20, 40)]
    return {
        **headline({condition: score.f1 for condition, score in scores.items()}),
        "count_bias": round(max(fives, key=abs), 4),
        "nuclei_per_s": round(nuclei_per_s, 1),
    }


def headline(f1: dict[Condition, float]) -> dict[str, float]:
    """F1 at 20 foci a nucleus, and at few and many, from which neighbours are 2 widths apart."""
    chosen = {
        "f1_snr5": Condition(),
        "f1_snr5_8_foci": Condition(count=8),
        "f1_snr5_40_foci": Condition(count=40),
        "f1_snr3": Condition(snr=3),
        "f1_snr3_8_foci": Condition(snr=3, count=8),
        "f1_snr3_40_foci": Condition(snr=3, count=40),
    }
    return {name: round(f1[condition], 4) for name, condition in chosen.items()}


def print_rules(n_fields: int) -> None:
    """What becomes of the mean count by rule for the threshold, in sparse and dense fields."""
    counts = (0, 2, 8, 20, 40)
    print(
        "\nMean count a nucleus; all fields of a ratio are one batch, those with 0 and 2 controls"
    )
    for ratio in (3, 5):
        fields = [
            Condition(snr=ratio, count=n).simulate(TEST_SEED + seed)
            for n in counts
            for seed in range(n_fields)
        ]
        peaks = peaks_in(fields)
        print(f"ratio {ratio}{'':33s}" + "".join(f"{n:>8d}" for n in counts))
        for name, thresholds in rules(peaks, fields, 2 * n_fields).items():
            found = above(peaks, thresholds)
            owns = [slice(i, i + n_fields) for i in range(0, len(fields), n_fields)]
            scores = [judge(found[own], fields[own]) for own in owns]
            print(f"  {name:38s}" + "".join(f"{s.found / s.nuclei:8.1f}" for s in scores))


def rules(
    peaks: Sequence[Peaks], fields: Sequence[Simulated], n_controls: int
) -> dict[str, Sequence[float] | NDArray[np.float64]]:
    """Thresholds of all fields by each rule; the first fields are the controls."""
    heights, n = [p.all_heights for p in peaks], len(peaks)
    n_nuclei = sum(int(f.labels["nuclei"].max()) for f in fields[:n_controls])
    shared = parting_heights([np.sum(heights, axis=0)]).thresholds[0]
    return {
        "texture and foci, share of each image": parting_heights(heights).thresholds,
        "the same, one share for all": [shared] * n,
        "each image alone": [p.threshold for p in peaks],
        "texture of controls": [control_height(heights[:n_controls], n_nuclei, 0.5)] * n,
        "4.5 SDs": [4.5] * n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=3, help="fields of each condition")
    n_fields = parser.parse_args().fields
    result, bounds = run(n_fields)
    print_rules(n_fields)
    own = result.pop("senescope")
    print(json.dumps({**own, "bound": bounds, "peers": result}))


if __name__ == "__main__":
    main()
