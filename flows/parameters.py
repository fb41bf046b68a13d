"""How a flow works: parameters that no result depends on."""

from typing import Annotated

from pydantic import Field

from pipelines.study.base import Positive, Settings


class How(Settings):
    """How images are worked on; no table depends on it."""

    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Tasks under way at a time; by default the study's `compute.workers`."""
    images_per_task: Annotated[int, Field(ge=1, le=1000)] = 4
    """Images that one task measures. A task should take seconds: Prefect's part of it is tens of
    milliseconds."""
    limit_s: Positive = 1800
    """An image that takes longer is ended, once tried again alone, and is a failure."""
    dask: bool = False
    """Tasks go to a Dask cluster (package prefect-dask): to that of the study's
    `compute.scheduler`, or to one on this machine."""
    tags: tuple[str, ...] = ()
    """Prefect tags of the tasks: `prefect concurrency-limit create TAG 1` then lets one task with
    that tag run at a time, whatever flow it is of, as where flows share a GPU."""
