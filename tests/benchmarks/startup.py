"""How long a user waits: for the help, and for the first image of a run.

    uv run python -m tests.benchmarks.startup [--repeats N]

help_s is the median over `senescope --help`. first_image_s is the time from the start of
`senescope run` on the translocation demo (640 x 640 px, two channels) to the moment its first
image is whole on disk, the median over repeats after one run that fills the caches.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.studies import copy_demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    command = shutil.which("senescope")
    assert command, "senescope is not installed"
    helps = [timed([command, "--help"]) for _ in range(repeats + 1)][1:]
    print(f"senescope --help: {' '.join(f'{s:.2f}' for s in helps)} s")
    with tempfile.TemporaryDirectory() as folder:
        study = copy_demo("translocation", Path(folder) / "study")
        firsts = [first_image(command, study, Path(folder) / f"out{i}") for i in range(repeats + 1)]
    print(f"first image of senescope run: {' '.join(f'{s:.2f}' for s in firsts[1:])} s")
    figures = {"help_s": statistics.median(helps), "first_image_s": statistics.median(firsts[1:])}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def timed(command: list[str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def first_image(command: str, study: Path, output: Path) -> float:
    """Seconds until the first image of a run is whole; the run is then stopped."""
    start = time.perf_counter()
    arguments = [command, "run", str(study), "--output", str(output)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not any(output.glob("parts/*/image.json")):
            assert process.poll() is None, "the run ended without an image"
            time.sleep(0.01)
        return time.perf_counter() - start
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
