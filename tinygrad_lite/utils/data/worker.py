"""Threads that prepare batches ahead of the loop that uses them."""

from __future__ import annotations

import _thread
import contextlib
import functools
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.ops.random.generators import Generator, use_own_streams
from tinygrad_lite.utils.data.generator_search import state_of

PATIENCE = 1.0  # seconds that an interrupted program waits for a worker's current task

_here = threading.local()
_lending = threading.Lock()


class WorkerStreams(NamedTuple):
    """Generators of a worker's own, for code that takes a generator."""

    random_generator: Any
    torch_generator: Generator
    numpy_generator: np.random.Generator


class WorkerInfo:
    """The worker that runs this code: its number `id` of `num_workers`, its `seed` (new in every pass), the `dataset`,
    and `rng`, generators that start from the seed."""

    worker_method = "thread"

    def __init__(self, id: int, num_workers: int, seed: int, dataset: Any):
        self.id = id
        self.num_workers = num_workers
        self.seed = seed
        self.dataset = dataset

    @functools.cached_property
    def rng(self) -> WorkerStreams:
        import random

        return WorkerStreams(random.Random(self.seed), Generator().manual_seed(self.seed), np.random.default_rng(self.seed))


def get_worker_info() -> WorkerInfo | None:
    """The worker that calls this, or None in the main thread.

    >>> print(get_worker_info())
    None
    """
    return getattr(_here, "info", None)


class Workers:
    """The results of tasks, in order, computed ahead by threads: worker i % count computes task i.

    Each thread calls `start(id)` once, and `work()` once per pass; `work()` returns the function from a task to its
    result. Each worker has up to `ahead` tasks in progress. An error in a task, or in the iterator of tasks, is
    raised when its result is due. The threads end with the last task of a pass (unless they are persistent), with an
    interrupt, or when this object is dropped.

    Each thread draws from its own streams of tinygrad_lite. All threads share NumPy's and Python's global streams and
    the generators in `kept`. So `start` and the first task of a pass (up to the first that raises no error) run while
    the loop waits, with the worker's global streams in place of the program's. If they drew from any shared stream,
    all other tasks run in that way too, one at a time."""

    def __init__(
        self,
        infos: list[WorkerInfo],
        work: Callable[[], Callable[[Any], Any]],
        start: Callable[[int], None] | None,
        ahead: int,
        timeout: float = 0,
        stay: bool = False,
        kept: Sequence[Any] = (),
    ):
        self.ahead = ahead * len(infos)
        self.timeout = timeout or None
        self.stay = stay
        self.interrupted = False
        self.passes = self.asked = self.given = 0
        self.tasks: Iterator[Any] = iter(())
        self.late: Exception | None = None  # an error of the iterator of tasks, due after the last task
        self.doing: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in infos]
        self.done: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in infos]
        self.start_drew = False
        self.shared = [_SharedStreams(info.seed, kept) for info in infos]
        threads = []
        for info, shared, doing, done in zip(infos, self.shared, self.doing, self.done):
            # When this object is dropped, its thread finds the dead reference in its queue. No Python code runs
            # for that, in which an interrupt would be lost.
            owner = weakref.ref(self, doing.put)
            threads.append(threading.Thread(target=_run, args=(owner, info, work, start, shared, doing, done), daemon=True))
        _thread.start_new_thread(_launch, (threads, self.done))
        if start is not None:
            with self._streams_come_back():
                for worker in range(len(infos)):
                    self._order(worker, None, lent=True)
                    self.start_drew |= self._answer(worker)[2]

    def begin(self, tasks: Iterator[Any]) -> None:
        """Start a pass. Whatever is left of an earlier one is dropped."""
        self.passes += 1
        for tasks_left in self.doing:
            with contextlib.suppress(queue.Empty):
                while True:
                    tasks_left.get_nowait()
        self.asked = self.given = 0
        self.tasks = tasks
        self.late = None
        self.in_turn: bool | None = self.start_drew or None  # None: not known yet

    def _order(self, worker: int, task: Any, lent: bool) -> None:
        # Inside a task of another loader's worker the streams are already lent, or unavailable: its loop goes on.
        nested = getattr(_here, "lent", False)
        lent = lent and (nested or get_worker_info() is None)
        self.doing[worker].put((self.passes, task, lent, nested))

    def _ask(self) -> None:
        """Hand out tasks: up to `ahead` per worker, or one at a time if they run in turn."""
        limit = self.ahead if self.in_turn is False else 1
        while self.asked - self.given < limit and self.late is None:
            try:
                task = next(self.tasks)
            except StopIteration:
                return
            except Exception as failed:
                self.late = failed
                return
            self._order(self.asked % len(self.doing), (task,), lent=self.in_turn is not False)
            self.asked += 1

    def _answer(self, worker: int) -> tuple[Any, BaseException | None, bool]:
        """The worker's next message: a result, an error, whether it drew from the shared streams."""
        try:
            while True:
                number, answer = self.done[worker].get(timeout=self.timeout)
                if number is None or number == self.passes:
                    _here.drew = getattr(_here, "drew", False) or answer[2]  # for an enclosing worker
                    return answer
        except queue.Empty:
            raise RuntimeError(f"DataLoader: no batch from worker {worker} in {self.timeout} seconds") from None

    @contextlib.contextmanager
    def _streams_come_back(self) -> Iterator[None]:
        """After the block no worker holds the program's streams, even if the block is left early; an interrupt ends the
        pass."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception):
                self.interrupted = True
                _stop(self.doing)
                lent = [shared for shared in self.shared if shared.close()]
                if lent and not lent[0].nested and _lending.acquire(timeout=PATIENCE):
                    _lending.release()  # the worker has finished its task
            for shared in self.shared:
                shared.give_back()
            raise

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.interrupted:
            raise RuntimeError("DataLoader: this pass was interrupted; begin another one")
        with self._streams_come_back():
            result, error = self._due()
        if error is not None:
            try:
                raise error
            finally:
                del error  # it references this frame, and so the owner of the threads
        return result

    def _due(self) -> tuple[Any, BaseException | None]:
        """The next result, or the error in its place: StopIteration at the end."""
        if self.in_turn is not False:
            self._ask()
        if self.given == self.asked:
            if not self.stay:
                _stop(self.doing)
            late, self.late = self.late or StopIteration(), StopIteration()
            return None, late
        result, error, drew = self._answer(self.given % len(self.done))
        self.given += 1
        if self.in_turn is None and (drew or error is None):  # an error may have come before the first draw
            self.in_turn = drew
        if self.in_turn is False:
            self._ask()
        return result, error


def _launch(threads: list[threading.Thread], done: list[queue.SimpleQueue[Any]]) -> None:
    """Start the threads, outside the main thread: `start` waits in Python code, where an interrupt could leave a lock
    held that the new thread then waits for forever."""
    left = list(zip(threads, done))
    try:
        while left:
            left[0][0].start()
            del left[0]
    except RuntimeError as error:  # the system allows no more threads
        for _, answers in left:
            answers.put((None, (None, error, False)))


def _stop(doing: list[queue.SimpleQueue[Any]]) -> None:
    for tasks in doing:
        with contextlib.suppress(queue.Empty):
            while True:
                tasks.get_nowait()
        tasks.put(None)


def _run(
    owner: weakref.ref[Workers],
    info: WorkerInfo,
    work: Callable[[], Callable[[Any], Any]],
    start: Callable[[int], None] | None,
    shared: _SharedStreams,
    doing: queue.SimpleQueue[Any],
    done: queue.SimpleQueue[Any],
) -> None:
    _here.info = info
    use_own_streams(info.seed)
    failure: BaseException | None = None
    passes, function = -1, None
    while True:
        order = doing.get()
        if order is None or owner() is None:
            return
        number, task, lent, nested = order
        result, error, shared.drew = None, None, False
        try:
            with shared.lent(nested) if lent else contextlib.nullcontext():
                if failure is not None:
                    raise failure
                if task is None:
                    assert start is not None
                    start(info.id)
                else:
                    if number != passes:
                        passes, function = number, work()
                    assert function is not None
                    result = function(*task)
        except BaseException as caught:
            error = caught
            if task is None:
                failure = caught
            if hasattr(error, "add_note"):  # Python 3.11 and later
                error.add_note(f"(in DataLoader worker {info.id} of {info.num_workers})")
        done.put((number, (result, error, shared.drew)))
        del order, task, result, error


class _SharedStreams:
    """NumPy's and Python's global streams as a worker left them; `kept`: further generators that threads share."""

    def __init__(self, seed: int, kept: Sequence[Any]):
        self.kept = kept
        self.seed = seed
        self.state: Any = None
        self.program: Any = None  # the state of the program's streams while the worker's replace them
        self.drew = False
        self.closed = False
        self.guard = threading.Lock()

    @contextlib.contextmanager
    def lent(self, nested: bool) -> Iterator[None]:
        """They replace the program's streams for the block, unless the program takes its own back earlier."""
        import random

        if not nested:
            _lending.acquire()
        with self.guard:
            if self.closed:
                if not nested:
                    _lending.release()
                raise RuntimeError("DataLoader: this pass was interrupted")
            self.nested = nested
            self.program = _shared_state()
            if self.state is None:
                np.random.mtrand.set_bit_generator(np.random.MT19937(self.seed))
                random.seed(self.seed)
                self.state = _shared_state()
            else:
                _set_shared(self.state)
            self.before = tuple(map(state_of, self.kept))
        _here.lent, _here.drew = True, False
        try:
            yield
        finally:
            _here.lent = False
            self.give_back()
            self.drew |= _here.drew

    def close(self) -> bool:
        """Stop lending, since nobody waits any more; return whether the worker has the streams now."""
        with self.guard:
            self.closed = True
            return self.program is not None

    def give_back(self) -> None:
        with self.guard:
            if self.program is not None:
                before, self.state = self.state, _shared_state()
                self.drew = not _same((before, self.before), (self.state, tuple(map(state_of, self.kept))))
                _set_shared(self.program)
                self.program = None
                if not self.nested:
                    _lending.release()


def _shared_state() -> tuple[Any, Any, Any]:
    import random

    return random.getstate(), np.random.mtrand.get_bit_generator(), np.random.get_state(legacy=False)


def _set_shared(state: tuple[Any, Any, Any]) -> None:
    import random

    random.setstate(state[0])
    np.random.mtrand.set_bit_generator(state[1])
    np.random.set_state(state[2])  # includes the second of a pair of normal numbers, cached for the next call


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same, a, b)) if isinstance(b, tuple) else False
    return bool(a == b)
