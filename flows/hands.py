"""Who does a flow's tasks: processes of this machine, or a Dask cluster; and how many at a time."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any, TypeVar

from prefect import Task, get_run_logger
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.parameters import How
from flows.tasks import Chunk, draw_pictures, measure_images, measure_slide
from pipelines.errors import StudyError
from pipelines.run.task import (
    ImageOutcome,
    ImageTask,
    PictureOutcome,
    PictureTask,
    draw,
    lost_image,
    lost_picture,
    work_on,
)
from pipelines.run.workers import KILLED, Lent
from pipelines.slide.cluster import connect
from pipelines.study.compute import Compute

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Hands:
    """What works on a flow's tasks.

    Attributes:
        runner: takes tasks.
        how: how many at a time, and how large.
        compute: where the blocks of slides are worked on.
        stop: once set, nothing more is begun in this process; None where others do the work.
    """

    runner: TaskRunner[Any]
    how: How
    compute: Compute
    stop: Event | None = field(default_factory=Event)

    @property
    def count(self) -> int:
        """Tasks under way at a time."""
        return self.how.workers or self.compute.workers

    def measure(
        self, tasks: Sequence[ImageTask], say: Callable[[ImageOutcome], None]
    ) -> list[ImageOutcome]:
        """Work on images, those that are no slides first; `say` is told of each."""
        outcomes = []
        fields = [task for task in tasks if not task.is_slide]
        with self._lent(work_on, lost_image) as lent:
            for outcome in self._all(measure_images, fields, lost_image, lent):
                outcomes.append(outcome)
                say(outcome)
        for slide in (task for task in tasks if task.is_slide):
            outcomes.append(measure_slide(slide.row.image_id, slide, self.compute, self.count))
            say(outcomes[-1])
        return outcomes

    def draw(self, tasks: Sequence[PictureTask]) -> list[PictureOutcome]:
        """Draw pictures."""
        with self._lent(draw, lost_picture) as lent:
            return list(self._all(draw_pictures, tasks, lost_picture, lent))

    def _lent(
        self, work: Callable[[Item], Result], lost: Callable[[Item, str], Result]
    ) -> AbstractContextManager[Lent[Item, Result] | None]:
        """Processes for the tasks of this process's threads."""
        if self.stop is None:
            return nullcontext()
        return Lent(work, lost, self.count, limit_s=self.how.limit_s, stop=self.stop)

    def _all(
        self,
        task: Task[Any, list[Result]],
        items: Sequence[Item],
        lost: Callable[[Item, str], Result],
        lent: Lent[Item, Result] | None,
    ) -> Iterator[Result]:
        """Results in the order in which tasks end; a task that breaks is divided to find why."""
        size = self.how.images_per_task
        waiting = deque(items[i : i + size] for i in range(0, len(items), size))
        ended: SimpleQueue[PrefectFuture[list[Result]]] = SimpleQueue()
        running: dict[Any, Sequence[Item]] = {}
        while waiting or running:
            while waiting and len(running) < self.count:
                chunk = waiting.popleft()
                future = self._submit(task, Chunk(chunk, self.how.limit_s, lent))
                running[future.task_run_id] = chunk
                future.add_done_callback(ended.put)
            future = _next(ended)
            chunk = running.pop(future.task_run_id)
            try:
                yield from future.result()
            except Exception as error:  # noqa: BLE001  one image must never stop the others
                get_run_logger().warning("%s: %s", _name(chunk), error)
                if len(chunk) == 1:
                    yield lost(chunk[0], KILLED)
                waiting.extend([item] for item in chunk if len(chunk) > 1)

    def _submit(
        self, task: Task[Any, list[Result]], chunk: Chunk[Item, Result]
    ) -> PrefectFuture[list[Result]]:
        tagged = task.with_options(tags=self.how.tags) if self.how.tags else task
        parameters = {"name": _name(chunk.items), "chunk": chunk}
        future: PrefectFuture[list[Result]] = self.runner.submit(tagged, parameters)
        return future


def _next(ended: SimpleQueue[PrefectFuture[Result]]) -> PrefectFuture[Result]:
    """The next task that ends; looks up every second, since a wait for good may miss a Ctrl-C.

    A library's own handler of the signal may run in another thread, and then nothing wakes this.
    """
    while True:
        try:
            return ended.get(timeout=1)
        except Empty:
            continue


@contextmanager
def open_hands(compute: Compute, how: How) -> Iterator[Hands]:
    """Start or find what works on tasks; whatever ends the flow ends it within seconds.

    Args:
        compute: the study's.
        how: the flow's.

    Raises:
        StudyError: Dask is asked for and cannot be had.
    """
    if how.dask:
        with connect(compute, how.workers or compute.workers) as client:
            address = str(client.scheduler_info(n_workers=0)["address"])
            with _dask_runner(address) as runner:
                there = compute.model_copy(update={"scheduler": address})
                yield Hands(runner, how, there, None)
        return
    threads: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=how.workers or compute.workers)
    with threads as runner:
        hands = Hands(runner, how, compute)
        try:
            yield hands
        except BaseException:
            assert hands.stop is not None
            hands.stop.set()
            for process in multiprocessing.active_children():
                process.kill()
            raise


def _dask_runner(address: str) -> TaskRunner[Any]:
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise StudyError(
            "how.dask needs the package prefect-dask: pip install 'senescope[dask]'"
        ) from error
    runner: TaskRunner[Any] = DaskTaskRunner(address=address)
    return runner


def _name(chunk: Sequence[Any]) -> str:
    first, last = chunk[0].row.image_id, chunk[-1].row.image_id
    return str(first) if len(chunk) == 1 else f"{first} to {last}"
