"""Labels of the block path against the same lattice run as one image, and against other tiles.

    python -m tests.benchmarks.seams --side 4096

The slide is a mosaic of real nuclei. Objects are compared one by one: the share whose best
intersection over union with an object of the other run is below 0.99. Those on the seams, cut by
the border of a core, are scored apart, and any that differ are named; `stock` is the network on
the tiles that Cellpose cuts.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from pipelines.images import Field, open_field
from pipelines.simulate.slide import MosaicSettings, write_slide
from pipelines.slide.cluster import here, open_cluster
from pipelines.slide.job import SlideJob, SlideSettings
from pipelines.slide.segmenting import plan_slide, segment_slide
from pipelines.study.compute import Compute
from segmentation.slides.grid import blocks

Labels = NDArray[np.uint32]


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        image, truth = folder / "slide.ome.tif", folder / "truth.tif"
        shape = (arguments.side, arguments.side)
        write_slide(image, truth, MosaicSettings(shape, arguments.diameter), 0, 0.25)
        field = open_field("s", {"d": image}, {"d": 0}, pixel_size_um=None, z="none")
        whole_px = -(-arguments.side // 2048) * 2048
        whole, job = _segmented(field, arguments.diameter, whole_px, 0, folder / "whole")
        runs = []
        for side in arguments.blocks:
            for workers in arguments.workers:
                name = folder / f"{side}-{workers}"
                labels, _ = _segmented(field, arguments.diameter, side, workers, name)
                seams = [block.core for block in blocks(shape, side, 0)]
                scored = _compared(whole, labels, {(c.top, c.left) for c in seams} - {(0, 0)})
                runs.append({"block_px": side, "workers": workers, **scored})
                print(runs[-1])
        worst = max(runs, key=lambda run: run["share_iou_below_099"])
        result = {
            "side": arguments.side,
            "objects_whole": int(whole.max()),
            "objects_blocks": worst["objects"],
            "share_iou_below_099": worst["share_iou_below_099"],
            "identical": all(run["identical"] for run in runs),
            "runs": runs,
            "truth": _compared(tifffile.imread(truth), whole, set(), 0.75),
        }
        if arguments.stock:
            result["stock"] = _stock(field, arguments.diameter, job, whole)
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--blocks", type=numbers, default=[1024, 2048])
    parser.add_argument("--workers", type=numbers, default=[2])
    parser.add_argument("--diameter", type=float, default=30.0)
    parser.add_argument("--stock", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def _segmented(
    field: Field, diameter: float, block: int, workers: int, work: Path
) -> tuple[Labels, SlideJob]:
    """Labels by blocks of a side; with 0 workers in this process."""
    settings = SlideSettings("d", "compact", diameter, precision="float32", block_px=block)
    job = plan_slide(field, settings, work, "")
    start = time.perf_counter()
    if workers:
        with open_cluster(Compute(), workers) as each:
            n = segment_slide(job, each)
    else:
        n = segment_slide(job, here)
    seconds = time.perf_counter() - start
    print(f"blocks of {block} px, {workers} workers: {n} objects in {seconds:.0f} s")
    labels: Labels = np.asarray(zarr.open_array(job.store / "labels/nuclei/0", mode="r")[...])
    return labels, job


def _compared(
    first: Labels, second: Labels, corners: set[tuple[int, int]], level: float = 0.99
) -> dict[str, object]:
    """How many objects of the first have no object of the second of that IoU, on seams and off."""
    best = _best_iou(first, second)
    present = np.bincount(first.ravel(), minlength=best.size)[1:] > 0
    below = (best[1:] < level) & present
    seam = np.zeros(best.size, bool)
    for top, left in corners:
        for one, other in ((first[top - 1], first[top]), (first[:, left - 1], first[:, left])):
            seam[np.unique(one[one == other])] = True
    seam = seam[1:] & present
    key = f"{level:g}".replace(".", "")
    return {
        "objects": int(np.unique(second[second > 0]).size),
        f"share_iou_below_{key}": float(below.sum() / max(present.sum(), 1)),
        "seam_objects": int(seam.sum()),
        f"seam_share_iou_below_{key}": float((below & seam).sum() / max(seam.sum(), 1)),
        "seam_ids_below": (1 + np.flatnonzero(below & seam)).tolist()[:50],
        "identical": bool(np.array_equal(first, second)),
    }


def _best_iou(first: Labels, second: Labels) -> NDArray[np.float64]:
    """Largest IoU of each id of the first with any object of the second."""
    n = int(second.max()) + 1
    pairs, shared = np.unique(
        first.ravel().astype(np.int64) * n + second.ravel(), return_counts=True
    )
    one, two = np.divmod(pairs, n)
    areas = np.bincount(first.ravel()), np.bincount(second.ravel())
    both = (one > 0) & (two > 0)
    one, two, shared = one[both], two[both], shared[both]
    best = np.zeros(int(first.max()) + 1)
    np.maximum.at(best, one, shared / (areas[0][one] + areas[1][two] - shared))
    return best


def _stock(field: Field, diameter: float, job: SlideJob, whole: Labels) -> dict[str, object]:
    """Cellpose's own tiling of the whole image, with the same grey range and dynamics."""
    from segmentation.dynamics import STEPS, masks_of
    from segmentation.models import load_model
    from segmentation.slides.block import scale_of

    assert job.grey_range is not None
    (low, high), scale = job.grey_range, scale_of(diameter)
    scaled = (field.plane("d").astype(np.float32) - low) / (high - low)
    model = load_model("compact", gpu=None, precision="float32")
    flows, logit, _ = model.cellpose._run_net(scaled[np.newaxis, ..., np.newaxis], rescale=scale)
    labels = masks_of(flows[:, 0], logit[0], steps=int(STEPS / scale), max_size_px=np.inf)
    return _compared(labels, whole, set())


if __name__ == "__main__":
    main()
