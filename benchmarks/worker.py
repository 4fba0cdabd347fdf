"""Runs one workload in one framework, in a process of its own: `python -m benchmarks.worker ours tiny cpu`.

It first prints what happened up to the twentieth step as JSON, or null if the framework does not have the workload.
For each line of input, a number of seconds, it runs steps for that long and prints their times in seconds as JSON. At
the end of the input it prints the peak of its memory in bytes.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.frameworks import FRAMEWORKS

FIRST = 5  # steps after which every framework here has compiled what it compiles
WARM = 20, 5.0  # steps and seconds: the first to be reached ends the warm-up


def step_of(name: str, workload: str, device: str, library: Any) -> Callable[[], float] | None:
    """`step()`, which trains once and returns the loss; None if the framework does not have the workload."""
    framework = FRAMEWORKS[name]
    if framework.programs != "benchmarks.programs":
        make = importlib.import_module(framework.programs).WORKLOADS.get(workload)
        return make and make()
    from benchmarks.sweeps import PROGRAMS

    step = PROGRAMS[workload](library, device)
    if framework.compiled:
        step = library.compile(step)
    return lambda: step().item()


def memory() -> int:
    """The peak of this process's memory in bytes (0 where the system does not tell)."""
    try:  # getrusage would count the parent's memory too, which Linux carries over exec
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    name, workload, device = sys.argv[1:]
    clock = time.perf_counter
    begin = clock()
    library = importlib.import_module(FRAMEWORKS[name].library)
    imported = clock() - begin
    begin = clock()
    step = step_of(name, workload, device, library)
    if step is None:
        print("null", flush=True)
        return
    losses, ends = [], []
    while len(losses) < FIRST or (len(losses) < WARM[0] and ends[-1] < WARM[1]):
        losses.append(step())
        ends.append(clock() - begin)
    facts = {"imported": imported, "first": ends[0], "first_steps": ends[FIRST - 1], "losses": losses}
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        times = []
        end = clock() + float(line)
        while not times or clock() < end:
            start = clock()
            step()
            times.append(clock() - start)
        print(json.dumps(times), flush=True)
    print(memory(), flush=True)


if __name__ == "__main__":
    main()
