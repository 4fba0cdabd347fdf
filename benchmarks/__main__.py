"""Times one training step of each workload in each framework and prints medians and ratios.

Each framework runs in its own process, and the processes take turns (A B C A B C ...), so that drifts in
the machine's speed affect all of them equally. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which some environments
set for old builds of OpenBLAS, are unset: they halve NumPy's speed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.programs import WORKLOADS

OURS = ("ours", "fast")  # with NumPy alone, and with compiled loops
FRAMEWORKS = (*OURS, "numpy", "pytorch", "jax")
NEEDS = {"ours": "numpy", "fast": "llvmlite", "numpy": "numpy", "pytorch": "torch", "jax": "jax"}


def environment(framework: str = "ours") -> dict[str, str]:
    unset = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "TINYGRAD_LITE_FAST": str(int(framework == "fast"))}


def installed(framework: str) -> bool:
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({NEEDS[framework]!r}) is None)"
    return subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def start(framework: str, workload: str, device: str) -> tuple[subprocess.Popen[str], list[float] | None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker", framework, workload, device],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(framework),
    )  # fmt: skip
    return process, json.loads(answer(process))


def answer(process: Any) -> str:
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a benchmark process exited early: {' '.join(process.args)}")
    return line


def measure(workload: str, frameworks: list[str], rounds: int, seconds: float, device: str) -> dict[str, list[float]]:
    """Step times in seconds, per framework."""
    running = {}
    for framework in frameworks:
        process, losses = start(framework, workload, device)
        if losses is not None:
            running[framework] = process
            if not losses[-1] < losses[0]:
                raise SystemExit(f"{framework} does not learn {workload}: losses {losses}")
    times: dict[str, list[float]] = {framework: [] for framework in running}
    for _ in range(rounds):
        for framework, process in running.items():
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
            times[framework] += json.loads(answer(process))
    for process in running.values():
        process.stdin.close()
        process.wait()
    return times


def report(workload: str, times: dict[str, list[float]]) -> None:
    medians = {framework: statistics.median(values) for framework, values in times.items()}
    for framework, median in medians.items():
        forms = [name for name in OURS if name in medians and framework not in OURS]
        ratios = "".join(f"   {name} / {framework} = {medians[name] / median:.2f}" for name in forms)
        print(f"{workload:14} {framework:8} median {median * 1e6:9.1f} us   best {min(times[framework]) * 1e6:9.1f} us{ratios}")


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


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help=f"any of {', '.join([*WORKLOADS, *OTHERS])} (default: all)")
    parser.add_argument("--against", nargs="*", default=list(FRAMEWORKS[1:]), help="peers; those not installed are skipped")
    parser.add_argument("--rounds", type=int, default=7, help="turns per framework")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds per turn")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (compares with PyTorch only)")
    options = parser.parse_args()
    chosen = options.workloads or [*OTHERS, *WORKLOADS]
    unknown = set(chosen) - {*OTHERS, *WORKLOADS}
    if unknown:
        parser.error(f"unknown workload {', '.join(sorted(unknown))}")
    peers = [peer for peer in options.against if options.device == "cpu" or peer == "pytorch"]
    frameworks = ["ours", *(peer for peer in peers if installed(peer))]
    for workload in chosen:
        if workload in OTHERS:
            OTHERS[workload](options.rounds)
        else:
            report(workload, measure(workload, frameworks, options.rounds, options.seconds, options.device))


if __name__ == "__main__":
    main()
