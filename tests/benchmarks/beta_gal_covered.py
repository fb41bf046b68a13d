"""SA-β-Gal of images that cells cover, in batches of which other images show background.

    uv run python -m tests.benchmarks.beta_gal_covered [--seed N] [--only NAME]

Simulation only. A batch is one microscope on one day: 3 images without stain and 3 with some, all
with gaps, and 4 that cells cover, with no, few, some and most cells stained. Those are measured
as they are, with slits between cells, and with the slits given to the nearest cell, as cells by
expansion have it, so that nothing shows background. Cells of covered images are judged by a gate
at the 95th percentile of the unstained images. Three ways of light:

* own: what the image itself shows, so that cells tell it;
* borrowed: that of the images with gaps, and in brackets why a run would not lend it: `slits` tell
  the light, the lenders lie `apart`, or the least stained cells hold too little (`below`);
* blank: the empty field, which no way without one can beat.

Said of each: the share of positive cells, corrected, less the true one; the median error of the
unstained cells' density; what is found of the stained cells' stain.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.background import BackgroundPixels, background_pixels
from measurements.beta_gal import BetaGalSettings, measure_beta_gal
from measurements.borrowed_light import (
    MOST_APART,
    empty_field,
    shared_light,
    shows_light,
    told_light,
)
from measurements.gating import Gate, control_percentile, corrected_fraction
from measurements.light_surface import Light
from measurements.regions import Regions
from measurements.stains import NEUTRAL, X_GAL
from pipelines.run.borrowed_light import LOWEST_CELLS, MOST_BELOW
from pipelines.simulate import BetaGalSettings as Simulation
from pipelines.simulate import Simulated, simulate_beta_gal
from pipelines.simulate.photograph import shaded

GAP_PX = 3.6
SETTINGS = BetaGalSettings()
SCENE = replace(Simulation().scene, height=650, width=780, pixel_size_um=1.0)
PLAIN = Simulation(scene=SCENE)
FALLING = replace(PLAIN, scene=replace(SCENE, falloff=0.4))
TINTED = replace(FALLING, white_balance=(1.0, 0.9, 0.72))
GAPS = tuple((count, 25.0) for count in (36, 48, 44, 40, 52, 30))
STAINED = (0.0, 0.0, 0.0, 0.2, 0.5, 0.8)
COVERED = (0.0, 0.1, 0.3, 0.9)

Exposed = Callable[[Simulation, Simulated, np.random.Generator], Simulation]


@dataclass(frozen=True)
class Batch:
    """How a batch is taken.

    Attributes:
        simulation: light and camera of all its images.
        exposed: changes the camera by what one image shows.
        stained: share of stained cells in the images with gaps; the first three are controls.
    """

    simulation: Simulation
    exposed: Exposed
    stained: Sequence[float] = STAINED


@dataclass(frozen=True)
class Image:
    """One image of a batch, and what it would show without cells.

    Attributes:
        rgb: (y, x, 3), the picture.
        empty: (y, x, 3), the same without cells and noise.
        labels: (y, x), its cells.
        ids: of the cells.
        stained: which of them hold stain.
        amount: mean density of each.
        stain: (y, x), density of the stain.
    """

    rgb: NDArray[np.uint8]
    empty: NDArray[np.float32]
    labels: NDArray[np.uint32]
    ids: NDArray[np.uint32]
    stained: NDArray[np.bool_]
    amount: NDArray[np.float64]
    stain: NDArray[np.float64]


def fixed(camera: Simulation, _seen: Simulated, _rng: np.random.Generator) -> Simulation:
    """Nothing changes between images."""
    return camera


def drifting(camera: Simulation, _seen: Simulated, rng: np.random.Generator) -> Simulation:
    """The lamp changes by 3 % between images, and each of its colours by 0.5 % (SD)."""
    balance = np.asarray(camera.white_balance) * np.exp(rng.normal(0, 0.005, 3))
    level = camera.white_level * np.exp(rng.normal(0, 0.03))
    return replace(camera, white_balance=tuple(balance.tolist()), white_level=float(level))


def auto_exposure(camera: Simulation, seen: Simulated, _rng: np.random.Generator) -> Simulation:
    """Every picture is exposed to one mean of green, if nothing overflows."""
    level = camera.white_level * 170 / float(seen.channels["rgb"][..., 1].mean())
    return replace(camera, white_level=min(level, 245.0))


def auto_white(camera: Simulation, seen: Simulated, _rng: np.random.Generator) -> Simulation:
    """Every picture is balanced until its mean is grey."""
    means = seen.channels["rgb"].mean(axis=(0, 1))
    gains = np.asarray(camera.white_balance) * means.mean() / means
    return replace(camera, white_balance=tuple((gains / gains.max()).tolist()))


BATCHES = {
    "even light": Batch(replace(PLAIN, scene=replace(SCENE, falloff=0.0)), fixed),
    "light falls off by 20 %": Batch(PLAIN, fixed),
    "light falls off by 40 %": Batch(FALLING, fixed),
    "40 %, tinted, JPEG 75": Batch(replace(TINTED, jpeg_quality=75), fixed),
    "JPEG 90": Batch(replace(PLAIN, jpeg_quality=90), fixed),
    "lamp drifts": Batch(PLAIN, drifting),
    "automatic exposure": Batch(FALLING, auto_exposure),
    "automatic white balance": Batch(PLAIN, auto_white),
    "automatic white, stain only where covered": Batch(PLAIN, auto_white, (0.0,) * 6),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--only", default="", help="batches whose name holds this")
    arguments = parser.parse_args()
    for name, batch in BATCHES.items():
        if arguments.only in name:
            print(name, flush=True)
            report(*taken(batch, arguments.seed))


def taken(batch: Batch, seed: int) -> tuple[list[Image], list[Image]]:
    """Images with gaps, the controls first, and covered ones."""
    with_gaps = [
        photographed(batch, dish(batch, share, count, gap), seed, number)
        for number, (share, (count, gap)) in enumerate(zip(batch.stained, GAPS, strict=True))
    ]
    covered = [
        image
        for number, share in enumerate(COVERED)
        for image in with_and_without_slits(
            photographed(batch, full_dish(batch, share), seed, 50 + number)
        )
    ]
    return with_gaps, covered


def dish(batch: Batch, stained: float, count: int, gap_um: float) -> Simulation:
    """A culture with gaps."""
    nuclei = replace(batch.simulation.nuclei, count=count, min_gap_um=gap_um)
    return replace(batch.simulation, nuclei=nuclei, stained_fraction=stained)


def full_dish(batch: Batch, stained: float) -> Simulation:
    """A culture without any."""
    nuclei = replace(batch.simulation.nuclei, count=110, min_gap_um=10.0)
    cells = replace(batch.simulation.cells, body_um=110.0)
    return replace(batch.simulation, nuclei=nuclei, cells=cells, stained_fraction=stained)


def photographed(batch: Batch, scene: Simulation, seed: int, number: int) -> Image:
    """Take one image, with a camera that has seen it."""
    own, camera = 1000 * seed + number, replace(scene, light_seed=seed)
    if batch.exposed is not fixed:
        seen = simulate_beta_gal(replace(camera, jpeg_quality=None), own)
        camera = batch.exposed(camera, seen, np.random.default_rng(own))
    field = simulate_beta_gal(camera, own)
    labels, truth = field.labels["cells"], field.truth["cells"]
    lit = shaded(camera.scene, camera.camera, own)[..., None]
    return Image(
        field.channels["rgb"],
        (lit * camera.white_level * np.asarray(camera.white_balance)).astype(np.float32),
        labels,
        np.asarray(truth["label"]),
        np.asarray(truth["stained"], dtype=bool),
        np.asarray(truth["mean_od"]),
        field.expected["stain_od"],
    )


def with_and_without_slits(image: Image) -> tuple[Image, Image]:
    """An image as it is, and with all that no cell has given to the nearest."""
    nearest = ndimage.distance_transform_edt(image.labels == 0, return_indices=True)[1]
    labels = image.labels[tuple(nearest)]
    amount = ndimage.mean(image.stain, labels, image.ids)
    return image, replace(image, labels=labels, amount=np.asarray(amount))


def around(image: Image) -> tuple[Regions, BackgroundPixels]:
    """Cells as they are, and the background about them."""
    cells = Regions.of(image.labels, image.ids)
    settings = replace(SETTINGS.background, gap=GAP_PX)
    return cells, background_pixels(image.labels, cells.ids, settings)


def mean_od(image: Image, blank: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
    """`beta_gal_mean_od` of an image's cells."""
    measured = measure_beta_gal(image.rgb, *around(image), SETTINGS, blank=blank).cells
    return next(v for c, v in measured.items() if c.name == "beta_gal_mean_od")


def light(image: Image) -> Light:
    """Light that an image's background tells."""
    return told_light(image.rgb, around(image)[1].field, SETTINGS.light)


def report(with_gaps: Sequence[Image], covered: Sequence[Image]) -> None:
    """Print what each way of light finds in the covered images."""
    controls = [mean_od(image) for image in with_gaps[:3]]
    units = np.repeat(np.arange(3), [score.size for score in controls])
    gate = control_percentile(np.concatenate(controls), seed=0, units=units)
    shared = shared_light([light(image) for image in with_gaps], SETTINGS.light, X_GAL, NEUTRAL)
    lent = empty_field(shared.light, SETTINGS.light)
    lowest = min(least_stained(mean_od(image)) for image in with_gaps)
    print(f"  light {shared.apart:.4f} apart; least stained cells {lowest:+.4f}")
    for image in covered:
        outside, own = around(image)[1].field, mean_od(image)
        borrowed = mean_od(image, lent)
        reasons = {
            "slits": shows_light(outside),
            "apart": shared.apart > MOST_APART,
            "below": least_stained(borrowed) < lowest - MOST_BELOW,
        }
        refused = ", ".join(why for why, holds in reasons.items() if holds)
        ways = {
            "own": own,
            f"borrowed ({refused})" if refused else "borrowed": borrowed,
            "blank": mean_od(image, image.empty),
        }
        print(f"  {image.stained.mean():4.0%} stained, {outside.mean():.2%} background", end="")
        for name, score in ways.items():
            print(f" | {name} {compared(image, score, gate)}", end="")
        print(flush=True)


def compared(image: Image, score: NDArray[np.float64], gate: Gate) -> str:
    """Positive share, unstained cells' error and stained cells' stain against the truth."""
    stained = image.stained
    share = corrected_fraction(float(np.nanmean(score > gate.threshold)), gate.alpha)
    error = np.nanmedian((score - image.amount)[~stained])
    found = np.nansum(score[stained]) / np.sum(image.amount[stained]) if stained.any() else np.nan
    return f"{share - stained.mean():+6.1%} {error:+.4f} {found:4.0%}"


def least_stained(score: NDArray[np.float64]) -> float:
    """5th percentile of cells."""
    return float(np.nanpercentile(score, LOWEST_CELLS))


if __name__ == "__main__":
    main()
