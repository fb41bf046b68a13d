"""Size of a report and the time it takes to build: ``python -m tests.benchmarks.report``.

A run of 200 images, a million cells and full-size pictures is written, without measuring anything,
and its report built. The last line is one JSON object.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipelines.overlay.portrait import SIDE as OF_CELL
from pipelines.report import build_report
from pipelines.run.chosen import EACH
from pipelines.run.layout import Layout
from pipelines.run.portraits import COLUMNS
from pipelines.statistics import (
    POWER_COLUMNS,
    STATISTICS_COLUMNS,
    power_rows,
    statistics_rows,
)
from pipelines.study import parse_study
from pipelines.tables import write_csv, write_text

SIDE = 1024
UNITS = 10
STUDY = """
study: large
samples: samples.csv
channels: {dapi: 0}
segmentation:
  nuclei: {channel: dapi, diameter_px: 20}
measurements: [{type: morphology}]
statistics:
  unit: donor
  factors: [genotype]
  reference: {genotype: healthy}
  outcomes: [gh2ax_foci_count, p21_nucleus_mean, p21_positive]
"""


def write_run(folder: Path, images: int, cells: int) -> None:
    """A run's folder: tables, pictures, provenance; every image with as many cells."""
    layout = Layout(folder)
    layout.cells.parent.mkdir(parents=True)
    layout.qc("").parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    each = cells // images
    rows = []
    for number in range(images):
        donor = number % (2 * UNITS)
        genotype = "healthy" if donor < UNITS else "werner"
        name = f"image{number:03d}"
        rows.append({"image_id": name, "genotype": genotype, "donor": f"d{donor}"})
        # Noise is the worst that a picture can hold.
        noise = rng.normal(60, 25, (SIDE // 4, SIDE // 4, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).resize((SIDE, SIDE)).save(layout.qc(name))
    frame = pl.DataFrame(rows)
    table = frame.select(pl.all().repeat_by(each).explode()).with_columns(
        cell_id=pl.int_range(pl.len()).mod(each) + 1,
        gh2ax_foci_count=pl.Series(rng.poisson(4, each * images)),
        p21_nucleus_mean=pl.Series(rng.lognormal(5, 0.5, each * images)),
    )
    table = table.with_columns(p21_positive=pl.col("p21_nucleus_mean") > 330)
    units = {"gh2ax_foci_count": "count", "p21_nucleus_mean": "a.u.", "p21_positive": "flag"}
    arrow = table.to_arrow()
    fields = [f.with_metadata({"unit": units.get(f.name, "key")}) for f in arrow.schema]
    pq.write_table(arrow.cast(pa.schema(fields)), layout.cells)
    frame.with_columns(n_cells=pl.lit(each)).write_csv(layout.table("images"))
    study = parse_study(STUDY, "study")
    for name, made, columns in (
        ("statistics", statistics_rows(study, layout.cells), STATISTICS_COLUMNS),
        ("power", power_rows(study, layout.cells), POWER_COLUMNS),
    ):
        write_csv(layout.table(name), made, [column.name for column in columns])
    said = {
        "name": "large", "title": "Large", "text": STUDY, "unit_columns": ["genotype", "donor"],
        "sample_columns": ["genotype", "donor"], "group_columns": ["genotype"],
        "outcomes": list(units),
    }  # fmt: skip
    write_portraits(layout, rng)
    content = {"study": said, "settings": study.model_dump(mode="json")}
    write_text(layout.provenance, json.dumps(content))


def write_portraits(layout: Layout, rng: np.random.Generator) -> None:
    """As many pictures of single cells as a run leaves at most: 8 columns of 4 groups."""
    rows = []
    for number in range(8 * 4 * 5 * EACH):
        noise = rng.normal(60, 25, (OF_CELL // 2, OF_CELL // 2, 3)).clip(0, 255).astype(np.uint8)
        name = f"{number}.png"
        layout.portraits.mkdir(exist_ok=True)
        Image.fromarray(noise).resize((OF_CELL, OF_CELL)).save(layout.portraits / name)
        found = (f"column{number % 8}", "p21", 0, 1, 20, "µm", f"place {number // 8 % 5}",
                 f"group {number // 40 % 4}", "image000", number, 1.0, name)  # fmt: skip
        rows.append(dict(zip(COLUMNS, found, strict=True)))
    write_csv(layout.portraits / "cells.csv", rows, COLUMNS)


def main() -> None:
    """Build the report and print its size and time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--cells", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        write_run(folder, options.images, options.cells)
        started = time.perf_counter()
        path = build_report([folder], folder / "report.html")
        seconds = time.perf_counter() - started
        result = {
            "mb": round(path.stat().st_size / 1e6, 2),
            "seconds": round(seconds, 1),
            "images": options.images,
            "cells": options.cells,
        }
    print("One self-contained page, and its figures as SVG and PDF files.")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
