"""Speed of measuring: 6,084 cells in 2048 x 2048 px and four channels, beside other libraries.

The comparison is over one list of columns, `SHAPE` and `INTENSITY` below: what both senescope and
`skimage.measure.regionprops_table` measure, with scikit-image's own properties only (a Python
callable passed to it would be called once a cell). senescope's side is what a study runs, so it
measures more than the list: form factor, 95th percentile, sum, saturated share, CTCF. Both sides'
numbers are compared before their times are.

Every ratio is of processor seconds, all threads counted, the best of several runs: a busy machine
stretches the wall clock of a long run more than that of a short one.

    against_one_read      reading labels and channels once, a sum of each, as a bound
    with_local_background senescope with the ring of background around every cell beside it all
    against_nyxus         the same list as far as nyxus has it (no Crofton perimeter), its C++
    against_cp_measure    its functions `sizeshape` and `intensity`, which measure more of their own

nyxus and cp_measure are taken from the running Python or from `--peer-python`; what is missing is
null. Where the data folder has the section of `tests.benchmarks.measure_slide`, its cells are also
measured by blocks and compared. Run as

    python -m tests.benchmarks.measure [--peer-python PATH] [--repeats N] [--data DIR]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage.measure import regionprops_table

from measurements.background import (
    Background,
    BackgroundSettings,
    background_pixels,
    estimate_background,
)
from measurements.intensity import measure_intensity
from measurements.morphology import measure_morphology
from measurements.regions import Regions
from tests.benchmarks.measure_slide import LABELS, slide_figures

SIZE, PITCH, CHANNELS = 2048, 26, 4
# senescope's column -> scikit-image's property and its place in it.
SHAPE = {
    "area": "area",
    "perimeter": "perimeter_crofton",
    "equivalent_diameter": "equivalent_diameter_area",
    "major_axis": "axis_major_length",
    "minor_axis": "axis_minor_length",
    "eccentricity": "eccentricity",
    "orientation": "orientation",
    "solidity": "solidity",
    "y": "centroid-0",
    "x": "centroid-1",
    "box_y": "bbox-0",
    "box_x": "bbox-1",
}
INTENSITY = {
    "mean": "intensity_mean",
    "median": "intensity_median",
    "sd": "intensity_std",
    "min": "intensity_min",
    "max": "intensity_max",
}
LOCAL = BackgroundSettings(gap=4.0, width=12.0)
SHARED = Path(__file__).parents[3] / "shared" / "data"
PEERS = Path(__file__).with_name("measure_peers.py")


def main() -> None:
    options = _options()
    labels, channels = field()
    n_cells = int(labels.max())
    print(f"{n_cells} cells, {SIZE} x {SIZE} px, {CHANNELS} channels of {channels[0].dtype}")
    difference = largest_difference(labels, channels)
    print(f"largest relative difference of a column to scikit-image: {difference:.1e}")
    ours = cpu_seconds(lambda: senescope(labels, channels), options.repeats)
    local = cpu_seconds(lambda: with_local_background(labels, channels), options.repeats)
    read = cpu_seconds(lambda: one_read(labels, channels), options.repeats)
    theirs = cpu_seconds(lambda: scikit_image(labels, channels), 2)
    peers = peer_seconds(labels, channels, options.peer_python)
    figures: dict[str, object] = {
        "cells": n_cells,
        "columns": len(SHAPE) + len(INTENSITY) * CHANNELS,
        "seconds": round(ours, 4),
        "seconds_regionprops": round(theirs, 3),
        "speedup_regionprops": round(theirs / ours, 1),
        "speedup_with_local_background": round(theirs / local, 1),
        "seconds_with_local_background": round(local, 4),
        "against_nyxus": _ratio(peers["nyxus"], ours),
        "against_cp_measure": _ratio(peers["cp_measure"], ours),
        "against_one_read": round(ours / read, 1),
        "largest_difference": float(f"{difference:.1e}"),
    }
    if (options.data / LABELS).is_file():
        figures |= slide_figures(options.data)
    for name, value in figures.items():
        print(f"  {name}: {value}")
    print(json.dumps(figures))


def field() -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels (y, x) uint32 of jittered ellipses, many of them touching, and 16-bit channels."""
    rng = np.random.default_rng(0)
    labels = np.zeros((SIZE, SIZE), dtype=np.uint32)
    grid = np.arange(PITCH // 2, SIZE - PITCH // 2 + 1, PITCH)
    for number, (y, x) in enumerate(np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2), 1):
        centre_y, centre_x = np.array([y, x]) + rng.uniform(-3, 3, 2)
        a, b, angle = rng.uniform(8, 13), rng.uniform(7, 11), rng.uniform(0, np.pi)
        top, left = max(0, y - 16), max(0, x - 16)
        rows, columns = np.mgrid[top : min(SIZE, y + 17), left : min(SIZE, x + 17)]
        dy, dx = rows - centre_y, columns - centre_x
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        window = labels[rows[0, 0] : rows[-1, 0] + 1, columns[0, 0] : columns[0, -1] + 1]
        window[((along / a) ** 2 + (across / b) ** 2 <= 1) & (window == 0)] = number
    light = 300 * (labels > 0)
    return labels, [rng.poisson(100 + light).astype(np.uint16) for _ in range(CHANNELS)]


def senescope(labels: np.ndarray, channels: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Columns by name; intensity columns as channel number, then name."""
    cells = Regions.of(labels)
    nothing = Background(0.0, np.zeros(len(cells)), np.zeros(len(cells), dtype=np.uint32))
    return _measured(cells, channels, [nothing] * len(channels))


def with_local_background(labels: np.ndarray, channels: list[np.ndarray]) -> dict[str, np.ndarray]:
    cells = Regions.of(labels)
    around = background_pixels(labels, cells.ids, LOCAL)
    return _measured(cells, channels, [estimate_background(c, around, LOCAL) for c in channels])


def _measured(
    cells: Regions, channels: list[np.ndarray], backgrounds: list[Background]
) -> dict[str, np.ndarray]:
    shape = measure_morphology(cells, "cell")
    columns = {column.name.removeprefix("cell_"): values for column, values in shape.items()}
    for number, (channel, background) in enumerate(zip(channels, backgrounds, strict=True)):
        measured = measure_intensity(channel, str(number), {"cell": cells}, background)
        columns |= {column.name.replace("_cell_", " "): v for column, v in measured.items()}
    return columns


def scikit_image(labels: np.ndarray, channels: list[np.ndarray]) -> dict[str, np.ndarray]:
    wanted = {name.split("-")[0] for name in (*SHAPE.values(), *INTENSITY.values())}
    return regionprops_table(labels, np.stack(channels, axis=-1), properties=sorted(wanted))


def largest_difference(labels: np.ndarray, channels: list[np.ndarray]) -> float:
    """Over all columns of the list, relative to the column's largest value."""
    ours, theirs = senescope(labels, channels), scikit_image(labels, channels)
    pairs = [(ours[name], theirs[their_name]) for name, their_name in SHAPE.items()]
    for number in range(len(channels)):
        pairs += [(ours[f"{number} {n}"], theirs[f"{t}-{number}"]) for n, t in INTENSITY.items()]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def one_read(labels: np.ndarray, channels: list[np.ndarray]) -> list[int]:
    return [int(pixels.sum()) for pixels in (labels, *channels)]


def cpu_seconds(run: Callable[[], object], repeats: int) -> float:
    """Processor seconds of all threads, the least of several runs."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


def peer_seconds(
    labels: np.ndarray, channels: list[np.ndarray], python: Path
) -> dict[str, float | None]:
    """Processor seconds of nyxus and cp_measure, each None where it cannot be imported."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "field.npz"
        np.savez(path, labels=labels, channels=np.stack(channels))
        run = subprocess.run(
            [python, str(PEERS), str(path)], capture_output=True, text=True, check=True
        )
    found = json.loads(run.stdout.splitlines()[-1])
    for name, result in found.items():
        print(f"{name}: {result}")
    return {name: result and result["cpu_s"] for name, result in found.items()}


def _ratio(theirs: float | None, ours: float) -> float | None:
    return None if theirs is None else round(theirs / ours, 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--peer-python", type=Path, default=sys.executable, help="Python with nyxus and cp_measure"
    )
    parser.add_argument("--repeats", type=int, default=10, help="runs of senescope, best taken")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the shared data")
    return parser.parse_args()


if __name__ == "__main__":
    main()
