"""Runs experiments in processes of their own, so that one that fails, or whose process dies, stops no other."""

from __future__ import annotations

import faulthandler
import io
import multiprocessing
import os
import random
import signal
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

import tinygrad_lite as tg

from .core import EXPERIMENTS, Run
from .results import Outcome

THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Job:
    """An experiment to run, by name. Without a folder its figures are not kept."""

    name: str
    fast: bool
    seed: int
    folder: Path | None


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure(job: Job) -> Outcome:
    """Run the experiment here, from the same state whatever ran before. What it prints is kept, not shown."""
    experiment = EXPERIMENTS[job.name]
    run = Run(experiment, job.fast, job.seed, job.folder)
    outcome = Outcome.of(experiment, job.seed)
    printed, dtype, started = io.StringIO(), tg.get_default_dtype(), time.perf_counter()
    for set_seed in (tg.manual_seed, np.random.seed, random.seed):
        set_seed(1000 * job.seed)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            experiment.measure(run)
        outcome.verdict = run.verdict
    except BaseException:  # SystemExit too: no experiment ends a run
        outcome.error = traceback.format_exc()
    finally:
        tg.set_default_dtype(dtype)
    outcome.seconds = time.perf_counter() - started
    outcome.measured, outcome.tables, outcome.remarks = run.measured, run.tables, run.remarks
    outcome.figures = [(path.name, caption) for path, caption in run.figures]
    outcome.seeds, outcome.printed = sorted(map(int, run.used_seeds)), printed.getvalue()
    return outcome


def run_all(jobs: Sequence[Job], load: Callable[[], None], processes: int | None = None) -> Iterator[Outcome]:
    """The outcomes of `jobs`, as they are ready. `load` registers the experiments; each process calls it once."""
    waiting, workers, idle = deque(jobs), [], []
    most = min(processes or cores(), len(jobs))
    with tempfile.TemporaryDirectory() as folder:
        try:
            while waiting or len(workers) > len(idle):
                while waiting and (idle or len(workers) < most):
                    if not idle:
                        workers.append(Worker(load, Path(folder)))
                        idle.append(workers[-1])
                    idle.pop().start(waiting.popleft())
                ready = wait([worker.connection for worker in workers if worker not in idle])
                for worker in [worker for worker in workers if worker.connection in ready]:
                    outcome = worker.outcome()
                    if worker.alive:
                        idle.append(worker)
                    else:
                        workers.remove(worker)
                    yield outcome
        finally:
            for worker in workers:
                worker.stop()


class Worker:
    """A process that runs one experiment after another, as `run_all` sees it."""

    def __init__(self, load: Callable[[], None], folder: Path):
        context = multiprocessing.get_context("spawn")  # a fork would copy this process's threads and locks
        self.connection, other = context.Pipe()
        handle, name = tempfile.mkstemp(dir=folder)
        os.close(handle)
        self.crash = Path(name)
        self.process = context.Process(target=_work, args=(other, load, self.crash), daemon=True)
        with _one_thread(), _without_interrupts():
            self.process.start()
        other.close()  # so that reading fails once the process has ended
        self.alive = True

    def start(self, job: Job) -> None:
        self.job, self.started = job, time.perf_counter()
        with suppress(OSError):  # the process may have ended: `outcome` says so
            self.connection.send(job)

    def outcome(self) -> Outcome:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.alive = False
            self.process.join()
            code = self.process.exitcode or 0
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            error = f"The process of this experiment {how}.\n{self.crash.read_text()}"
            return Outcome.of(EXPERIMENTS[self.job.name], self.job.seed, seconds=time.perf_counter() - self.started, error=error)

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


def _work(connection: Connection, load: Callable[[], None], crash: Path) -> None:
    from . import style  # noqa: F401 - matplotlib, so that no experiment's time includes its import

    load()
    with crash.open("w") as file, suppress(EOFError, OSError):  # until the other side has ended
        faulthandler.enable(file)  # after a segmentation fault the file has the traceback
        while True:
            connection.send(measure(connection.recv()))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started inside compute with one thread each: there are as many processes as cores."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C, which a terminal sends to all of them; it arrives here afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which allows the signal again once it has started its own process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
