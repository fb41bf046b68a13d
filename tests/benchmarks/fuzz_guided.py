"""Damaged files again, led by which lines of the readers they reach: needs the package atheris.

    pip install atheris && python -m tests.benchmarks.fuzz_guided --minutes 5

`fuzz` draws blindly from what a damaged file may be; here libFuzzer keeps each input that reaches
a line of tifffile, Pillow or the readers which no other reached, and goes on from there. Images and
study files take turns in processes of their own. What fails is kept in --keep, with what it raised,
to become an example beside the property tests.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

TARGETS = ("image", "study")
READ = ("tifffile", "PIL", "pipelines.images", "pipelines.study")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="for all targets together")
    parser.add_argument("--keep", type=Path, default=Path("findings"))
    parser.add_argument("--target", choices=TARGETS, help=argparse.SUPPRESS)
    arguments, rest = parser.parse_known_args()
    if arguments.target:
        fuzz(arguments.target, rest)
        return
    cases = findings = 0
    for target in TARGETS:
        done, found = guided(target, arguments.minutes * 60 / len(TARGETS), arguments.keep)
        print(f"{target}: {done} cases, {found} findings")
        cases, findings = cases + done, findings + found
    print(json.dumps({"minutes": arguments.minutes, "cases": cases, "findings_open": findings}))


def guided(target: str, seconds: float, keep: Path) -> tuple[int, int]:
    """Cases that ran within the time, and whether one failed (libFuzzer stops at the first)."""
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        corpus = Path(temporary) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(seeds(target)):
            (corpus / str(number)).write_bytes(seed)
        command = [sys.executable, "-m", __spec__.name, "--target", target, str(corpus)]
        options = [f"-max_total_time={seconds:.0f}", "-max_len=40000", "-rss_limit_mb=4096"]
        done = subprocess.run(
            [*command, *options, f"-artifact_prefix={keep}/{target}-"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    counts = re.findall(r"^(?:#|Done )(\d+)", done.stdout, re.MULTILINE)
    if done.returncode:
        (keep / f"{target}.txt").write_text(done.stdout)
        print(done.stdout[-3000:])
    return int(counts[-1]) if counts else 0, int(done.returncode != 0)


def seeds(target: str) -> list[bytes]:
    """Good files to begin with."""
    if target == "study":
        from tests.pipelines.test_untrusted_study import STUDIES

        return [text.encode() for text in STUDIES]
    from tests.pipelines.test_images_bad import make_seed_files

    with tempfile.TemporaryDirectory() as folder:
        return make_seed_files(Path(folder))


def fuzz(target: str, options: list[str]) -> None:
    """Run one target until libFuzzer's time is over; never returns."""
    import atheris

    with atheris.instrument_imports(include=list(READ)):
        one = {"image": read_image, "study": read_study}[target]()
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def read_image() -> Callable[[bytes], None]:
    """Reads bytes as an image; an error in words is a good answer."""
    from pipelines.errors import ImageError
    from pipelines.images import inspect, open_field

    path = Path(tempfile.mkdtemp()) / "a.tif"
    warnings.simplefilter("ignore")

    def one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            inspect(path)
            open_field("x", {"a": path}, {"a": 0}, pixel_size_um="unknown", z="max").plane("a")
        except ImageError as error:
            if str(path) not in str(error):
                raise

    return one


def read_study() -> Callable[[bytes], None]:
    """Reads text as a study file; an error in words is a good answer."""
    from pipelines.errors import StudyError
    from pipelines.study.model import parse_study

    def one(content: bytes) -> None:
        try:
            parse_study(content.decode("utf-8", "replace"), "s.yaml")
        except StudyError as error:
            if "s.yaml" not in str(error):
                raise

    return one


if __name__ == "__main__":
    main()
