"""Which formats open, and how much memory a plane of a large file takes beside the file's size.

Writes one file of each format (two scenes where it has scenes, many planes of 1024 x 1024), opens
it in a process of its own, projects one channel of one scene over its planes, and compares what
that added to the process's peak memory (Linux) with the size of the file. Pixels that are mapped
from the file count as memory. Files that are given are measured in place of written ones:

    python -m tests.benchmarks.formats my.czi my.oir
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from pipelines.images.formats import companions
from tests import vendor_files as files
from tests.oir_files import write_oir

SIDE = 1024
DEPTH = 40

READ = """
import sys
import numpy as np, scipy.ndimage, tifffile, zarr
from pathlib import Path
from pipelines.images import formats, inspect, open_field
path = Path(sys.argv[1])
start = path.open('rb').read(16) if path.is_file() else b''
found = formats.format_of(path, start)
if found: formats.reader_for(path, found)
def peak():
    status = Path('/proc/self/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0])
before = peak()
info = inspect(path)
which = {'scene': info.n_scenes - 1, 'time': info.n_t - 1}
channel = 'rgb' if info.is_rgb else min(1, info.n_channels - 1)
z = 'none' if info.n_z == 1 else 'best_focus' if info.is_rgb else 'max'
field = open_field('x', {'a': path}, {'a': channel}, pixel_size_um='unknown', z=z, **which)
rows, columns = info.plane_shape
plane = field.plane('a', (slice(0, min(rows, 4096)), slice(0, min(columns, 4096))))
print((peak() - before) * 1024, int(plane.astype(np.float64).sum()))
"""


def _ome_tiff(path: Path, pixels: np.ndarray) -> None:
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for scene in pixels:
            about = {"axes": "CZYX"}
            writer.write(scene[0], photometric="minisblack", metadata=about, tile=(256, 256))


def main() -> None:
    """Write, open and measure, or measure what is given; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="of yours, instead of written ones")
    given = parser.parse_args().files
    results = {str(path): _measure(path) for path in given} if given else _written()
    for name, (opened, share) in results.items():
        print(f"{name}: opened {opened}, {share:.1%} of the file's size in memory")
    opened = {name: result[0] for name, result in results.items()}
    shares = {name: result[1] for name, result in results.items()}
    print(json.dumps({"opened": opened, "lazy_peak_share": shares}))


def _written() -> dict[str, tuple[bool, float]]:
    writers: dict[str, Callable[[Path, np.ndarray], None]] = {
        "ome.tif": _ome_tiff,
        "czi": files.write_czi,
        "nd2": files.write_nd2,
        "lif": files.write_lif,
        "oif": files.write_oif,
        "oir": write_oir,
        "ome.zarr": files.write_plate,
    }
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4000, (2, 1, 2, DEPTH, SIDE, SIDE)).astype(np.uint16)
    results = {}
    for ending, writer in writers.items():
        scenes = pixels[:1] if ending in ("oif", "oir") else pixels
        truth = int(scenes[-1, 0, 1].max(axis=0).astype(np.int64).sum())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a.{ending}"
            writer(path, scenes)
            results[ending] = _measure(path, truth)
    return results


def _measure(path: Path, truth: int | None = None) -> tuple[bool, float]:
    """Whether a plane is read, and is the one that was written, and memory a byte of the file."""
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.splitlines()[-1])
        return False, float("nan")
    memory, total = map(int, done.stdout.split())
    folder = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    size = sum(part.stat().st_size for part in (*folder, *companions(path)))
    return truth in (None, total), round(memory / size, 4)


if __name__ == "__main__":
    main()
