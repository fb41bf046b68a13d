"""The light of a batch on a real plate, whose own light is taken out and another one put on.

    uv run python -m tests.benchmarks.translocation --output DIR
    uv run python -m tests.benchmarks.batch_light DIR/results [--draws N]

Real nuclei with their real clones and cycles: the light that all 96 wells show together is divided
out, every image is turned and mirrored by chance, so that nothing is left that the images share,
and light that falls off by 0, 15 or 40 % to the corners is put on. Of draws of 8 to 48 images it
is counted how many are flagged, beside the images alone.
"""

import argparse
from pathlib import Path

import numpy as np

from measurements import batch_light as light
from measurements.field_places import TILES, places, second_order
from measurements.light import LightLimits, measure_light, tile_background
from measurements.regions import Regions
from pipelines.images import open_field
from pipelines.labels_store import read_labels
from tests.benchmarks.translocation import DATA

LIMITS = LightLimits()
NUMBERS = (8, 12, 24, 48)
CORNER = (1 - 1 / TILES) ** 2
"""Of what falls off to the corner, what the centre of the outermost tile shows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--draws", type=int, default=150)
    arguments = parser.parse_args()
    light.FEWEST_IMAGES = min(NUMBERS)  # to see what fewer would tell
    for channel, number in (("dna", 2), ("gfp", 1)):
        cells, alone = read_plate(arguments.results, number)
        sums = [of(*image) for image in cells]
        whole = light.batch_light(sums)
        print(
            f"{channel}: alone {np.mean(alone):.0%} of {len(alone)} images flagged; together the "
            f"light falls off by {whole.fall_off:.1%}, standard error {whole.error:.1%}"
        )
        shared, _, _ = light._fitted(sums)
        for amount in (0.0, 0.15, 0.4):
            for n in NUMBERS:
                report(cells, shared, amount, n, arguments.draws)


def report(cells, shared, amount: float, n: int, draws: int) -> None:
    """Print how many draws of n images are flagged, and how far the amount is off."""
    rng = np.random.default_rng([n, round(100 * amount)])
    found = [
        light.batch_light(
            [relit(*cells[i], shared, amount, rng) for i in rng.choice(len(cells), n, False)]
        )
        for _ in range(draws)
    ]
    flagged = [one.fall_off > LIMITS.fall_off and one.p < LIMITS.p for one in found]
    errors = np.array([one.fall_off for one in found]) - amount * CORNER
    print(
        f"  {amount:4.0%} put on, {n:2d} images: flagged {np.mean(flagged):4.0%}, told "
        f"{np.mean(errors) + amount * CORNER:4.0%}, error {np.sqrt(np.mean(errors**2)):.0%} rms"
    )


def relit(y, x, levels, shared, amount: float, rng: np.random.Generator) -> light.LightSums:
    """An image turned and mirrored by chance, in other light."""
    levels = levels / np.exp(second_order(y, x)[:, 1:] @ shared)
    y, x = y * rng.choice([-1, 1]), x * rng.choice([-1, 1])
    y, x = (x, y) if rng.random() < 0.5 else (y, x)
    return of(y, x, levels * (1 - amount * (y**2 + x**2) / 2))


def of(y, x, levels) -> light.LightSums:
    return light.LightSums.of(y, x, levels, of_cells=True, uneven=False)


def read_plate(results: Path, number: int):
    """Places and brightness of every image's nuclei, and its flag alone."""
    cells, alone = [], []
    for folder in sorted((results / "labels").iterdir()):
        nuclei, whole = (read_labels(folder, name) for name in ("nuclei", "cells"))
        name = folder.name.removesuffix(".ome.zarr").split("-", 1)[1]
        path = DATA / "translocation_plate" / f"Channel{number}-{name}.tif"
        field = open_field(name, {"c": path}, {"c": 0}, pixel_size_um="unknown", z="none")
        image, regions = field.plane("c"), Regions.of(nuclei)
        y, x = places(regions)
        levels = regions.median(regions.read(image)) - tile_background(image, whole > 0).at(y, x)
        cells.append((y, x, levels))
        alone.append(measure_light(image, "c", regions, whole > 0, LIMITS)[1].uneven)
    return cells, alone


if __name__ == "__main__":
    main()
