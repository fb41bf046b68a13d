"""Bad nights: each disturbs a run, mends what was wrong, and runs again.

A fault is a function that gets a study and the folder of its results and leaves the run disturbed;
what it yields has been seen, and what it does after is the mending. Tests and the benchmark
`faults` go through the same list.
"""

import errno
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from pipelines.errors import SenescopeError, StudyError
from pipelines.run.task import ImageOutcome, ImageTask, lost_image
from pipelines.run.workers import Workers
from tests.cheap import cheap_work, lost_and_doubled, run_cheap, start_run, tables

Disturb = Callable[[Path, Path], Generator[str, None, None]]


@dataclass(frozen=True)
class Row:
    """What a fault cost.

    Attributes:
        name: of the fault.
        seen: what the disturbed run said or left.
        tries: runs until all tables were there, the disturbed one included.
        lost: cells of the undisturbed run that are not there in the end.
        doubled: cells that are there more often than in the undisturbed run.
        same: whether all tables are the same bytes.
        recovery_s: time of the run that completed it.
    """

    name: str
    seen: str
    tries: int
    lost: int
    doubled: int
    same: bool
    recovery_s: float


def suffer(fault: Disturb, study: Path, expected: Path, output: Path) -> Row:
    """Disturb a run, mend, run again, and compare with the results in `expected`."""
    disturbing = fault(study, output)
    seen = next(disturbing)
    next(disturbing, None)
    start, tries = time.perf_counter(), 1
    while tries < 4:
        tries += 1
        summary = run_cheap(study, output)
        if not summary.n_failed:
            break
    seconds = time.perf_counter() - start
    lost, doubled = lost_and_doubled(output, expected)
    same = tables(output) == tables(expected)
    name = fault.__name__.replace("_", " ")
    return Row(name, seen, tries, lost, doubled, same, round(seconds, 2))


def killed(study: Path, output: Path) -> Generator[str, None, None]:
    """SIGKILL to the whole run."""
    yield _signalled(study, output, signal.SIGKILL)


def sigterm(study: Path, output: Path) -> Generator[str, None, None]:
    """SIGTERM, as from a batch system or a shutdown."""
    yield _signalled(study, output, signal.SIGTERM)


def sigint(study: Path, output: Path) -> Generator[str, None, None]:
    """Ctrl-C."""
    yield _signalled(study, output, signal.SIGINT)


def worker_killed(study: Path, output: Path) -> Generator[str, None, None]:
    """SIGKILL to the worker process of one image, each time it is tried."""
    summary = run_cheap_in_workers(study, output, _dies_at_third, None)
    yield f"{summary.n_failed} image failed"


def image_hangs(study: Path, output: Path) -> Generator[str, None, None]:
    """One image whose read never ends."""
    summary = run_cheap_in_workers(study, output, _hangs_at_third, 5.0)
    yield f"{summary.n_failed} image failed"


def memory_runs_out(study: Path, output: Path) -> Generator[str, None, None]:
    """One image needs more memory than the limit of its process (RLIMIT_AS)."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, before[1]))
    try:
        summary = run_cheap(study, output, _needs_memory_at_third)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    yield f"{summary.n_failed} image failed"


def disk_full(study: Path, output: Path) -> Generator[str, None, None]:
    """No space is left after some images, for parts and for tables."""
    if not _mount(output, "200k"):
        yield from _errors(study, output, errno.ENOSPC)
        return
    try:
        seen = _refused(study, output)
        yield seen
        subprocess.run(["mount", "-o", "remount,size=1g", output], check=True)
        kept = subprocess.run(["cp", "-a", f"{output}/.", f"{output}.kept"], check=True)
        assert kept.returncode == 0
    finally:
        subprocess.run(["umount", output], check=True)
    Path(f"{output}.kept").rename(output.with_name(f"{output.name}.moved"))
    output.rmdir()
    output.with_name(f"{output.name}.moved").rename(output)


def no_permission(study: Path, output: Path) -> Generator[str, None, None]:
    """The results may not be written any more, half-way."""
    yield from _errors(study, output, errno.EACCES)


def folder_vanishes(study: Path, output: Path) -> Generator[str, None, None]:
    """The network folder with the images goes away half-way, and comes back."""
    raw, away = study.parent / "raw", study.parent / "away"
    count = 0

    def work(task: ImageTask) -> ImageOutcome:
        nonlocal count
        count += 1
        if count == 3:
            raw.rename(away)
        return cheap_work(task)

    summary = run_cheap(study, output, work)
    try:
        run_cheap(study, output)
        seen = "and the next run did not say so"
    except StudyError:
        seen = "the next run said so and left the tables"
    yield f"{summary.n_failed} images failed; {seen}"
    away.rename(raw)


def clock_changes(study: Path, output: Path) -> Generator[str, None, None]:
    """The clock jumps back by a year while images are measured, and files come from the future."""
    year = 365 * 24 * 3600
    some = sorted((study.parent / "raw").iterdir())[:3]
    before = [(path, path.stat()) for path in some]
    for path in some:
        os.utime(path, (time.time() + year, time.time() + year))
    now = time.time
    with mock.patch("time.time", side_effect=lambda: now() - year):
        summary = run_cheap(study, output)
    yield f"{summary.n_failed} images failed"
    for path, status in before:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def image_is_corrupt(study: Path, output: Path) -> Generator[str, None, None]:
    """The image in the middle is cut off, and later copied again."""
    paths = sorted((study.parent / "raw").iterdir())
    path = paths[len(paths) // 2]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    summary = run_cheap(study, output)
    yield f"{summary.n_failed} image failed, {summary.n_images} measured"
    path.write_bytes(whole)


FAULTS: tuple[Disturb, ...] = (
    killed,
    sigterm,
    sigint,
    worker_killed,
    image_hangs,
    memory_runs_out,
    disk_full,
    no_permission,
    folder_vanishes,
    clock_changes,
    image_is_corrupt,
)


def run_cheap_in_workers(study: Path, output: Path, work, limit_s: float | None):
    """A run in a worker process, which may die."""
    ended: dict[str, ImageOutcome] = {}

    def one(task: ImageTask) -> ImageOutcome:
        if not ended:
            tasks = [replace(task, row=row) for row in _rows(study)]
            with Workers(work, lost_image, 1, limit_s=limit_s) as pool:
                ended.update((o.image_id, o) for o in pool.map(tasks))
        return ended[task.row.image_id]

    return run_cheap(study, output, one)


def _rows(study: Path):
    from pipelines.study.check import check_study

    return check_study(study).rows


def _signalled(study: Path, output: Path, number: signal.Signals) -> str:
    run = start_run(study, output)
    end = time.monotonic() + 120
    while len(list(output.glob("parts/*/image.json"))) < 3 and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(run.pid, number)
    start = time.perf_counter()
    run.join(60)
    seconds = time.perf_counter() - start
    done = len(list(output.glob("parts/*/image.json")))
    return f"ended in {seconds:.1f} s with {done} images done"


def _errors(study: Path, output: Path, number: int) -> Generator[str, None, None]:
    """Every write fails after the third image, as the system call would."""
    count = 0

    def work(task: ImageTask) -> ImageOutcome:
        nonlocal count
        count += 1
        return cheap_work(task)

    from tempfile import mkdtemp

    def make(*args: object, **options: object) -> str:
        if count > 3:
            raise OSError(number, os.strerror(number), str(output))
        return mkdtemp(*args, **options)

    with mock.patch("pipelines.files.tempfile.mkdtemp", make):
        yield _refused(study, output, work)


def _refused(study: Path, output: Path, work=cheap_work) -> str:
    try:
        summary = run_cheap(study, output, work)
    except SenescopeError as error:
        return f"{error}".replace(str(output), "DIR")
    return f"{summary.n_failed} images failed, and the tables could be written"


def _mount(folder: Path, size: str) -> bool:
    """A small disk of its own, where this process may have one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _is_third(task: ImageTask) -> bool:
    return task.row.image_id == "f0002"


def _dies_at_third(task: ImageTask) -> ImageOutcome:
    if _is_third(task):
        os.kill(os.getpid(), signal.SIGKILL)
    return cheap_work(task)


def _hangs_at_third(task: ImageTask) -> ImageOutcome:
    if _is_third(task):
        time.sleep(600)
    return cheap_work(task)


def _needs_memory_at_third(task: ImageTask) -> ImageOutcome:
    from pipelines.run import image

    if not _is_third(task):
        return cheap_work(task)

    def greedy(*_: object) -> object:
        import numpy as np

        return np.ones(2**31)

    with mock.patch.object(image, "read_pixels", greedy):
        return cheap_work(task)
