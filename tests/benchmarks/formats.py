"""Which formats open, and how much memory a plane of a large file takes beside the file's size.

Writes one file of each format (two scenes where it has scenes, many planes of 1024 x 1024), opens
it in a process of its own, projects one channel of one scene over its planes, and compares what
that added to the process's peak memory (Linux) with the size of the file. Pixels that are mapped
from the file count as memory.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from tests import vendor_files as files

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
scene = info.n_scenes - 1
field = open_field('x', {'a': path}, {'a': 1}, pixel_size_um='unknown', z='max', scene=scene)
plane = field.plane('a')
print((peak() - before) * 1024, int(plane.astype(np.int64).sum()))
"""


def _ome_tiff(path: Path, pixels: np.ndarray) -> None:
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for scene in pixels:
            about = {"axes": "CZYX"}
            writer.write(scene[0], photometric="minisblack", metadata=about, tile=(256, 256))


def main() -> None:
    """Write, open and measure; the last line is JSON."""
    writers: dict[str, Callable[[Path, np.ndarray], None]] = {
        "ome.tif": _ome_tiff,
        "czi": files.write_czi,
        "nd2": files.write_nd2,
        "lif": files.write_lif,
        "oif": files.write_oif,
        "ome.zarr": files.write_plate,
    }
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4000, (2, 1, 2, DEPTH, SIDE, SIDE)).astype(np.uint16)
    opened, shares = {}, {}
    for ending, writer in writers.items():
        scenes = pixels[:1] if ending == "oif" else pixels
        truth = int(scenes[-1, 0, 1].max(axis=0).astype(np.int64).sum())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a.{ending}"
            writer(path, scenes)
            opened[ending], shares[ending] = _measure(path, truth, scenes.nbytes)
        print(f"{ending}: opened {opened[ending]}, {shares[ending]:.1%} of {scenes.nbytes:,} bytes")
    print(json.dumps({"opened": opened, "lazy_peak_share": shares}))


def _measure(path: Path, truth: int, size: int) -> tuple[bool, float]:
    """Whether the plane is the one that was written, and memory as a share of the file."""
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.splitlines()[-1])
        return False, float("nan")
    memory, total = map(int, done.stdout.split())
    return total == truth, round(memory / size, 4)


if __name__ == "__main__":
    main()
