"""Aggregates of ten million cells: time and memory, and how memory grows with their number.

Tables of simulated cells, 20 number and 3 flag columns, 10,000 cells an image and 100,000 a unit,
are summed up by image and by unit in a process of their own, whose peak memory is read. Run as

    python -m tests.benchmarks.aggregate [--rows N]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from measurements.columns import Column
from pipelines.run.aggregate import summarise_cells
from pipelines.tables import aggregated_columns, arrow_table, with_constants, write_parquet_rows

PER_IMAGE, IMAGES_PER_UNIT = 10_000, 10
NUMBERS, FLAGS = 20, 3


def main() -> None:
    options = _options()
    if options.table is not None:
        print(json.dumps(measured(options.table)))
        return
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in (options.rows // 10, options.rows):
            path = Path(folder) / f"{rows}.parquet"
            write_parquet_rows(path, images(rows // PER_IMAGE))
            command = [sys.executable, "-m", "tests.benchmarks.aggregate", "--table", str(path)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(run.stdout.splitlines()[-1])
            print(f"{rows} cells: {found}")
            figures |= {f"{name}_{rows}": value for name, value in found.items()}
            path.unlink()
    print(json.dumps({"rows": options.rows, **figures}))


def images(n_images: int) -> Iterator[pa.Table]:
    for i in range(n_images):
        rng = np.random.default_rng(i)
        measured = {
            Column(f"n{j}", "1", "float64", "", ""): rng.lognormal(3, 1, PER_IMAGE)
            for j in range(NUMBERS)
        }
        measured |= {
            Column(f"f{j}", "flag", "bool", "", ""): rng.random(PER_IMAGE) < 0.1
            for j in range(FLAGS)
        }
        keys = {"image_id": f"image_{i:05d}", "donor": f"D{i // IMAGES_PER_UNIT:04d}"}
        constants = {Column(name, "key", "str", "", ""): value for name, value in keys.items()}
        yield with_constants(arrow_table(measured), constants)


def measured(table: Path) -> dict[str, float]:
    numbers, flags = aggregated_columns(pq.read_schema(table))
    started = time.perf_counter()
    for keys in (["image_id"], ["donor"]):
        summarise_cells(table, keys, numbers, flags, flags[:1], {})
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(seconds, 1), "peak_mib": round(peak)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="cells in the larger table")
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
