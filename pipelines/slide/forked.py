"""What a worker of Dask still needs that was forked instead of started."""

import ctypes

import torch
from distributed import WorkerPlugin

_TRIM_THRESHOLD, _TRIM_FROM_BYTES = -1, 65536


class AsIfStarted(WorkerPlugin):
    """One thread, and freed memory given back: Dask sets these by variables of a process's start.

    Dask's own values (`distributed.nanny.pre-spawn-environ`); a worker that is replaced gets them
    again.
    """

    def setup(self, worker: object) -> None:  # noqa: ARG002  Dask's signature
        """Set both in this process."""
        torch.set_num_threads(1)
        ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, _TRIM_FROM_BYTES)
