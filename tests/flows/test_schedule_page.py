"""docs/schedule.md, command for command: from nothing to a scheduled run, on PostgreSQL if there.

What the page leaves to its reader is done here: a study with images lies in the folder, and
PostgreSQL, where it is installed, runs with a user of its own. Ports and the folder are free ones.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.run.layout import Layout
from tests.studies import run_here, write_study

pytestmark = [pytest.mark.slow, pytest.mark.minutes]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "schedule.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash( postgresql)?\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def postgresql_programs() -> Path | None:
    """Folder of initdb: on the path, or where Debian keeps the newest."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    beside = shutil.which("initdb")
    return found[-1].parent if found else Path(beside).parent if beside else None


PROGRAMS = postgresql_programs()
ENDED = {"COMPLETED", "FAILED", "CRASHED"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory) -> Iterator[int | None]:
    """The port of a server with a user named senescope; None where none is installed."""
    if PROGRAMS is None:
        yield None
        return
    folder = Path("/tmp") / f"senescope-postgresql-{os.getpid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    data, port, server = folder / "data", free_port(), None
    initdb = [PROGRAMS / "initdb", "-D", data, "-U", "senescope", "-A", "trust", "--no-sync"]
    try:
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **user)
        options = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
        server = subprocess.Popen(
            [PROGRAMS / "postgres", "-D", data, *options],
            stderr=subprocess.DEVNULL,
            cwd="/",
            **user,
        )
        ready = [PROGRAMS / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, capture_output=True).returncode:
            assert server.poll() is None, "PostgreSQL did not start"
            time.sleep(0.2)
        yield port
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


class Reader:
    """Someone who types the page's commands into one shell."""

    def __init__(self, folder: Path, postgresql: int | None) -> None:
        self.folder, self.port = folder, free_port()
        # A reader has a minute for the first run; the test does not wait for it.
        self._changed = {
            "4200": str(self.port),
            "5432": str(postgresql),
            "--interval 60": "--interval 20",
        }
        quiet = {
            "DO_NOT_TRACK": "1",
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        path = f"{Path(sys.executable).parent}:{PROGRAMS or ''}:{os.environ['PATH']}"
        keep = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=ROOT,
            env={**keep, **quiet, "PATH": path, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def types(self, block: str) -> str:
        """Type a block; return what it printed. Fails where its last command does."""
        for old, new in {**self._changed, "/data/studies": str(self.folder / "studies")}.items():
            block = block.replace(old, new)
        for log in ("server.log", "worker.log"):
            block = block.replace(log, str(self.folder / log))
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f'{{ {block}}} < /dev/null\necho "ended with $?"\n')
        self._shell.stdin.flush()
        lines = []
        for line in self._shell.stdout:
            lines.append(line)
            if line.startswith("ended with "):
                break
        said = "".join(lines)
        assert said.endswith("ended with 0\n"), said
        return said

    def asks(self, what: str, **body: object) -> list[dict]:
        """The server's answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{what}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def leaves(self) -> None:
        """End all that was started, at once."""
        below = psutil.Process(self._shell.pid).children(recursive=True)
        self._shell.kill()
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._shell.communicate()


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory, postgresql) -> Iterator[tuple[Reader, list[dict], Path]]:
    """The page, followed until the first scheduled run has ended."""
    folder = tmp_path_factory.mktemp("page")
    study = write_study(folder / "studies", images=2, more="watch: {settle_s: 1}")
    reader = Reader(folder, postgresql)
    try:
        for needs_postgresql, block in BLOCKS:
            if not needs_postgresql or postgresql is not None:
                reader.types(block)
        ended: list[dict] = []
        end = time.monotonic() + 400
        while not ended and time.monotonic() < end:
            time.sleep(2)
            runs = reader.asks("flow_runs/filter")
            ended = [r for r in runs if r["state_type"] in ENDED and r["state_name"] != "Busy"]
        yield reader, ended, study
    finally:
        reader.leaves()


def test_the_page_leads_to_a_scheduled_run_that_completes(scheduled, tmp_path):
    reader, ended, study = scheduled
    log = (reader.folder / "worker.log").read_text()
    assert ended, log
    assert [run["state_name"] for run in ended] == ["Completed"] * len(ended), log
    assert all(run["auto_scheduled"] for run in ended)
    run_here(study, tmp_path / "plain")
    for path in sorted((tmp_path / "plain" / "tables").iterdir()):
        there = Layout(study.parent / "study-results").root / "tables" / path.name
        assert there.read_bytes() == path.read_bytes(), path.name
    shown = {a["key"] for a in reader.asks("artifacts/latest/filter")}
    assert shown >= {"images", "samples", "failures", "report"}


def test_the_server_kept_its_runs_in_postgresql(scheduled, postgresql):
    if postgresql is None:
        pytest.skip("needs PostgreSQL (Debian's package postgresql): no initdb was found")
    address = ["-h", "127.0.0.1", "-p", str(postgresql), "-U", "senescope", "-d", "senescope"]
    query = ["-Atc", "select count(*) from flow_run where state_name = 'Completed'"]
    found = subprocess.run(
        [PROGRAMS / "psql", *address, *query], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) >= 1
