"""A run of a slide killed at random moments and started again, against one left alone.

    python -m tests.benchmarks.resume --kills 5

Each kill is SIGKILL to the whole run at a random moment of the time an undisturbed run takes; the
same command then goes on. In one more run a worker process is killed instead. Tables and labels
must be the same byte for byte.
"""

import argparse
import contextlib
import hashlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.benchmarks.slides import start_run, write_slide_study


def main() -> None:
    arguments = _arguments()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = write_slide_study(folder, arguments.side, arguments.diameter, 2, 512)
        start = time.perf_counter()
        _finish(study, folder / "alone")
        seconds = time.perf_counter() - start
        expected = _hashes(folder / "alone")
        print(f"undisturbed: {seconds:.0f} s, {len(expected)} files")
        same = []
        for number in range(arguments.kills):
            moment = random.uniform(0.15, 0.95) * seconds
            output = folder / f"killed{number}"
            alive = _kill_run(study, output, moment)
            done = len(list(output.glob("parts/*/work/labels/blocks/*.npz")))
            _finish(study, output)
            same.append(_hashes(output) == expected)
            print(f"killed after {moment:.0f} s ({alive}), {done} blocks kept: same {same[-1]}")
        worker = _kill_worker(study, folder / "worker", seconds)
        worker_same = _hashes(folder / "worker") == expected
        print(f"worker killed ({worker}): same {worker_same}")
    result = {
        "kills": arguments.kills,
        "identical": all(same) and worker_same,
        "identical_after_kill": sum(same),
        "worker_killed": worker,
        "worker_identical": worker_same,
    }
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--diameter", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _finish(study: Path, output: Path) -> None:
    if code := start_run(study, output).wait():
        sys.exit(f"a run ended with code {code}")


def _kill_run(study: Path, output: Path, moment: float) -> str:
    """Start a run and kill its main process; its workers have to end by themselves."""
    run = start_run(study, output)
    with contextlib.suppress(Exception):
        run.wait(moment)
    if run.poll() is not None:
        return "it had ended"
    below = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    _, left = psutil.wait_procs(below, timeout=60)
    for process in left:
        process.kill()
    return f"{len(below)} processes below it, {len(left)} still there after a minute"


def _kill_worker(study: Path, output: Path, seconds: float) -> bool:
    """Start a run and kill a worker while blocks are being segmented."""
    run = start_run(study, output)
    killed = False
    end = time.perf_counter() + 3 * seconds
    while run.poll() is None and time.perf_counter() < end and not killed:
        time.sleep(0.2)
        if len(list(output.glob("parts/*/work/labels/blocks/*.npz"))) < 2:
            continue
        children = psutil.Process(run.pid).children(recursive=True)
        busy = [p for p in children if p.memory_info().rss > 300 * 2**20]
        if busy:
            busy[0].kill()
            killed = True
    if code := run.wait():
        sys.exit(f"the run ended with code {code} after a worker was killed")
    return killed


def _hashes(output: Path) -> dict[str, str]:
    """What a run leaves, without what tells of times and machine."""
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("tables", "labels", "qc")
        for path in sorted((output / folder).rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    main()
