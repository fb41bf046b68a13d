"""How sure a test of spread is, how well it finds a planted range, and what a million cells cost.

Run as ``python -m tests.benchmarks.spread``. Sections are simulated: sources cluster, the response
is patchy on its own, touching cells leak into each other, sections have ragged edges and lumens.
Under no effect p-values should be uniform; the same statistic with shuffled labels is shown beside.
Nothing here passes or fails.
"""

import argparse
import json
import resource
import time
from dataclasses import replace

import numpy as np
from scipy.stats import kstest

from measurements.spread import (
    Distances,
    Section,
    ShiftedCounts,
    SpreadSettings,
    Window,
    cross_type,
    find_window,
    fit_decay,
    measure_rings,
    measure_spread,
    shifted_counts,
    source_distances,
)
from pipelines.simulate.tissue import TissueSettings, simulate_tissue

RINGS = (0.0, 15.0, 30.0, 60.0, 120.0)
NULLS = {
    "as by default": TissueSettings(),
    "patches twice as wide": TissueSettings(patch_um=100),
    "scattered sources, a plain frame": TissueSettings(source_cluster_um=0, ragged=0.0),
    "no patches, no leak": TissueSettings(patch_strength=0, leak=0),
}
PLANTED = TissueSettings(effect=0.5, range_um=30.0)
SECTIONS_AN_ANIMAL = 3
STUDY = 6


def read(settings: TissueSettings, seed: int) -> Section:
    """One simulated section, as the gates call its cells."""
    tissue = simulate_tissue(settings, seed)
    return Section.of(tissue.positions_um, tissue.source, tissue.response)


def count(
    section: Section, settings: SpreadSettings, number: int
) -> tuple[Window, Distances, ShiftedCounts]:
    window = find_window(section.positions, section.spacing)
    distances = source_distances(section, window)
    return window, distances, shifted_counts(section, window, distances, settings, number)


def shuffled(
    section: Section, distances: Distances, like: ShiftedCounts, seed: int
) -> ShiftedCounts:
    """The counts that shuffled labels give instead of shifts."""
    rng = np.random.default_rng(seed)
    used = section.responder & (distances.to_source >= like.contact)
    rings = np.digitize(distances.to_source[used], like.bounds)
    labels = section.response[used]
    n_rings = like.bounds.size + 1
    found = [np.bincount(rings, labels, n_rings)]
    found += [
        np.bincount(rings, rng.permutation(labels), n_rings) for _ in range(len(like.cells) - 1)
    ]
    positive = np.zeros((len(found), 2, 1, n_rings), dtype=np.int64)
    positive[:, 0, 0] = found
    cells = np.zeros_like(positive)
    cells[:, 0, 0] = np.bincount(rings, minlength=n_rings)
    return ShiftedCounts(like.bounds, like.contact, cells, positive)


def null_sections(n: int, n_shifts: int) -> dict[str, dict[str, float]]:
    """Share below 0.05 and Kolmogorov's p against the uniform distribution, by kind of section."""
    print(f"\np-values of {n} sections without an effect, {n_shifts} shifts each")
    print(
        f"{'':>34} {'KS p':>9} {'< 0.05':>7}   {'shuffled KS p':>13} {'< 0.05':>7}   contact < 0.05"
    )
    answers = {}
    settings = SpreadSettings(RINGS, n_shifts=n_shifts)
    for name, kind in NULLS.items():
        found = []
        for seed in range(n):
            section = read(kind, seed)
            _, distances, counts = count(section, settings, seed)
            label = measure_spread([shuffled(section, distances, counts, seed)]).p_any
            touching = measure_spread([counts], with_contact=True).p_any
            found.append((measure_spread([counts]).p_any, label, touching))
        p, label, touching = np.array(found).T
        answers[name] = {
            "ks_p": float(kstest(p, "uniform").pvalue),
            "below_0.05": float((p <= 0.05).mean()),
            "shuffled_ks_p": float(kstest(label, "uniform").pvalue),
            "shuffled_below_0.05": float((label <= 0.05).mean()),
        }
        a = answers[name]
        print(
            f"{name:>34} {a['ks_p']:9.3g} {a['below_0.05']:7.3f}   {a['shuffled_ks_p']:13.2g} "
            f"{a['shuffled_below_0.05']:7.3f}   {(touching <= 0.05).mean():.3f}",
            flush=True,
        )
    return answers


def planted(n: int) -> dict[str, float | None]:
    """Animals with an effect of 30 µm: how often it is found, and how far its range is off."""
    settings = SpreadSettings(RINGS, n_shifts=199)
    ranges, p, covered = [], [], []
    for animal in range(n):
        sections = [
            read(PLANTED, 10_000 + animal * SECTIONS_AN_ANIMAL + k)
            for k in range(SECTIONS_AN_ANIMAL)
        ]
        contact = 2 * float(np.median([s.spacing for s in sections]))
        counted = [count(s, replace(settings, contact=contact), k) for k, s in enumerate(sections)]
        placed = [(s, w, d) for s, (w, d, _) in zip(sections, counted, strict=True)]
        decay = fit_decay(placed, contact, RINGS[-1])
        ranges.append(decay.range)
        covered.append(decay.ci_low <= PLANTED.range_um <= decay.ci_high)
        p.append(measure_spread([c for _, _, c in counted]).p_any)
    off = np.abs(np.array(ranges) / PLANTED.range_um - 1)
    # A study's range is the geometric mean over its animals: these are the studies of six.
    logs = np.log(np.array(ranges))[: n // STUDY * STUDY].reshape(-1, STUDY)
    studies = np.exp(np.nanmean(logs, axis=1))
    study_off = np.abs(studies / PLANTED.range_um - 1)
    print(
        f"\n{n} animals of {SECTIONS_AN_ANIMAL} sections with a planted range of 30 µm: found in "
        f"{np.mean(np.array(p) <= 0.05):.2f}, range {np.nanmedian(ranges):.1f} µm (median), within "
        f"a third in {np.mean(off < 1 / 3):.2f}, 95 % interval holds it in {np.mean(covered):.2f}; "
        f"studies of {STUDY} animals: {np.round(studies, 1)} µm"
    )
    return {
        "range_um": float(np.nanmedian(ranges)),
        "range_error": float(np.median(study_off)) if study_off.size else None,
        "range_error_worst_study": float(np.max(study_off)) if study_off.size else None,
        "range_error_one_animal": float(np.nanmedian(off)),
        "animals_within_a_third": float(np.mean(off < 1 / 3)),
        "interval_covers": float(np.mean(covered)),
        "found": float(np.mean(np.array(p) <= 0.05)),
    }


def million(n_cells: int) -> dict[str, float]:
    """All statistics of one large section with its three classes."""
    side = float(np.sqrt(n_cells * 144 * np.sqrt(3) / 2 / 0.65))
    section = read(replace(PLANTED, height_um=side, width_um=side), seed=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    share = section.source.mean()
    print(
        f"\n{len(section.positions):,} cells, {share:.3f} sources; simulating took {before:.0f} MB"
    )
    times, start = {}, time.perf_counter()
    window = find_window(section.positions, section.spacing)
    distances = source_distances(section, window)
    times["window and distances"] = time.perf_counter() - start
    settings = SpreadSettings(RINGS)
    counts = shifted_counts(section, window, distances, settings)
    times[f"{settings.n_shifts} shifts"] = time.perf_counter() - start
    measure_spread([counts])
    measure_rings([counts])
    fit_decay([(section, window, distances)], counts.contact, RINGS[-1])
    times["rings, effect and range"] = time.perf_counter() - start
    second = section.responder & (section.response == 1)
    cross_type(section.positions, section.source, second, window, np.arange(10.0, 121.0, 10.0))
    times["cross-type statistics"] = seconds = time.perf_counter() - start
    for name, until in times.items():
        print(f"{name:>24}: done after {until:6.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"million_cells": len(section.positions), "million_cells_s": seconds,
            "million_cells_mb": peak}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sections", type=int, default=200, help="null sections of each kind")
    parser.add_argument("--shifts", type=int, default=199, help="shifts of each")
    parser.add_argument("--animals", type=int, default=24, help="animals with an effect")
    parser.add_argument("--cells", type=int, default=1_000_000, help="cells of the large section")
    given = parser.parse_args()
    large = million(given.cells) if given.cells else {}
    effect = planted(given.animals) if given.animals else {}
    nulls = null_sections(given.sections, given.shifts) if given.sections else {}
    uniform = nulls.get("as by default", {})
    summary = {"range_error": effect.get("range_error"), "uniform_p": uniform.get("ks_p")}
    print(json.dumps({**summary, **large, **effect, "nulls": nulls}))


if __name__ == "__main__":
    main()
