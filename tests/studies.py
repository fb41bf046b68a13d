"""Small studies of real nuclei in a folder, and a run of them in this process."""

import csv
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest import mock

import tifffile

from pipelines.images import open_field
from pipelines.run.image import process_image
from pipelines.run.steps import RunSummary, finish, prepare

DEMO = Path(__file__).parent.parent / "pipelines" / "demo" / "data"

STUDY = """
study: small
samples: samples.csv
channels: {{dna: 0}}
pixel_size_um: {pixel_size}
segmentation:
  nuclei: {{channel: dna, diameter_px: 21}}
  cells: {{method: expand, distance_px: {distance}}}
measurements:
  - {{type: morphology}}
  - {{type: intensity, channel: dna, compartments: [nucleus, cytoplasm]}}
  - {{type: foci, channel: dna, sigma_px: 1.5, threshold: {threshold}}}
  - {{type: chromatin, channel: dna}}
{more}
"""


def write_study(
    folder: Path,
    *,
    images: int = 3,
    pixel_size: str = "unknown",
    distance: float = 4,
    threshold: float = 6,
    more: str = "",
) -> Path:
    """A study of crops of a real field, 96 x 96 px with some 10 nuclei each; two donors."""
    folder.mkdir(parents=True, exist_ok=True)
    source = DEMO / "nuclei" / "07fb37aafa66.png"
    field = open_field("f", {"dna": source}, {"dna": 0}, pixel_size_um="unknown", z="max")
    plane = field.plane("dna")
    rows = []
    for i in range(images):
        y, x = divmod(i, 5)
        crop = plane[y * 100 : y * 100 + 96, x * 100 : x * 100 + 96]
        tifffile.imwrite(folder / f"field{i}.tif", crop)
        rows.append({"image": f"field{i}.tif", "donor": f"D{i % 2}", "field": i})
    write_samples(folder, rows)
    return write_settings(
        folder, pixel_size=pixel_size, distance=distance, threshold=threshold, more=more
    )


def write_settings(
    folder: Path,
    *,
    pixel_size: str = "unknown",
    distance: float = 4,
    threshold: float = 6,
    more: str = "",
) -> Path:
    """The study file alone."""
    path = folder / "study.yaml"
    text = STUDY.format(pixel_size=pixel_size, distance=distance, threshold=threshold, more=more)
    path.write_text(text, encoding="utf-8")
    return path


def write_samples(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """The sample table alone."""
    with (folder / "samples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def run_here(study: Path, output: Path, *, report: bool = False, **options: object) -> RunSummary:
    """Run a study in this process; with its report only where asked, the half of a small run."""
    plan = prepare(study, output, **options)
    outcomes = [process_image(task) for task in plan.tasks]
    with nullcontext() if report else without_report():
        return finish(plan, outcomes)


def without_report() -> AbstractContextManager[object]:
    """Runs that end inside it write no report."""
    return mock.patch("pipelines.report.build_report", lambda runs, output: output)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def times(folder: Path) -> dict[str, int]:
    """Modification time of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def copy_demo(name: str, folder: Path) -> Path:
    """A demo study, copied to where it may be changed."""
    shutil.copytree(DEMO / name, folder)
    return folder / "study.yaml"
