"""RNA spots and clusters on simulated fields: ``python -m tests.benchmarks.spots [--fields N]``.

Fields come from `pipelines.simulate.rna`: cells with an uneven cytoplasm, haze, uneven light and
camera noise. The signal-to-noise ratio of a molecule is its height over the SD of background and
noise within 1.5 µm. A detection is right when it lies within 2 px (0.33 µm) of a molecule, one to
one. "alike" are molecules in focus with the same light, 0.8 µm apart or more; "as they come" have
light that varies by 30 %, lie up to 0.3 µm out of focus and as near to each other as chance puts
them. Clusters have 2 to 30 molecules within some 0.35 µm (SD); what lies within 9 px of their
middle is compared. U-FISH runs with its own threshold; skimage's `blob_log` with the one that is
best on other seeds. With `--data`, real RNAscope fields (rnascope_retina, MIT; no truth) are
measured too: their statistics are printed beside simulated ones, and pictures with the spots found
are written to `--pictures`. The last line is one JSON object.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from skimage.feature import blob_log

from measurements.errors import MeasurementError
from measurements.foci_ufish import find_foci_ufish
from measurements.regions import Regions
from measurements.spots.detection import Spots, find_spots, is_autofluorescent
from measurements.spots.molecules import count_molecules, single_intensity
from measurements.spots.settings import SpotSettings, UnusedChannel
from pipelines.simulate.rna import RnaSettings, simulate_rna, spot_sigma_px
from pipelines.simulate.scene import Simulated
from tests.benchmarks.foci_fields import matches

Places = NDArray[np.float64]
Image = NDArray[np.generic]
DEFAULT_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
BASE = RnaSettings()
SIGMA = spot_sigma_px(BASE)
SETTINGS = SpotSettings(sigma=SIGMA)
REAL = SpotSettings(sigma=2.0)
REACH, AROUND = 2.0, 9.0
SIZES = (2, 3, 5, 10, 20, 30)
GRID = (0.02, 0.03, 0.045, 0.07, 0.1, 0.15)
TUNING_SEED, TEST_SEED = 0, 100


def field(seed: int, snr: float, granules: float = 0.0, **molecules: object) -> Simulated:
    chosen = replace(BASE.molecules, snr=snr, **molecules)
    shine = replace(BASE.granules, count_mean=granules)
    return simulate_rna(replace(BASE, molecules=chosen, granules=shine), seed)


def alike(seed: int, snr: float) -> Simulated:
    return field(seed, snr, brightness_cv=0, depth_um=0, min_spacing_um=0.8, clusters_mean=0)


def as_they_come(seed: int, snr: float) -> Simulated:
    return field(seed, snr, clusters_mean=0)


def truth(simulated: Simulated) -> Places:
    return np.column_stack([simulated.truth["molecules"][c] for c in "yx"]).astype(float)


def senescope(image: Image) -> Places:
    return find_spots(image, SETTINGS).places


def ufish(image: Image) -> Places:
    return find_foci_ufish(image, Regions.of(np.ones(image.shape, dtype=np.uint8)))[0]


def blob_log_at(threshold: float) -> Callable[[Image], Places]:
    def detect(image: Image) -> Places:
        low, high = np.percentile(image, (1, 99.9))
        scaled = (image.astype(float) - low) / (high - low)
        found: Places = blob_log(
            scaled, min_sigma=0.8 * SIGMA, max_sigma=1.4 * SIGMA, num_sigma=3, threshold=threshold
        )[:, :2]
        return found

    return detect


def f1(detect: Callable[[Image], Places], fields: list[Simulated]) -> float:
    true, found = [truth(f) for f in fields], [detect(f.channels["rna"]) for f in fields]
    right = sum(matches(t, p, REACH) for t, p in zip(true, found, strict=True))
    return 2 * right / max(sum(map(len, true)) + sum(map(len, found)), 1)


def detectors() -> dict[str, Callable[[Image], Places]]:
    tuning = [alike(TUNING_SEED, 5), as_they_come(TUNING_SEED, 5)]
    best = max(GRID, key=lambda t: f1(blob_log_at(t), tuning))
    chosen = {"senescope": senescope, "blob_log": blob_log_at(best)}
    try:
        ufish(np.ones((64, 64), dtype=np.uint8))
    except MeasurementError as error:
        print(error)
    else:
        chosen["ufish"] = ufish
    return chosen


def singles(n_fields: int) -> dict[str, float]:
    """Print F1 by ratio; return that at 5 of each detector, alike molecules."""
    chosen = detectors()
    print(f"F1 by signal-to-noise ratio\n{'':14}{'ratio':>6}" + "".join(f"{n:>12}" for n in chosen))
    at_five: dict[str, float] = {}
    for name, make in (("alike", alike), ("as they come", as_they_come)):
        for snr in (3, 5, 8):
            fields = [make(TEST_SEED + seed, snr) for seed in range(n_fields)]
            scores = {n: f1(detect, fields) for n, detect in chosen.items()}
            print(f"{name:14}{snr:>6}" + "".join(f"{s:>12.3f}" for s in scores.values()))
            if (name, snr) == ("alike", 5):
                at_five = scores
    return at_five


def counted(simulated: Simulated) -> tuple[Spots, NDArray[np.bool_], NDArray[np.float64]]:
    spots = find_spots(simulated.channels["rna"], SETTINGS)
    rejected = is_autofluorescent(spots, simulated.channels["blank"], SETTINGS, UnusedChannel())
    kept = ~rejected
    single = single_intensity(spots.integrated[kept & spots.isolated])
    molecules = np.zeros(kept.size)
    molecules[kept] = count_molecules(spots.integrated[kept], spots.clump[kept], single)
    return spots, rejected, molecules


def clusters(n_fields: int, snr: float) -> dict[int, float]:
    """Print and return the relative error of the sum over all clusters of each size."""
    print(f"\nclusters at ratio {snr:g}: molecules, counted / true over all, median error of one")
    errors = {}
    for size in SIZES:
        pairs = []
        for seed in range(n_fields):
            simulated = field(TEST_SEED + seed, snr, 1.0, clusters_mean=0.7,
                              cluster_size=(size, size))  # fmt: skip
            spots, _, molecules = counted(simulated)
            true, cluster = truth(simulated), simulated.truth["molecules"]["cluster"]
            for number in np.unique(cluster[cluster >= 0]):
                middle = true[cluster == number].mean(axis=0)
                near = np.hypot(*(spots.places - middle).T) < AROUND
                pairs.append((np.sum(np.hypot(*(true - middle).T) < AROUND), molecules[near].sum()))
        known, found = np.array(pairs, dtype=float).T
        errors[size] = float(found.sum() / known.sum() - 1)
        each = np.median(np.abs(found / known - 1))
        print(f"{size:>4}{1 + errors[size]:>8.3f}{each:>8.3f}")
    return errors


def rejection(n_fields: int) -> dict[str, float]:
    """Shares of granules and of molecules that are rejected."""
    hit, granules, lost, molecules = 0, 0, 0, 0
    for seed in range(n_fields):
        simulated = field(TEST_SEED + seed, 10, 3.0, clusters_mean=0)
        spots, rejected, _ = counted(simulated)
        shine = np.column_stack([simulated.truth["granules"][c] for c in "yx"]).astype(float)
        to_granule = np.hypot(*(spots.places[:, None] - shine).transpose(2, 0, 1)).min(axis=1)
        to_molecule = np.hypot(*(spots.places[:, None] - truth(simulated)).transpose(2, 0, 1)).min(
            axis=1
        )
        of_granule = (to_granule < REACH) & (to_molecule > 2 * REACH)
        of_molecule = (to_molecule < REACH) & (to_granule > 2 * REACH)
        hit, granules = hit + int(rejected[of_granule].sum()), granules + int(of_granule.sum())
        lost, molecules = (
            lost + int(rejected[of_molecule].sum()),
            molecules + int(of_molecule.sum()),
        )
    print(f"\nrejected: {hit} of {granules} spots of granules, {lost} of {molecules} of molecules")
    return {"granules": hit / granules, "molecules": lost / molecules}


def look(name: str, image: Image, settings: SpotSettings, pictures: Path | None) -> None:
    """Print an image's statistics, and draw its spots."""
    spots = find_spots(image, settings)
    light = spots.integrated[spots.isolated]
    single = single_intensity(light)
    molecules = count_molecules(spots.integrated, spots.clump, single)
    spread = np.std(np.log(light[light > 0])) if light.size > 1 else np.nan
    percentiles = " ".join(f"{p:6.0f}" for p in np.percentile(image, (1, 50, 99, 99.9)))
    print(
        f"{name:18}{percentiles}{len(spots.places):>7}{spots.isolated.mean():>7.2f}"
        f"{np.median(spots.height):>8.1f}{spread:>7.2f}{single:>9.0f}{np.nansum(molecules):>9.0f}"
    )
    if pictures is not None:
        draw(pictures / f"{name}.png", image, spots, molecules)


def draw(path: Path, image: Image, spots: Spots, molecules: NDArray[np.float64]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 8))
    for axes, marked in zip(figure.subplots(1, 2), (False, True), strict=True):
        axes.imshow(image, cmap="gray", vmax=np.percentile(image, 99.8))
        axes.axis("off")
        if marked:
            y, x = spots.places.T
            axes.scatter(x, y, s=30 * np.nan_to_num(molecules, nan=1), facecolors="none",
                         edgecolors="orange", linewidths=0.7)  # fmt: skip
    figure.tight_layout()
    figure.savefig(path, dpi=60)


def real(folder: Path, pictures: Path | None) -> None:
    """The real fields, beside one simulated."""
    print("\nimage, grey values at 1, 50, 99, 99.9 %, spots, isolated, height, SD of log light of "
          "isolated ones, single, molecules")  # fmt: skip
    look("simulated", field(TEST_SEED, 10).channels["rna"], SETTINGS, pictures)
    for path in sorted(folder.glob("*.tif")):
        look(path.stem, tifffile.imread(path), REAL, pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    at_five = singles(arguments.fields)
    errors = {snr: clusters(arguments.fields, snr) for snr in (5.0, 10.0)}
    shares = rejection(arguments.fields)
    folder = arguments.data / "rnascope_retina" / "example_images"
    if folder.is_dir():
        real(folder, arguments.pictures)
    result = {
        "f1_snr5": round(at_five.pop("senescope"), 3),
        "cluster_error": {k: round(max(map(abs, e.values())), 3) for k, e in errors.items()},
        "peers": {name: round(score, 3) for name, score in at_five.items()},
        "rejected": {name: round(share, 3) for name, share in shares.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
