"""What the benchmarks of slides share: a slide on disk, a study of it, a run as a user types it."""

import subprocess
import sys
from pathlib import Path

from pipelines.simulate.slide import MosaicSettings, write_slide

STUDY = """study: slide
images: "{{slide}}.ome.tif"
channels: {{dapi: 0}}
segmentation:
  nuclei: {{channel: dapi, diameter_px: {diameter}}}
  cells: {{method: expand, distance_px: {distance}}}
measurements: [{{type: morphology}}, {{type: intensity, channel: dapi, compartments: [nucleus]}}]
compute: {{workers: {workers}, block_px: {block}, slide_above_px: 1000000, precision: float32}}
"""


def write_slide_study(
    folder: Path, side: int, diameter: float, workers: int, block: int, *, truth: bool = False
) -> Path:
    """A folder with one square slide of nuclei and its study; the slide is written once."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "slide.ome.tif"
    if not image.exists():
        settings = MosaicSettings((side, side), diameter)
        write_slide(image, folder / "truth.tif" if truth else None, settings, 0, 0.25)
    study = folder / "study.yaml"
    study.write_text(
        STUDY.format(diameter=diameter, distance=diameter / 5, workers=workers, block=block)
    )
    return study


def start_run(study: Path, output: Path) -> "subprocess.Popen[bytes]":
    """`senescope run` in a process of its own."""
    command = [sys.executable, "-m", "pipelines", "run", str(study), "--output", str(output)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
