"""Timings that are not steps of training: importing the library, and backward through long chains of operations."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.frameworks import environment


def import_times(rounds: int) -> None:
    """Wall time of `python -c "import ..."`, minus that of an empty program."""

    def seconds(code: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment())
        return time.perf_counter() - begin

    names = ("pass", "import numpy", "import tinygrad_lite")
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            samples[name].append(seconds(name))
    empty, numpy, ours = (statistics.median(samples[name]) for name in names)
    print(
        f"import numpy {numpy - empty:.3f} s, import tinygrad_lite {ours - empty:.3f} s: ratio {(ours - empty) / (numpy - empty):.2f}"
    )


def chain_times(rounds: int) -> None:
    """Backward through a chain of 10,000 operations, and of 100,000."""
    code = """
import sys, time, tinygrad_lite as tg
x = tg.ones(1, requires_grad=True)
y = x
for _ in range(int(sys.argv[1])):
    y = y + 1
start = time.perf_counter()
y.backward()
print(time.perf_counter() - start)
"""
    lengths = ("10000", "100000")
    samples: dict[str, list[float]] = {length: [] for length in lengths}
    for _ in range(rounds):
        for length in lengths:
            run = subprocess.run(
                [sys.executable, "-c", code, length], check=True, env=environment(), capture_output=True, text=True
            )
            samples[length].append(float(run.stdout))
    short, long = (statistics.median(samples[length]) for length in lengths)
    print(
        f"backward through 10,000 operations {short * 1e3:.1f} ms, through 100,000 {long * 1e3:.1f} ms: ratio {long / short:.1f}"
    )


OTHERS = {"import": import_times, "chain": chain_times}
