"""How the work of a study is done; none of it changes what is measured, but `precision`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipelines.study.base import Settings

# Blocks are whole shards of the label store.
SHARD_PX = 2048
# Some 5,800 x 5,800 px, which in one piece take 4 GB or more.
SLIDE_ABOVE_PX = 2**25


def _memory(text: str) -> str:
    from dask.utils import parse_bytes

    if parse_bytes(text) < 2**30:
        raise ValueError(f"memory: {text} is under 1 GiB; give a size such as 8GiB")
    return text


def _whole_shards(side: int) -> int:
    if side % SHARD_PX and (side > SHARD_PX or SHARD_PX % side):
        raise ValueError(f"block_px: {side}; a multiple of {SHARD_PX}, or 512 or 1024, is expected")
    return side


class Cluster(Settings):
    """A Dask cluster that is started for the run."""

    kind: Literal["slurm", "pbs", "sge", "lsf", "cuda"]
    """`slurm`, `pbs`, `sge`, `lsf` (package dask-jobqueue), or `cuda`, a worker for each GPU of
    this machine (package dask-cuda)."""
    jobs: Annotated[int, Field(ge=1)] | None = None
    """Jobs to submit (not for `cuda`)."""
    options: dict[str, str | int | float | bool | list[str] | None] = Field(default_factory=dict)
    """Options of dask-jobqueue's or dask-cuda's cluster class, such as queue, memory, walltime."""


class Compute(Settings):
    """How the work is done; none of it changes what is measured, but `precision`."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Images, or blocks of a slide, worked on at the same time, each in a process of its own."""
    gpu: Literal["auto", "yes", "no"] = "auto"
    """Whether Cellpose uses a GPU; `auto` takes one where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the network; `auto` is bfloat16 where the processor has it, else float32."""
    memory: Annotated[str, AfterValidator(_memory)] | None = None
    """Memory of all workers together, e.g. 8GiB; a worker that needs more is restarted. Without it
    all of the machine's. For slides on this machine."""
    scheduler: str | Cluster | None = None
    """Slides: null for workers on this machine, the address of a Dask scheduler
    (tcp://host:8786), its scheduler file, or a cluster to start."""
    slide_above_px: Annotated[int, Field(ge=1)] = SLIDE_ABOVE_PX
    """Images of more pixels (rows x columns) are slides: read, segmented and measured in blocks."""
    block_px: Annotated[int, AfterValidator(_whole_shards), Field(ge=256)] = SHARD_PX
    """Side of a block of a slide, px: larger blocks take more memory and a little less time."""
