"""From flows to masks: time and masks beside Cellpose's own, from the same flows on the CPU.

    python -m tests.benchmarks.masks --side 2048

A mosaic of real nuclei, 16 px across and some 6,000 at a side of 2048 px, is run through the
shipped network once. Its flows become masks by `cellpose.dynamics`, as installed and with the flow
check on, and by ours at the same settings. `ap90_against_stock` is the average precision of our
masks at an IoU of 0.9, Cellpose's being the truth; `ap90_truth` and `ap90_truth_stock` are those of
ours and of Cellpose's against the pasted nuclei. Cellpose reads flows up to half a pixel beside the
walker (`tests.segmentation.stock`): `ap90_against_corrected` is against Cellpose that reads at
the place itself.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.simulate.slide import MosaicSettings, region
from segmentation.dynamics import masks_of
from segmentation.engine import models
from segmentation.inference import predict
from segmentation.models import load_model
from segmentation.scores import score
from tests.segmentation.stock import reading_at_the_place

DIAMETER_PX = 16.0
SCALE = 30 / DIAMETER_PX
STEPS = int(200 / SCALE)

Result = TypeVar("Result")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=2, help="of which the fastest counts")
    options = parser.parse_args()
    settings = MosaicSettings((options.side, options.side), DIAMETER_PX, filled=1.0)
    image, truth = region(settings, 0, 0, 0, settings.shape)
    model = load_model("compact", gpu=False)
    low, high = np.percentile(image, (1, 99))
    scaled = ((image - low) / (high - low)).astype(np.float32)
    predicted, network_s = timed(lambda: predict(scaled, model, SCALE), 1)
    flows, logit = predicted.flow, predicted.logit
    ours, ours_s = timed(lambda: masks_of(flows, logit, steps=STEPS), options.repeats)
    stock, stock_s = timed(lambda: stock_masks(flows, logit), options.repeats)
    with reading_at_the_place():
        corrected = stock_masks(flows, logit)
    print(f"{truth.max()} squares, {ours.max()} masks, {model.precision}, {STEPS} steps")
    print(f"network {network_s:.1f} s, masks {ours_s:.1f} s, Cellpose's {stock_s:.1f} s")
    result = {
        "side": options.side,
        "threads": torch.get_num_threads(),
        "cells": int(ours.max()),
        "cells_stock": int(stock.max()),
        "network_s": round(network_s, 2),
        "masks_s": round(ours_s, 2),
        "stock_masks_s": round(stock_s, 2),
        "share_in_masks": round(ours_s / (network_s + ours_s), 3),
        "share_in_masks_stock": round(stock_s / (network_s + stock_s), 3),
        "ap90_truth": ap90(truth, ours),
        "ap90_truth_stock": ap90(truth, stock),
        "ap90_against_corrected": ap90(corrected, ours),
        "speedup": round(stock_s / ours_s, 2),
        "ap90_against_stock": ap90(stock, ours),
    }
    print(json.dumps(result))


def timed(run: Callable[[], Result], repeats: int) -> tuple[Result, float]:
    """What comes out, and the fewest seconds that it took."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - started)
    return result, min(seconds)


def stock_masks(
    flows: NDArray[np.float32], logit: NDArray[np.float32]
) -> NDArray[np.unsignedinteger]:
    """Masks as Cellpose's `eval` makes them."""
    masks: NDArray[np.unsignedinteger] = models.dynamics.resize_and_compute_masks(
        flows, logit, niter=STEPS, flow_threshold=0.4, min_size=15, device=torch.device("cpu")
    )
    return masks


def ap90(truth: NDArray[np.unsignedinteger], found: NDArray[np.unsignedinteger]) -> float:
    return round(score(truth, found, (0.9,))[0].average_precision, 4)


if __name__ == "__main__":
    main()
