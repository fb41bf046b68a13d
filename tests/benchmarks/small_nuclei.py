"""Foci in small nuclei: even discs with blurred edges, which foci fill more and more.

    python -m tests.benchmarks.small_nuclei

Simulation only. A focus is found where one lies within 2 SDs of its place, each counted once; the
signal-to-noise ratio is its mean height over the SD of the nucleus without foci, of which half of
the variance is texture twice as wide as foci.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from measurements.foci_detection import find_foci
from measurements.foci_settings import FociSettings
from measurements.regions import Regions

Places = NDArray[np.float64]

NOISE = 30.0
LEVEL = 300.0
BACKGROUND = 130.0
# Foci lie at least this many SDs apart.
APART = 3.0


@dataclass(frozen=True, slots=True)
class SmallNuclei:
    """Nine discs and the foci in each.

    Attributes:
        foci: number in each nucleus.
        snr: mean height of a focus over the noise; heights vary by 30 %.
        sigma: SD of a focus, px.
        diameter: of a nucleus, px.
    """

    foci: int
    snr: float = 5.0
    sigma: float = 1.5
    diameter: float = 40.0

    def simulate(self, seed: int) -> tuple[NDArray[np.float64], NDArray[np.uint16], Places]:
        """Image, labels and places of the foci."""
        rng = np.random.default_rng(seed)
        pitch = round(self.diameter + 30)
        rows, columns = np.mgrid[: 3 * pitch, : 3 * pitch]
        middles = [(pitch * (i + 0.5), pitch * (j + 0.5)) for i in range(3) for j in range(3)]
        labels, light = np.zeros(rows.shape, np.uint16), np.zeros(rows.shape)
        true: list[NDArray[np.float64]] = []
        for number, (y, x) in enumerate(middles, start=1):
            labels[np.hypot(rows - y, columns - x) < self.diameter / 2] = number
            true += [np.array((y, x)) + place for place in self._places(rng)]
        for y, x in true:
            height = self.snr * NOISE * rng.lognormal(sigma=0.3)
            light += height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * self.sigma**2))
        texture = ndimage.gaussian_filter(rng.standard_normal(rows.shape), 2 * self.sigma)
        varied = NOISE / np.sqrt(2) * (texture / texture.std() + rng.standard_normal(rows.shape))
        inside = ndimage.gaussian_filter((labels > 0).astype(float), 1.0)
        image = BACKGROUND + inside * (LEVEL + varied) + light
        return image, labels, np.array(true).reshape(-1, 2)

    def _places(self, rng: np.random.Generator) -> list[NDArray[np.float64]]:
        """Of one nucleus's foci, from its middle; by chance, with their centres inside."""
        found: list[NDArray[np.float64]] = []
        while len(found) < self.foci:
            place = rng.uniform(-self.diameter / 2, self.diameter / 2, 2)
            inside = np.hypot(*place) < self.diameter / 2 - self.sigma
            if inside and all(np.hypot(*(place - p)) > APART * self.sigma for p in found):
                found.append(place)
        return found


def f1_and_bias(condition: SmallNuclei, seeds: Iterable[int]) -> tuple[float, float]:
    """F1 of the foci found over some fields, and their number over the true one less 1."""
    right = n_found = n_true = 0
    for seed in seeds:
        image, labels, true = condition.simulate(seed)
        settings = FociSettings(sigma=condition.sigma)
        found = find_foci(image, Regions.of(labels), settings).places
        gaps = np.hypot(*(found[:, None] - true[None]).transpose(2, 0, 1))
        near = gaps <= 2 * condition.sigma
        right += int(near[linear_sum_assignment(np.where(near, gaps, 1e6))].sum())
        n_found, n_true = n_found + len(found), n_true + len(true)
    return 2 * right / max(1, n_found + n_true), n_found / n_true - 1


CONDITIONS = {
    "foci 2": SmallNuclei(2),
    "foci 5": SmallNuclei(5),
    "foci 10": SmallNuclei(10),
    "foci 20": SmallNuclei(20),
    "foci 10, ratio 3": SmallNuclei(10, snr=3.0),
    "diameter 20, foci 4 of 1 px": SmallNuclei(4, sigma=1.0, diameter=20.0),
    "diameter 10, 1 focus of 1 px": SmallNuclei(1, sigma=1.0, diameter=10.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=8)
    n_fields = parser.parse_args().fields
    scores = {}
    for name, condition in CONDITIONS.items():
        f1, bias = f1_and_bias(condition, range(n_fields))
        scores[name] = {"f1": round(f1, 3), "count_bias": round(bias, 3)}
        print(f"{name:32s} F1 {f1:.3f}  count {bias:+.3f}", flush=True)
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
