"""Sweeps by the clock on one machine: a Prefect server, where there is none, and a process."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipelines.errors import StudyError
from pipelines.study.model import load_study
from pipelines.study.samples import join_samples

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

START_S = 180


def serve_studies(
    studies: Sequence[Path], cron: str, timezone: str, workers: int | None, port: int
) -> None:
    """Check studies, then sweep their folders by the clock until the process is stopped.

    Args:
        studies: study files.
        cron: five fields of cron.
        timezone: of `cron`.
        workers: images at the same time; by default what each study says.
        port: of the server that is started where PREFECT_API_URL names none.

    Raises:
        StudyError: a study is wrong, the times make no sense, or no server starts.
    """
    for study in studies:
        _check(study)
    _check_times(cron, timezone)
    with _server(port):
        from prefect import serve

        signal.signal(signal.SIGTERM, _interrupt)
        serve(*[_deployment(study.resolve(), cron, timezone, workers) for study in studies])


def _check(study: Path) -> None:
    """Errors of the file and its table; images may all be still to come."""
    problems = join_samples(load_study(study), study.resolve().parent).problems
    if problems:
        raise StudyError("\n".join(f"{study}: {text}" for text in problems))


def _check_times(cron: str, timezone: str) -> None:
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        what = "; ".join(item["msg"] for item in error.errors())
        raise StudyError(
            f"--cron '{cron}' --timezone '{timezone}': {what}. Expected are five fields, such as "
            "'0 2 * * *' for every night at two, and a name such as Europe/Lisbon."
        ) from error


def _deployment(study: Path, cron: str, timezone: str, workers: int | None) -> "RunnerDeployment":
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron

    from flows.sweep import sweep_flow

    how = {} if workers is None else {"how": {"workers": workers}}
    made = RunnerDeployment.from_flow(
        sweep_flow,
        name=load_study(study).study,
        schedule=Cron(cron, timezone=timezone),
        parameters={"study": str(study), **how},
    )
    assert isinstance(made, RunnerDeployment)  # no coroutine outside of an event loop
    return made


@contextmanager
def _server(port: int) -> Iterator[None]:
    """The server that PREFECT_API_URL names, or one of this process that only this machine sees."""
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    address = f"http://127.0.0.1:{port}/api"
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([sys.executable, *command, "--analytics-off"])
    try:
        _wait(server, address)
        os.environ["PREFECT_API_URL"] = address
        yield
    finally:
        server.terminate()
        server.wait()


def _wait(server: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise StudyError(
        f"No Prefect server started at {address}; its own lines above say why. Give another "
        "--port, or set PREFECT_API_URL to a server that runs."
    )


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
