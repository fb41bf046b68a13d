"""Peak memory and time of a whole run against the side of the slide, at one density of nuclei.

    python -m tests.benchmarks.memory --side 4096,8192

Memory is the sum over the run's processes, each page counted once (PSS on Linux, RSS elsewhere),
sampled twice a second. Nuclei of 60 px, as a 40x scan has them, make the network's part a quarter
of what nuclei of 30 px would.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from tests.benchmarks.slides import start_run, write_slide_study


def main() -> None:
    arguments = _arguments()
    peaks, seconds, cells = {}, {}, {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        for side in arguments.side:
            folder = Path(temporary) / str(side)
            study = write_slide_study(
                folder, side, arguments.diameter, arguments.workers, arguments.block
            )
            start = time.perf_counter()
            run = start_run(study, folder / "out")
            peak = 0.0
            while run.poll() is None:
                peak = max(peak, _memory(run.pid))
                time.sleep(0.5)
            if run.returncode:
                sys.exit(f"the run of {side} px ended with code {run.returncode}")
            seconds[side] = round(time.perf_counter() - start, 1)
            peaks[side] = round(peak / 2**20)
            cells[side] = pq.read_metadata(folder / "out/tables/cells.parquet").num_rows
            print(
                f"{side:6d} px: {peaks[side]:6d} MB, {seconds[side]:8.1f} s, {cells[side]:,} cells"
            )
    areas = {side: (side / min(seconds)) ** 2 for side in seconds}
    result = {
        "peak_mb": peaks,
        "max_over_min": round(max(peaks.values()) / min(peaks.values()), 3),
        "seconds": seconds,
        "seconds_per_area": {side: round(s / areas[side], 1) for side, s in seconds.items()},
        "cells": cells,
        "workers": arguments.workers,
        "block_px": arguments.block,
        "diameter_px": arguments.diameter,
    }
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--side", type=lambda t: [int(s) for s in t.split(",")], default=[4096, 8192, 16384]
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--block", type=int, default=2048)
    parser.add_argument("--diameter", type=float, default=60.0)
    parser.add_argument("--folder", help="where slides and results are written for a while")
    return parser.parse_args()


def _memory(pid: int) -> float:
    """Bytes of a process and all below it."""
    total = 0.0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for process in processes:
        try:
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


if __name__ == "__main__":
    main()
