"""Frameworks that take turns: each runs in a process of its own (worker.py), one at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import Any

from benchmarks.frameworks import OURS, environment


class Stopped(Exception):
    """A worker ended before it answered."""


@dataclass
class Result:
    imported: float  # seconds
    first: float  # seconds from the imported library to the first loss: the model is built, and trained once
    first_steps: float  # the same to the fifth loss, when every framework has compiled what it compiles
    losses: list[float]
    times: list[float] = field(default_factory=list)  # of single steps, in seconds
    memory: int = 0  # the peak of memory at the end, in bytes


def start(
    framework: str, workload: str, device: str, cache: str | None, limit: float
) -> tuple[subprocess.Popen[str], Result | None]:
    """A worker that has warmed up, and what it says of that: None if the framework does not have the workload."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker", framework, workload, device],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(framework, cache),
    )  # fmt: skip
    alarm = threading.Timer(limit, process.kill)
    alarm.start()
    try:
        facts = json.loads(answer(process))
    except Stopped:
        process.kill()
        process.communicate()
        raise
    finally:
        alarm.cancel()
    return process, None if facts is None else Result(**facts)


def answer(process: Any) -> str:
    while line := process.stdout.readline():
        if line.startswith(("{", "[", "null")) or line.strip().isdigit():
            return line  # anything else is a message of the framework's
    raise Stopped(" ".join(process.args[2:]))


def finish(process: Any) -> int:
    """End a worker; returns the peak of its memory."""
    process.stdin.close()
    memory = int(answer(process))
    process.stdout.close()
    process.wait()
    return memory


def measure(
    workload: str, frameworks: list[str], rounds: int, seconds: float, device: str, cold: bool = False, limit: float = 600
) -> dict[str, Result]:
    """What each framework that has the workload takes for it.

    `cold`: start with empty caches on disk. A peer that stops, or has not warmed up after `limit` seconds, is left out.
    """
    running: dict[str, Any] = {}
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as folder:
        for framework in frameworks:
            try:
                cache = tempfile.mkdtemp(dir=folder) if cold else None
                process, result = start(framework, workload, device, cache, limit)
            except Stopped as stopped:
                if framework in OURS:
                    raise SystemExit(f"a benchmark process exited early: {stopped}") from None
                print(f"left out, it stopped early: {stopped}", file=sys.stderr, flush=True)
                continue
            if result is None:
                process.communicate()
            elif not result.losses[-1] < result.losses[0]:
                raise SystemExit(f"{framework} does not learn {workload}: losses {result.losses}")
            else:
                running[framework], results[framework] = process, result
        for _ in range(rounds):
            for framework, process in running.items():
                process.stdin.write(f"{seconds}\n")
                process.stdin.flush()
                results[framework].times += json.loads(answer(process))
        for framework, process in running.items():
            results[framework].memory = finish(process)
    return results
