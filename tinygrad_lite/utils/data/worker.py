"""Threads that prepare batches ahead of the loop that uses them."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

_here = threading.local()


class WorkerInfo:
    """Which worker runs this code: its number `id` of `num_workers`, a seed of its own, the dataset."""

    __slots__ = ("dataset", "id", "num_workers", "seed")

    def __init__(self, id: int, num_workers: int, seed: int, dataset: Any):
        self.id = id
        self.num_workers = num_workers
        self.seed = seed
        self.dataset = dataset


def get_worker_info() -> WorkerInfo | None:
    """The worker that calls this, or None in the main thread.

    >>> print(get_worker_info())
    None
    """
    return getattr(_here, "info", None)


class Workers:
    """The results of tasks in order, worked out ahead by threads: task i by worker i % count.

    `work()` is called once in each thread and returns the function from task to result. `ahead`
    tasks a worker are under way at any time. An error in a task is raised where its result is
    due. The threads end with the last task, or when this object is dropped.
    """

    def __init__(
        self,
        infos: list[WorkerInfo],
        work: Callable[[], Callable[[Any], Any]],
        start: Callable[[int], None] | None,
        tasks: Iterator[Any],
        ahead: int,
        timeout: float = 0,
    ):
        self.tasks = tasks
        self.timeout = timeout or None
        self.asked = self.given = 0
        self.doing: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in infos]
        self.done: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in infos]
        for info, doing, done in zip(infos, self.doing, self.done):
            threading.Thread(target=_run, args=(info, work, start, doing, done), daemon=True).start()
        weakref.finalize(self, _stop, self.doing)
        for _ in range(ahead * len(infos)):
            self._ask()

    def _ask(self) -> None:
        for task in self.tasks:
            self.doing[self.asked % len(self.doing)].put((task,))
            self.asked += 1
            return

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.given == self.asked:
            _stop(self.doing)
            raise StopIteration
        try:
            result, error = self.done[self.given % len(self.done)].get(timeout=self.timeout)
        except queue.Empty:
            worker = self.given % len(self.done)
            raise RuntimeError(f"DataLoader: no batch from worker {worker} in {self.timeout} seconds") from None
        self.given += 1
        self._ask()
        if error is not None:
            raise error
        return result


def _stop(doing: list[queue.SimpleQueue[Any]]) -> None:
    for tasks in doing:
        while not tasks.empty():
            tasks.get_nowait()
        tasks.put(None)


def _run(
    info: WorkerInfo,
    work: Callable[[], Callable[[Any], Any]],
    start: Callable[[int], None] | None,
    doing: queue.SimpleQueue[Any],
    done: queue.SimpleQueue[Any],
) -> None:
    _here.info = info
    function: Any = None

    def answer(task: Any) -> tuple[Any, Exception | None]:
        nonlocal function
        try:
            if function is None:
                if start is not None:
                    start(info.id)
                function = work()
            return function(task), None
        except Exception as error:
            if hasattr(error, "add_note"):  # Python 3.11 and later
                error.add_note(f"(in DataLoader worker {info.id} of {info.num_workers})")
            return None, error

    while (task := doing.get()) is not None:
        done.put(answer(*task))
