"""Training of the compact network: held-out scores, and what fine-tuning brings.

Images of nuclei_dsb2018 are tiles of larger fields: tiles whose edges continue each other are one
field, fields stay whole, and of every size of image a fifth is held out, largest fields first. Of
cells_usiigaci and the brightfield sets a fifth is held out likewise.

A training takes minutes on a GPU and a day on a laptop, so by default this prints the figures that
were measured when the shipped weights were trained (segmentation/weights/compact.json) and scores
the shipped weights on the same held-out images, which they have since learned from. With --retrain
all is trained and scored anew; with --learn, from a few images of each kind, to see it run. What
the scores can reach is shown by the truth itself, its outlines moved by one pixel:

    python -m tests.benchmarks.training [--data DIR] [--limit N]
        [--retrain [--steps N] [--batch N] [--learn N]]
"""

import argparse
import csv
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from scipy.ndimage import generate_binary_structure, maximum_filter, minimum_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.segmentation import expand_labels

from segmentation.masks import segment
from segmentation.models import Model, load_model
from segmentation.network import CompactNet
from segmentation.scores import score
from segmentation.training.batches import make_pool
from segmentation.training.loop import Moment, Settings, train
from segmentation.training.networks import Trainable, as_model, new_network
from segmentation.training.samples import Sample as Learned
from segmentation.training.samples import make_sample, median_diameter, with_diameters

SHARED = Path(__file__).parents[3] / "shared" / "data"
RECORDED = Path(__file__).parents[2] / "segmentation" / "weights" / "compact.json"
HELD_OUT = 0.2
# Edges of tiles correlate above this where one continues the other.
SEAM = 0.95
# How often images of a kind are drawn, against fluorescence.
WEIGHTS = {"fluorescence": 1.0, "colour_brightfield": 0.4, "gray_bright_bg": 1.0, "phase": 1.5}
# These two fields of cells_usiigaci overlap.
OVERLAPPING = ("set23", "set40")
FINE_TUNED_ON = 10


@dataclass(frozen=True)
class Sample:
    """A grey image (y, x), its truth (y, x), and what it shows."""

    name: str
    kind: str
    image: np.ndarray
    truth: np.ndarray


def main() -> None:
    options = _options()
    samples = read_all(options.data)
    held = held_out(samples)
    print(f"{len(samples)} images, {sum(held)} of them held out")
    unseen = [s for s, out in zip(samples, held, strict=True) if out]
    known = _spread([s for s, out in zip(samples, held, strict=True) if not out], options.learn)
    figures = json.loads(RECORDED.read_text())["figures"]
    if options.retrain:
        figures |= retrained(known, unseen, options)
    shipped = load_model("compact")
    nuclei = [s for s in unseen if s.kind == "fluorescence"]
    picked = np.linspace(0, len(nuclei) - 1, min(options.limit, len(nuclei))).round().astype(int)
    print(f"shipped weights on {len(picked)} fluorescence images, learned from since")
    ap50, ap75 = mean_scores([nuclei[i] for i in picked], lambda _: shipped)
    figures |= {"shipped_seen_ap50": ap50, "shipped_seen_ap75": ap75, "images": len(picked)}
    figures |= moved_outlines([s.truth for s in nuclei if s.truth.any()])
    figures["retrained_here"] = options.retrain
    for name, value in figures.items():
        print(f"  {name}: {value}")
    print(json.dumps(figures))


def read_all(folder: Path) -> list[Sample]:
    nuclei, cells = folder / "nuclei_dsb2018", folder / "cells_usiigaci"
    with (nuclei / "index.csv").open() as file:
        named = [(nuclei, row["id"], row["modality"]) for row in csv.DictReader(file)]
    named += [(cells, path.stem, "phase") for path in sorted((cells / "images").glob("*.png"))]
    return [
        Sample(
            name,
            kind,
            _grey(iio.imread(where / "images" / f"{name}.png")),
            iio.imread(where / "masks" / f"{name}.png").astype(np.int32),
        )
        for where, name, kind in named
    ]


def held_out(samples: list[Sample]) -> list[bool]:
    """Of every kind and size of image, whole fields up to a fifth of them, large ones first."""
    field = fields(samples)
    held = [False] * len(samples)
    for members in _alike(samples).values():
        by_field = defaultdict(list)
        for i in members:
            by_field[field[i]].append(i)
        out = 0
        for tiles in sorted(by_field.values(), key=lambda tiles: (-len(tiles), tiles[0])):
            if out + len(tiles) <= HELD_OUT * len(members) + 0.5:
                out += len(tiles)
                for i in tiles:
                    held[i] = True
    return held


def fields(samples: list[Sample]) -> np.ndarray:
    """Number the fields: tiles are joined where an edge of one continues in another."""
    joined = [
        [i for i, sample in enumerate(samples) if sample.name in OVERLAPPING],
    ]
    for members in _alike(samples).values():
        images = [samples[i].image for i in members]
        for end, start in ((np.s_[:, -1], np.s_[:, 0]), (np.s_[-1], np.s_[0])):
            ends, starts = (_standardised([im[at] for im in images]) for at in (end, start))
            for a, b in np.argwhere(ends @ starts.T > SEAM):
                joined.append([members[a], members[b]])
    pairs = np.array([pair for pair in joined if len(pair) == 2])
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(samples), len(samples)))
    return connected_components(graph, directed=False)[1]


def retrained(
    known: list[Sample], unseen: list[Sample], options: argparse.Namespace
) -> dict[str, float]:
    """Train on the images that are not held out, with and without phase contrast; score both."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = Settings(
        steps=options.steps,
        batch=options.batch,
        learning_rate=2e-3,
        warm_up=min(300, options.steps // 10),
        average=0.999 if options.steps > 2000 else 0.99,
        round_steps=max(1, options.steps // 10),
        patience=None,
    )
    nuclei = [s for s in unseen if s.kind == "fluorescence"][: options.limit]
    cells = [s for s in unseen if s.kind == "phase"][: options.limit]
    ready = {s.name: make_sample(s.name, s.image, s.truth) for s in known}
    whole = _trained(known, ready, settings, device)
    ap50, ap75 = mean_scores(nuclei, whole)
    found = {"ap50": ap50, "ap75": ap75}
    print(f"trained on the split: {found}", flush=True)  # the rest takes half as long again
    without = [s for s in known if s.kind != "phase"]
    first = replace(settings, steps=max(1, settings.steps * 2 // 7))
    start = new_network(0, device)
    before = _trained(without, ready, first, device, start)
    found |= {"fine_tune_before": mean_scores(cells, before)[0]}
    few = [s for s in known if s.kind == "phase"][::3][:FINE_TUNED_ON]
    tuning = Settings(
        steps=max(1, first.steps * 3 // 20),
        batch=min(8, options.batch),
        round_steps=50,
        patience=None,
        seed=1,
    )
    after = _trained(few, ready, tuning, device, start)
    return {**found, "fine_tune_after": mean_scores(cells, after)[0]}


def moved_outlines(truths: list[np.ndarray]) -> dict[str, float]:
    """AP at 0.75 of true nuclei, all drawn one pixel larger, smaller, or either by chance."""
    rng = np.random.default_rng(0)
    cross = generate_binary_structure(2, 1)
    found = []
    for truth in truths:
        larger = expand_labels(truth, 1)
        low, high = (f(truth, footprint=cross) for f in (minimum_filter, maximum_filter))
        smaller = np.where(low == high, truth, 0)
        grown = rng.random(truth.max() + 1) < 0.5
        either = np.where(grown[larger], larger, np.where(grown[truth], 0, smaller))
        drawn = (larger, smaller, either)
        found.append([score(truth, labels)[1].average_precision for labels in drawn])
    names = ("truth_1px_larger_ap75", "truth_1px_smaller_ap75", "truth_1px_either_ap75")
    return dict(zip(names, np.mean(found, axis=0).round(4).tolist(), strict=True))


def mean_scores(samples: list[Sample], model_for: Callable[[Sample], Model]) -> tuple[float, float]:
    """Mean over images of AP at 0.5 and 0.75, the truth's median diameter given."""
    found = [
        score(s.truth, segment(s.image, model_for(s), median_diameter(s.truth)))
        for s in samples
        if s.truth.any()
    ]
    means = np.mean([[one.average_precision for one in scores] for scores in found], axis=0)
    return round(float(means[0]), 4), round(float(means[1]), 4)


def _trained(
    samples: list[Sample],
    ready: dict[str, Learned],
    settings: Settings,
    device: torch.device,
    start: Trainable | None = None,
) -> Callable[[Sample], Model]:
    """Train `start`, or a new network, in place; returns the model for any image."""
    learned = with_diameters([ready[s.name] for s in samples])
    pool = make_pool(learned, device, [WEIGHTS[s.kind] for s in samples])
    trainable = start or new_network(0, device)
    done = train(
        trainable.network,
        pool,
        settings,
        report=partial(_print_round, time.perf_counter()),
        reduced=device.type == "cuda",
    )
    trainable.network.load_state_dict(done.best)
    network = CompactNet().to(device)
    network.load_state_dict(done.best)
    model = as_model(trainable, network, device)
    return lambda _: model


def _print_round(begun: float, moment: Moment) -> None:
    if moment.latest:
        seconds = time.perf_counter() - begun
        print(f"  step {moment.step}: loss {moment.latest.loss:.3f}, {seconds:.0f} s", flush=True)


def _spread(samples: list[Sample], at_most: int | None) -> list[Sample]:
    """At most so many samples of each kind, spread over all of them."""
    if at_most is None:
        return samples
    kinds = {kind: [s for s in samples if s.kind == kind] for kind in WEIGHTS}
    return [s for alike in kinds.values() for s in alike[:: -(-len(alike) // at_most)]]


def _alike(samples: list[Sample]) -> dict[tuple, list[int]]:
    groups = defaultdict(list)
    for i, sample in enumerate(samples):
        groups[sample.kind, sample.image.shape].append(i)
    return groups


def _standardised(edges: list[np.ndarray]) -> np.ndarray:
    values = np.array(edges, float)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else np.round(image[..., :3].astype(float).mean(axis=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the shared data")
    parser.add_argument("--limit", type=int, default=20, help="score this many images of a kind")
    parser.add_argument("--retrain", action="store_true", help="train and score anew")
    parser.add_argument("--steps", type=int, default=7000, help="of the training on the split")
    parser.add_argument("--batch", type=int, default=32, help="crops in a batch")
    parser.add_argument("--learn", type=int, help="learn from this many images of a kind at most")
    return parser.parse_args()


if __name__ == "__main__":
    main()
