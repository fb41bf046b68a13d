"""SA-β-Gal of simulated cells: stain amount and fraction of positive cells against the truth.

    uv run python -m tests.benchmarks.beta_gal [--fields N] [--seed N] [--variants]

Simulation only: no photograph of X-gal stained cells with a known amount of stain was available.

* Stain amount: Spearman's rho of `beta_gal_mean_od` with the simulated mean density, over cells.
* Positive fraction: one threshold, the 95th percentile of cells without stain in other fields of
  all four lights together, as a study's controls would be; the corrected fraction is compared
  with the share of cells that hold stain.
* Null: the share above that threshold in further fields without stain, which should be 5 %.

Cells are the simulator's own; beside them, the same cells wrongly segmented: grown or shrunk by
up to 3 px and shifted by up to 3 px, a different way in every field. Fields from seed 100 on;
settings were chosen on seeds 0 to 9, which `--variants` goes through again.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.stats import spearmanr

from measurements.background import BackgroundSettings, background_pixels
from measurements.beta_gal import BetaGalSettings, measure_beta_gal
from measurements.gating import Gate, control_percentile, corrected_fraction
from measurements.optical_density import LightSettings
from measurements.regions import Regions
from measurements.stains import unit
from pipelines.simulate import BetaGalSettings as Simulation
from pipelines.simulate import Simulated, simulate_beta_gal

PLAIN = Simulation()
UNEVEN = replace(PLAIN, scene=replace(PLAIN.scene, falloff=0.4))
LIGHTS = {
    "light falls off by 40 %": UNEVEN,
    "white balance 1 : 0.9 : 0.72": replace(PLAIN, white_balance=(1.0, 0.9, 0.72)),
    "JPEG, quality 75": replace(PLAIN, jpeg_quality=75),
    "all three": replace(UNEVEN, white_balance=(1.0, 0.9, 0.72), jpeg_quality=75),
}
FRACTIONS = (0.0, 0.02, 0.1, 0.3, 0.6, 0.9)
REFERENCE_FIELDS = 2
SETTINGS = BetaGalSettings()
VARIANTS = {
    "as set": SETTINGS,
    "no background": replace(SETTINGS, background=BackgroundSettings(method="none")),
    "local background": replace(SETTINGS, background=BackgroundSettings(method="local")),
    "light of one level": replace(SETTINGS, light=LightSettings(order=0)),
    "light of order 2": replace(SETTINGS, light=LightSettings(order=2)),
    "methyl blue's vector": replace(SETTINGS, stain=(0.799, 0.591, 0.105)),
    "alcian blue's vector": replace(SETTINGS, stain=(0.875, 0.458, 0.158)),
    "yellowish residual": replace(SETTINGS, residual=(0.9, 1.0, 1.1)),
}


@dataclass(frozen=True)
class Scored:
    """Cells of one or several fields.

    Attributes:
        score: `beta_gal_mean_od` of the true cells.
        rough: the same of the wrongly segmented ones.
        amount: true mean density.
        stained: true where the cell holds stain.
        field: seed of the field.
    """

    score: np.ndarray
    rough: np.ndarray
    amount: np.ndarray
    stained: np.ndarray
    field: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=2, help="of every light and fraction")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--variants", action="store_true", help="compare settings, on seeds 0 to 9")
    arguments = parser.parse_args()
    print("SA-β-Gal, simulation only: no real picture with known stain was available.")
    if arguments.variants:
        compare_variants()
        return
    seeds = iter(range(arguments.seed, 10**9))
    reference = together(
        scored(replace(simulation, stained_fraction=0.0), next(seeds))
        for simulation in LIGHTS.values()
        for _ in range(REFERENCE_FIELDS * arguments.fields)
    )
    cells = {
        (light, fraction): together(
            scored(replace(simulation, stained_fraction=fraction), next(seeds))
            for _ in range(arguments.fields)
        )
        for light, simulation in LIGHTS.items()
        for fraction in FRACTIONS
    }
    figures = report(reference, cells, "score")
    print("\nThe same cells, segmented wrongly: grown, shrunk and shifted by up to 3 px")
    rough = report(reference, cells, "rough")
    print(json.dumps(figures | {f"{name}_rough_cells": value for name, value in rough.items()}))


def report(
    reference: Scored, cells: dict[tuple[str, float], Scored], which: str
) -> dict[str, object]:
    """Print one kind of score against the truth; return the figures."""
    gate = control_percentile(getattr(reference, which), seed=0, units=reference.field)
    print(
        f"\nThreshold {gate.threshold:.4f} ({gate.ci_low:.4f} to {gate.ci_high:.4f}) "
        f"from {gate.n_cells} reference cells"
    )
    errors, by_light = [], {}
    for fraction in FRACTIONS[1:]:
        pooled = together(cells[light, fraction] for light in LIGHTS)
        errors.append(print_fraction(f"{fraction:.0%} stained, every light", pooled, gate, which))
    for light in LIGHTS:
        pooled = together(cells[light, fraction] for fraction in FRACTIONS[1:])
        errors.append(print_fraction(light, pooled, gate, which))
        every = together(cells[light, fraction] for fraction in FRACTIONS)
        by_light[light] = round(spearman(every, which), 4)
        print(f"{'':30s} without stain {share_above(cells[light, 0.0], gate, which):.1%} above it")
    everything = together(cells.values())
    null = share_above(together(cells[light, 0.0] for light in LIGHTS), gate, which)
    print_null(null, sum(cells[light, 0.0].stained.size for light in LIGHTS), gate)
    print(f"Spearman over all {everything.stained.size} cells {spearman(everything, which):.3f}")
    print(", ".join(f"{light} {value:.3f}" for light, value in by_light.items()))
    return {
        "spearman": round(spearman(everything, which), 4),
        "spearman_by_light": by_light,
        "max_fraction_error": round(max(errors), 4),
        "null_fraction": round(null, 4),
    }


def print_null(share: float, n_cells: int, gate: Gate) -> None:
    """Print the share of unstained cells above the threshold beside what chance allows."""
    # The threshold is as uncertain as the share of its own cells above it.
    sd = np.sqrt(gate.alpha * (1 - gate.alpha) * (1 / n_cells + 1 / gate.n_cells))
    print(
        f"Without stain, {n_cells} cells of every light: {share:.1%} above it, "
        f"{gate.alpha:.0%} expected; two binomial SE are {2 * sd:.1%}"
    )


def share_above(cells: Scored, gate: Gate, which: str) -> float:
    return float(np.mean(getattr(cells, which) > gate.threshold))


def print_fraction(name: str, cells: Scored, gate: Gate, which: str) -> float:
    """Print the corrected fraction beside the true one; return their distance."""
    observed = share_above(cells, gate, which)
    corrected = corrected_fraction(observed, gate.alpha)
    truth = float(np.mean(cells.stained))
    print(
        f"{name:32s} {cells.stained.size:5d} cells: true {truth:6.1%}, observed {observed:6.1%}, "
        f"corrected {corrected:6.1%}"
    )
    return abs(corrected - truth)


def spearman(cells: Scored, which: str) -> float:
    return float(spearmanr(getattr(cells, which), cells.amount, nan_policy="omit").statistic)


def scored(simulation: Simulation, seed: int) -> Scored:
    """Simulate one field and measure it with true and with wrong outlines."""
    field = simulate_beta_gal(simulation, seed)
    labels, truth = field.labels["cells"], field.truth["cells"]
    ids = np.asarray(truth["label"])
    return Scored(
        mean_od(field, labels, ids, SETTINGS),
        mean_od(field, wrongly_segmented(labels, seed), ids, SETTINGS),
        np.asarray(truth["mean_od"]),
        np.asarray(truth["stained"]),
        np.full(ids.size, seed),
    )


def mean_od(
    field: Simulated, labels: np.ndarray, ids: np.ndarray, settings: BetaGalSettings
) -> np.ndarray:
    """`beta_gal_mean_od` of these cells."""
    cells = Regions.of(labels, ids)
    around = background_pixels(labels, cells.ids, settings.background)
    measured = measure_beta_gal(field.channels["rgb"], cells, around, settings).cells
    return next(v for c, v in measured.items() if c.name == "beta_gal_mean_od")


def wrongly_segmented(labels: np.ndarray, seed: int) -> np.ndarray:
    """Outlines grown or shrunk by up to 3 px, then shifted by up to 3 px."""
    by, down, right = np.random.default_rng(seed).integers(-3, 4, 3)
    if by >= 0:
        distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
        changed = np.where(distance <= by, labels[tuple(nearest)], 0)
    else:
        size = 2 * abs(by) + 1
        same = ndimage.minimum_filter(labels, size) == ndimage.maximum_filter(labels, size)
        changed = np.where(same, labels, 0)
    return np.roll(changed, (down, right), axis=(0, 1))


def together(parts: Iterable[Scored]) -> Scored:
    """Cells of several fields as one."""
    columns = zip(*[(p.score, p.rough, p.amount, p.stained, p.field) for p in parts], strict=True)
    return Scored(*[np.concatenate(column) for column in columns])


def compare_variants() -> None:
    """Print what other settings would give, in plain light and with everything spoilt."""
    print("rho: all cells; SD: error of unstained cells' density, that of the truth being 0.0038;")
    print(
        "found: stained cells above the 95th percentile of the unstained; slope: of stained ones."
    )
    for name in ("plain light", "all three"):
        simulation = replace(LIGHTS.get(name, PLAIN), stained_fraction=0.4)
        fields = [simulate_beta_gal(simulation, seed) for seed in range(10)]
        true = unit(
            [np.mean([f.truth["colour"][c] for f in fields]) for c in ("red", "green", "blue")]
        )
        print(name)
        for variant, settings in (
            VARIANTS | {"true vector": replace(SETTINGS, stain=true)}
        ).items():
            print_variant(variant, settings, fields)


def print_variant(name: str, settings: BetaGalSettings, fields: list[Simulated]) -> None:
    truths = [f.truth["cells"] for f in fields]
    score = np.concatenate(
        [
            mean_od(f, f.labels["cells"], t["label"], settings)
            for f, t in zip(fields, truths, strict=True)
        ]
    )
    amount = np.concatenate([t["mean_od"] for t in truths])
    stained = np.concatenate([t["stained"] for t in truths]).astype(bool)
    found = np.mean(score[stained] > np.percentile(score[~stained], 95))
    print(
        f"  {name:22s} rho {spearmanr(score, amount).statistic:.3f}  "
        f"SD {np.std((score - amount)[~stained]):.4f}  found {found:.1%}  "
        f"slope {np.polyfit(amount[stained], score[stained], 1)[0]:.3f}"
    )


if __name__ == "__main__":
    main()
