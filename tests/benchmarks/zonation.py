"""How well zones are found, and whether two kinds of harm to them are told apart.

Run as ``python -m tests.benchmarks.zonation``. Sections of liver are simulated. Studies have four
animals a group, and as in `pipelines.run.zonation` their own controls set scales and cut-offs, each
control measured by the others. A study finds the layout changed where the pericentral fraction or
the order of zones falls, and expression lowered where that within zones falls: Welch's t over
animals, Holm over the three. ERK is called where the
layout is changed, p38 where expression is lowered and the layout is not. Nothing passes or fails.
"""

import argparse
import json
from dataclasses import replace

import numpy as np
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests

from measurements.zones import (
    Reference,
    Surroundings,
    ZoneSettings,
    learn_left_out,
    learn_reference,
    measure_section,
)
from pipelines.simulate.lobule import LobuleSettings, simulate_lobules

WIDTH_UM = 30.0
ANIMALS = 4
HEALTHY = LobuleSettings()
ERK, P38 = replace(HEALTHY, erk=0.4), replace(HEALTHY, p38=0.4)


def reference_of(seeds: range) -> Reference:
    """Scales and cut-offs of healthy animals."""
    sections = [simulate_lobules(HEALTHY, seed) for seed in seeds]
    return learn_reference(
        [(s.counts, Surroundings.of(s.positions_um, WIDTH_UM)) for s in sections]
    )


Laid = tuple[np.ndarray, Surroundings]


def animals(settings: LobuleSettings, start: int) -> list[Laid]:
    """One section of each animal of a group."""
    sections = [simulate_lobules(settings, start + k) for k in range(ANIMALS)]
    return [(s.counts, Surroundings.of(s.positions_um, WIDTH_UM)) for s in sections]


def indicators(section: Laid, reference: Reference, scale: np.ndarray) -> np.ndarray:
    """Pericentral fraction of all cells, order, and log expression within zones."""
    found = measure_section(*section, reference, ZoneSettings())
    return np.array([found.fraction[0], found.order, np.log2(found.expression / scale).mean()])


def study(controls: list[Laid], *groups: list[Laid]) -> list[np.ndarray]:
    """Indicators of the animals of each group, the controls first."""
    every = learn_reference(controls)
    each = learn_left_out(controls, range(len(controls)))
    own = [indicators(s, each[k], every.scale) for k, s in enumerate(controls)]
    others = [[indicators(s, every, every.scale) for s in group] for group in groups]
    return [np.array(values) for values in (own, *others)]


def p_values(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Holm-adjusted, two-sided, over the three indicators."""
    raw = ttest_ind(first, second, equal_var=False).pvalue
    return np.asarray(multipletests(raw, method="holm")[1])


def call(control: np.ndarray, treated: np.ndarray) -> str:
    fell = (p_values(control, treated) < 0.05) & (treated.mean(axis=0) < control.mean(axis=0))
    if fell[:2].any():
        return "erk"
    return "p38" if fell[2] else "none"


def accuracy(reference: Reference) -> float:
    """Share of cells of healthy animals whose zone is the true one, and what dimming does."""
    shares = []
    for seed in range(500, 504):
        section = simulate_lobules(HEALTHY, seed)
        around = Surroundings.of(section.positions_um, WIDTH_UM)
        found = measure_section(
            section.counts, around, reference, ZoneSettings(), axis=section.axis
        )
        shares.append((found.zones.zone == section.zone).mean())
        genes = (found.zones.zone_by_genes == section.zone).mean()
    print(f"zone accuracy {np.mean(shares):.3f} (by the highest gene {genes:.3f}); coherence "
          f"{found.coherence:.2f} against {found.coherence_chance:.2f} by chance, order "
          f"{found.order:.2f}, steepness {found.steepness:.2f}")  # fmt: skip
    for p38 in (0.0, 0.3, 0.6, 0.9):
        section = simulate_lobules(replace(HEALTHY, p38=p38, capture_cv=0), 500)
        around = Surroundings.of(section.positions_um, WIDTH_UM)
        found = measure_section(section.counts, around, reference, ZoneSettings())
        print(f"  dimmed by {p38:.1f}: fractions {np.round(found.fraction, 3)} (last: unassigned), "
              f"expression {np.round(found.expression, 2)}, order {found.order:.2f}")  # fmt: skip
    return float(np.mean(shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20, help="simulated studies of each kind")
    parser.add_argument("--nulls", type=int, default=200, help="studies without an effect")
    given = parser.parse_args()
    reference = reference_of(range(4))
    cuts = f"{reference.low:.2f} and {reference.high:.2f}"
    print(f"reference: scales {np.round(reference.scale, 2)}, cut-offs {cuts}")
    summary: dict[str, float] = {"accuracy": accuracy(reference)}
    told = []
    for number in range(given.studies):
        control, erk, p38 = study(
            *(
                animals(settings, 10_000 + 100 * number + 10 * k)
                for k, settings in enumerate((HEALTHY, ERK, P38))
            )
        )
        told.append((call(control, erk), call(control, p38)))
    apart = sum(pair == ("erk", "p38") for pair in told)
    print(f"told apart in {apart} of {given.studies}; others: "
          f"{[pair for pair in told if pair != ('erk', 'p38')]}")  # fmt: skip
    found = 0
    for number in range(given.nulls):
        first, second = study(*(animals(HEALTHY, 50_000 + 100 * number + 10 * k) for k in range(2)))
        found += bool((p_values(first, second) < 0.05).any())
    summary |= {
        "told_apart_of_20": apart,
        "null_rate": found / given.nulls if given.nulls else float("nan"),
        "null_studies": given.nulls,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
