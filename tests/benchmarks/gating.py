"""How often a threshold is found where there is none, and missed where there is one.

Run as ``python -m tests.benchmarks.gating``. Everything is simulated from fixed seeds: single
populations that must not be split, two log-normal populations a known distance apart, control
percentiles of clustered cells. Nothing here passes or fails.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from measurements.gating import control_percentile, otsu, two_component

Floats = NDArray[np.float64]
Family = Callable[[np.random.Generator, int], Floats]

SINGLE: dict[str, Family] = {
    "normal": lambda rng, n: rng.normal(100, 10, n),
    "normal around 0": lambda rng, n: rng.normal(0, 10, n),
    "normal, 7 % below 0": lambda rng, n: rng.normal(15, 10, n),
    "log-normal 0.3": lambda rng, n: 100 * np.exp(rng.normal(0, 0.3, n)),
    "log-normal 1": lambda rng, n: 100 * np.exp(rng.normal(0, 1, n)),
    "log-normal + noise": lambda rng, n: 100 * np.exp(rng.normal(0, 0.6, n)) + rng.normal(0, 40, n),
    "gamma 2": lambda rng, n: rng.gamma(2, 50, n),
    "gamma 0.5": lambda rng, n: rng.gamma(0.5, 50, n),
    "Student t3": lambda rng, n: 200 + 20 * rng.standard_t(3, n),
    "log-Student t3": lambda rng, n: 100 * np.exp(0.3 * rng.standard_t(3, n)),
    "Pareto 2": lambda rng, n: 100 * (1 + rng.pareto(2, n)),
    "Pareto 2 + noise": lambda rng, n: 100 * (1 + rng.pareto(2, n)) + rng.normal(0, 30, n),
    "uniform": lambda rng, n: rng.uniform(50, 500, n),
    "log-uniform": lambda rng, n: np.exp(rng.uniform(0, 4, n)),
    "counts": lambda rng, n: rng.poisson(3, n).astype(np.float64),
    "rounded": lambda rng, n: np.round(20 * np.exp(rng.normal(0, 0.4, n))),
    "clipped at 0": lambda rng, n: np.maximum(rng.normal(5, 10, n), 0),
    "saturated": lambda rng, n: np.minimum(rng.normal(200, 40, n), 255),
}
SIZES = {50: 200, 200: 100, 1000: 40, 5000: 10, 20000: 5}
SEPARATIONS = (3, 4, 5, 6)
SHARES = (0.05, 0.1, 0.2, 0.35, 0.5)
LOG_SD = 0.3


def single_populations() -> dict[str, float]:
    """Print the split rate of every family and size; the pooled and the worst family's rate."""
    print("\nfalse splits of single populations, two_component (replicates a cell: ", end="")
    print(f"{', '.join(f'{r} at n={n}' for n, r in SIZES.items())})")
    splits = dict.fromkeys(SINGLE, 0)
    for name, family in SINGLE.items():
        rng = np.random.default_rng(20)
        rates = []
        for n, replicates in SIZES.items():
            found = sum(_split(family(rng, n)) for _ in range(replicates))
            splits[name] += found
            rates.append(f"{found / replicates:6.3f}")
        print(f"{name:>20} {' '.join(rates)}")
    total = sum(SIZES.values())
    return {
        "false_split_rate": sum(splits.values()) / total / len(SINGLE),
        "false_split_rate_worst_family": max(splits.values()) / total,
    }


def _split(values: Floats) -> bool:
    return bool(np.isfinite(two_component(values, seed=0, n_boot=0).threshold))


def mixtures() -> dict[str, float]:
    """Print power, threshold error and class error of true mixtures."""
    print("\ntwo log-normal populations, SD 0.3 each: power / threshold error in SD / class error")
    print("  (class error of the best possible threshold in brackets); columns n = ", end="")
    print(", ".join(map(str, SIZES)))
    power: dict[tuple[int, float, int], float] = {}
    errors: list[float] = []
    for separation in SEPARATIONS:
        for share in SHARES:
            cells = []
            for n, replicates in SIZES.items():
                found, miss, wrong = _mixture(separation, share, n, min(replicates, 50))
                power[separation, share, n] = found
                errors.extend(miss)
                cells.append(f"{found:.2f}/{_mean(miss):.2f}/{_mean(wrong):.3f}")
            best = _best_error(separation, share)
            print(f"{separation} SD {share:4.0%} ({best:.3f})  {'  '.join(cells)}")
    return {
        "power": _mean(list(power.values())),
        "power_3sd": _mean([p for (d, _, _), p in power.items() if d == 3]),
        "power_3sd_half_n1000": power[3, 0.5, 1000],
        "power_4sd": _mean([p for (d, _, _), p in power.items() if d == 4]),
        "power_5sd_10pct_n1000": power[5, 0.1, 1000],
        "threshold_error_sd": _mean(errors),
    }


def _mixture(
    separation: float, share: float, n: int, replicates: int
) -> tuple[float, list[float], list[float]]:
    """Power, and over the splits the threshold's error in SD and the share of wrong classes."""
    rng = np.random.default_rng(21)
    best = _equal_posterior(separation, share)
    miss, wrong = [], []
    for _ in range(replicates):
        truth = rng.random(n) < share
        z = rng.normal(size=n) + separation * truth
        gate = two_component(100 * np.exp(LOG_SD * z), seed=0, n_boot=0)
        if np.isfinite(gate.threshold):
            cut = np.log(gate.threshold / 100) / LOG_SD
            miss.append(abs(cut - best))
            wrong.append(float(np.mean((z > cut) != truth)))
    return len(miss) / replicates, miss, wrong


def _equal_posterior(separation: float, share: float) -> float:
    return separation / 2 + np.log((1 - share) / share) / separation


def _best_error(separation: float, share: float) -> float:
    cut = _equal_posterior(separation, share)
    return float((1 - share) * norm.sf(cut) + share * norm.cdf(cut - separation))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def donors_that_differ() -> dict[str, float]:
    """Print how often donors that merely differ in staining are split, and how often noted."""
    print("\nsix donors of one population each, 200 cells, donor means spread by k SD of the cells")
    rates = {}
    for spread in (0.5, 1, 2):
        rng = np.random.default_rng(22)
        units = np.repeat(np.arange(6), 200)
        notes = []
        for _ in range(20):
            z = rng.normal(size=1200) + spread * rng.normal(size=6)[units]
            gate = two_component(100 * np.exp(LOG_SD * z), seed=0, n_boot=0, units=units)
            if np.isfinite(gate.threshold):
                notes.append("lies between units" in gate.note)
        rates[f"donor_split_rate_{spread}sd"] = len(notes) / 20
        print(f"  k = {spread}: split {len(notes) / 20:.2f}, of these noted {_mean(notes):.2f}")
    return rates


def coverage() -> dict[str, float]:
    """Print how often the 95 % interval holds the true percentile, by cells and by donors."""
    print("\ncontrol percentile 95 of 20 donors x 50 cells, donor means spread by 0.7 SD:")
    rng = np.random.default_rng(23)
    units = np.repeat(np.arange(20), 50)
    truth = norm.ppf(0.95) * np.sqrt(1 + 0.7**2)
    held = {"cells": 0, "donors": 0}
    for _ in range(200):
        z = rng.normal(size=1000) + 0.7 * rng.normal(size=20)[units]
        for name, given in (("cells", None), ("donors", units)):
            gate = control_percentile(z, seed=1, n_boot=400, units=given)
            held[name] += gate.ci_low <= truth <= gate.ci_high
    print(f"  interval covers: cells {held['cells'] / 200:.3f}, donors {held['donors'] / 200:.3f}")
    return {f"coverage_{name}": count / 200 for name, count in held.items()}


def speed() -> dict[str, float]:
    """Print the seconds of each rule at 20,000 cells with 1000 resamples."""
    rng = np.random.default_rng(24)
    values = 100 * np.exp(LOG_SD * (rng.normal(size=20000) + 5 * (rng.random(20000) < 0.2)))
    seconds = {}
    for rule in (control_percentile, two_component, otsu):
        start = time.perf_counter()
        rule(values, seed=0)
        seconds[f"seconds_{rule.__name__}"] = time.perf_counter() - start
    print("\n20,000 cells, 1000 resamples:", {k: f"{s:.2f}" for k, s in seconds.items()})
    return seconds


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    start = time.perf_counter()
    result: dict[str, float] = {}
    for part in (single_populations, mixtures, donors_that_differ, coverage, speed):
        result |= part()
    result["seconds"] = time.perf_counter() - start
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


if __name__ == "__main__":
    main()
