"""Processes that work on images: started early, kept warm, and survived when one of them dies."""

import faulthandler
import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from multiprocessing.context import BaseContext
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

PRELOAD = ["pipelines.run.preload"]

KILLED = (
    "was killed, most likely because memory ran out; use fewer workers or a machine with more "
    "memory"
)
"""Why a task is lost whose worker died."""


class Stopped(Exception):  # noqa: N818  not an error: someone asked for it
    """The pool was told to stop before all was done."""


def warm_up() -> None:
    """Start importing the engine in the background, before it is known what is to be done.

    On Linux one server process imports Cellpose and torch once, and every worker is forked from
    it with the imports done. Elsewhere workers import on their own and this does nothing.
    """
    if sys.platform == "linux":
        from multiprocessing import forkserver

        _context()
        forkserver.ensure_running()


class Workers(Generic[Task, Result]):
    """A pool that maps a function over tasks and outlives the death of a worker process.

    Used in a `with` statement, at whose end the processes end; they start when there is a task.

    A worker that is killed, for instance by the system when memory runs out, breaks the whole
    pool. The tasks that were under way are then tried again one at a time, each in a process of
    its own, so that the one that kills its worker is found and the others are not lost.
    """

    def __init__(
        self,
        work: Callable[[Task], Result],
        lost: Callable[[Task, str], Result],
        count: int,
        *,
        threads: int | None = None,
        limit_s: float | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Prepare a pool.

        Args:
            work: the function, importable by name in the workers.
            lost: makes the result of a task whose worker died twice, and why it did.
            count: number of worker processes.
            threads: of the network in each process; by default the processors are shared out.
            limit_s: ends a worker that needs longer for one task, which thereby is lost.
            stop: once set, nothing more is begun; whoever sets it ends the workers.
        """
        self._work = work if limit_s is None else partial(within, limit_s, work)
        self._lost = lost
        self._count = count
        self._threads = threads or max(1, (os.cpu_count() or 1) // count)
        self._pool: ProcessPoolExecutor | None = None
        self._limit_s = limit_s
        self._stop = stop or threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Whoever was interrupted ends the processes, or leaves that to the system.
        self._close(wait=kind is None)

    def map(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in the order in which they end. Only `count` tasks are under way at a time.

        Raises:
            Stopped: the pool was told to stop.
        """
        waiting = deque(tasks)
        while waiting:
            suspects = yield from self._until_broken(waiting)
            for task in suspects:
                yield self._alone(task)

    def _until_broken(self, waiting: deque[Task]) -> Generator[Result, None, list[Task]]:
        """Work until all is done or the pool breaks; return the tasks then under way."""
        running: dict[Future[Result], Task] = {}
        self._pool = pool = self._pool or self._new_pool(self._count)
        while waiting or running:
            while waiting and len(running) < self._count:
                self._go_on()
                task = waiting.popleft()
                running[pool.submit(self._work, task)] = task
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in ended):
                self._close(wait=True)
                return list(running.values())
            for future in ended:
                del running[future]
                yield future.result()
        return []

    def _alone(self, task: Task) -> Result:
        self._go_on()
        start = time.monotonic()
        try:
            with self._new_pool(1) as pool:
                return pool.submit(self._work, task).result()
        except BrokenProcessPool:
            self._go_on()
            if self._limit_s is not None and time.monotonic() - start >= self._limit_s:
                return self._lost(task, f"needed over {self._limit_s:g} s and was stopped")
            return self._lost(task, KILLED)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _close(self, *, wait: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=wait)
            self._pool = None

    def _new_pool(self, count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            count, mp_context=_context(), initializer=_start_worker, initargs=(self._threads,)
        )


class Lent(Generic[Task, Result]):
    """Worker processes for the threads of this process: each borrows one and gives it back warm.

    A process that starts imports the engine and whatever started this one, and loads the network
    anew: seconds that a thread with a few images would wait for each time.
    """

    def __init__(
        self,
        work: Callable[[Task], Result],
        lost: Callable[[Task, str], Result],
        count: int,
        *,
        limit_s: float,
        stop: threading.Event,
    ) -> None:
        """Prepare `count` processes; the arguments are those of `Workers`."""
        self._stack, self._free = ExitStack(), SimpleQueue[Workers[Task, Result]]()
        threads = max(1, (os.cpu_count() or 1) // count)
        for _ in range(count):
            one = Workers(work, lost, 1, threads=threads, limit_s=limit_s, stop=stop)
            self._free.put(self._stack.enter_context(one))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def map(self, tasks: Iterable[Task]) -> list[Result]:
        """Results of one thread's tasks, in the order in which they end.

        Raises:
            Stopped: the processes were told to stop.
        """
        workers = self._free.get()
        try:
            return list(workers.map(tasks))
        finally:
            self._free.put(workers)


def _context() -> BaseContext:
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


def within(seconds: float, work: Callable[[Task], Result], task: Task) -> Result:
    """Do the work, or end this process, saying where it hung: a hung read heeds nothing else."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        return work(task)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _start_worker(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave no worker behind, however the process that started it ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
