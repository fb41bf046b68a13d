"""Runs whose segmentation is a threshold: everything else is the real thing, at 20 ms an image."""

import contextlib
import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import tifffile
from skimage.measure import label

from pipelines.field import Labels
from pipelines.run import image
from pipelines.run.layout import Layout
from pipelines.run.lock import only_run
from pipelines.run.steps import RunSummary, finish, prepare
from pipelines.run.task import ImageOutcome, ImageTask
from tests.studies import without_report, write_samples

STUDY = """
study: cheap
samples: samples.csv
channels: {dna: 0}
pixel_size_um: unknown
segmentation:
  nuclei: {channel: dna, diameter_px: 8}
  cells: {method: nuclei}
measurements:
  - {type: morphology}
"""
SIDE = 40


def write_cheap_study(folder: Path, images: int) -> Path:
    """Images of 40 x 40 px, each with three square nuclei of its own sizes."""
    (folder / "raw").mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(images):
        plane = rng.integers(0, 9, (SIDE, SIDE), dtype=np.uint8)
        for corner in (3, 15, 28):
            height, width = rng.integers(4, 9, 2)
            plane[corner : corner + height, corner : corner + width] = 200
        tifffile.imwrite(folder / "raw" / f"f{number:04d}.tif", plane)
    rows = [{"image": f"raw/f{i:04d}.tif", "donor": f"D{i % 2}"} for i in range(images)]
    write_samples(folder, rows)
    path = folder / "study.yaml"
    path.write_text(STUDY)
    return path


def cheap_work(task: ImageTask) -> ImageOutcome:
    """`process_image` with a threshold for its segmentation; picklable for workers."""
    # Taken back at once: other tests of this process segment for real.
    with mock.patch.object(image, "segment_field", _threshold):
        return image.process_image(task)


def run_cheap(
    study: Path, output: Path, work: Callable[[ImageTask], ImageOutcome] = cheap_work
) -> RunSummary:
    """A run in this process, but for its report."""
    with only_run(output), without_report():
        plan = prepare(study, output)
        return finish(plan, [work(task) for task in plan.tasks])


def start_run(study: Path, output: Path) -> multiprocessing.Process:
    """The same in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(study, output))
    process.start()
    return process


def tables(output: Path) -> dict[str, str]:
    """Hash of every table, and of the failures."""
    paths = [*sorted((output / "tables").iterdir()), Layout(output).failures]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def lost_and_doubled(output: Path, expected: Path) -> tuple[int, int]:
    """Cells of the undisturbed run that are not there, and cells that are there twice."""
    found, wanted = (_cells(folder) for folder in (output, expected))
    lost = sum((wanted - found).values())
    return lost, sum((found - wanted).values())


def _cells(output: Path) -> Counter[tuple[str, int]]:
    frame = pl.read_parquet(Layout(output).cells, columns=["image_id", "cell_id"])
    return Counter(frame.iter_rows())


def _run(study: Path, output: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        run_cheap(study, output)


def _threshold(pixels, *_) -> Labels:
    labels = label(np.asarray(pixels.planes["dna"]) > 100).astype(np.uint32)
    return Labels(labels, labels, None)
