"""Segmentation of fluorescent nuclei by the compact model, against annotated truth.

Two sets:

* nuclei_dsb2018, fluorescence (BBBC038, CC0): images that the shipped model was trained on are
  among them, so this is a check of the code path and of a build, not of the model. Many images
  are tiles of one field, so images are clustered by size and by grey-value and texture statistics,
  and whole clusters are held out, never single tiles.
* nuclei_stardist_sample (BSD-3): one field from another laboratory, never trained on.

Some fields of the challenge have debris of a fiftieth of a nucleus annotated as nuclei, which the
model leaves out: `ap50_without_fragments` scores what is left when objects under a tenth of the
median nucleus are taken off truth and labels alike.

The diameter given is the median of the truth's: what a user reads off one image. Run as

    python -m tests.benchmarks.segmentation [--data DIR] [--limit N] [--precision float32]
"""

import argparse
import csv
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile
from scipy.cluster.hierarchy import fcluster, linkage

from segmentation.masks import segment
from segmentation.models import Model, load_model
from segmentation.scores import Score, pooled, score

SHARED = Path(__file__).parents[3] / "shared" / "data"
THRESHOLDS = (0.5, 0.75)
HELD_OUT = 0.2
FRAGMENT = 0.1
# Within one size, images nearer than this in standardised statistics count as one field.
CLUSTER_DISTANCE = 0.5


@dataclass(frozen=True)
class Sample:
    """A grey image (y, x), its truth (y, x) and where it comes from."""

    image: np.ndarray
    truth: np.ndarray


def main() -> None:
    options = _options()
    model = load_model("compact", precision=options.precision)
    print(f"compact {model.sha256[:12]} in {model.precision} on {model.device}")
    started = time.perf_counter()
    challenge = held_out(options.data / "nuclei_dsb2018", options.limit)
    print(f"nuclei_dsb2018: {len(challenge)} fluorescence images of held-out clusters")
    of_challenge, without_fragments = scored(challenge, model)
    field = stardist_field(options.data / "nuclei_stardist_sample")
    of_field, _ = scored([field], model)
    figures = {
        **_figures(of_challenge),
        "ap50_without_fragments": _mean([one[0] for one in without_fragments]),
        "images": len(challenge),
        "nuclei": sum(_count(sample.truth) for sample in challenge),
        **{f"stardist_{name}": value for name, value in _figures(of_field).items()},
        "stardist_nuclei": _count(field.truth),
        "precision": model.precision,
        "seconds": round(time.perf_counter() - started, 1),
    }
    for name, value in figures.items():
        print(f"  {name}: {value}")
    print(json.dumps(figures))


def held_out(folder: Path, limit: int | None) -> list[Sample]:
    """Images of a fifth of the clusters, spread evenly over the clusters in order of size."""
    with (folder / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["modality"] == "fluorescence"]
    images = [_grey(iio.imread(folder / "images" / f"{row['id']}.png")) for row in rows]
    clusters = _clusters(images)
    every = round(1 / HELD_OUT)
    chosen = sorted(i for cluster in clusters[every // 2 :: every] for i in cluster)
    print(f"nuclei_dsb2018: {len(images)} images in {len(clusters)} clusters")
    if limit is not None and limit < len(chosen):
        picked = np.linspace(0, len(chosen) - 1, limit).round().astype(int)
        chosen = [chosen[i] for i in picked]
    masks = folder / "masks"
    return [Sample(images[i], iio.imread(masks / f"{rows[i]['id']}.png")) for i in chosen]


def stardist_field(folder: Path) -> Sample:
    return Sample(
        tifffile.imread(folder / "img2d.tif"),
        tifffile.imread(folder / "mask2d.tif").astype(np.int64),
    )


def scored(
    samples: list[Sample], model: Model
) -> tuple[list[tuple[Score, ...]], list[tuple[Score, ...]]]:
    """Scores of every image, and the same without fragments."""
    found, whole = [], []
    for sample in samples:
        labels = segment(sample.image, model, _median_diameter(sample.truth))
        found.append(score(sample.truth, labels, THRESHOLDS))
        smallest = FRAGMENT * np.pi / 4 * _median_diameter(sample.truth) ** 2
        kept = [_without_small(image, smallest) for image in (sample.truth, labels)]
        whole.append(score(*kept, THRESHOLDS))
    return found, whole


def _without_small(labels: np.ndarray, smallest: float) -> np.ndarray:
    ids, areas = np.unique(labels, return_counts=True)
    return np.where(np.isin(labels, ids[areas < smallest]), 0, labels)


def _figures(scores: list[tuple[Score, ...]]) -> dict[str, float]:
    """Means over images, as the field reports them, and counts pooled over all nuclei."""
    half, strict = ([one[i] for one in scores] for i in range(len(THRESHOLDS)))
    return {
        "ap50": _mean(half),
        "ap75": _mean(strict),
        "f1": round(pooled(half).f1, 4),
        "pooled_ap50": round(pooled(half).average_precision, 4),
        "pooled_ap75": round(pooled(strict).average_precision, 4),
    }


def _mean(scores: list[Score]) -> float:
    return round(float(np.mean([one.average_precision for one in scores])), 4)


def _clusters(images: list[np.ndarray]) -> list[list[int]]:
    """Group images that may show one field: same size, alike in grey values and texture."""
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, image in enumerate(images):
        by_size[image.shape].append(i)
    statistics = np.array([_statistics(image) for image in images])
    statistics = (statistics - statistics.mean(0)) / statistics.std(0)
    clusters: list[list[int]] = []
    for _, members in sorted(by_size.items()):
        if len(members) == 1:
            clusters.append(members)
            continue
        tree = linkage(statistics[members], "single")
        names = fcluster(tree, CLUSTER_DISTANCE, "distance")
        clusters += [[members[i] for i in np.flatnonzero(names == n)] for n in np.unique(names)]
    return sorted(clusters, key=len)


def _statistics(image: np.ndarray) -> list[float]:
    """Background, brightness and graininess: what an exposure has in common, not its nuclei."""
    grey = image.astype(float)
    steps = np.abs(np.diff(grey, axis=1))
    values = [*np.percentile(grey, [1, 25, 50, 99]), np.median(steps), steps.mean(), grey.std()]
    return [float(np.log1p(value)) for value in values]


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image[..., :3].astype(float).mean(axis=2)


def _median_diameter(truth: np.ndarray) -> float:
    _, areas = np.unique(truth[truth > 0], return_counts=True)
    return float(np.median(np.sqrt(areas * 4 / np.pi)))


def _count(truth: np.ndarray) -> int:
    return np.unique(truth[truth > 0]).size


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the shared data")
    parser.add_argument("--limit", type=int, help="score this many images, spread over the set")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
