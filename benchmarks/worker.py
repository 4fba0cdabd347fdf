"""Runs one workload in one framework, in a process of its own: `python -m benchmarks.worker ours tiny cpu`.

For each line of input, a number of seconds, it runs steps for that long and prints their times in seconds as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any


def step_of(framework: str, workload: str, device: str) -> Any:
    if framework in ("ours", "fast", "pytorch"):
        from benchmarks.programs import WORKLOADS

        library = importlib.import_module({"ours": "tinygrad_lite", "fast": "tinygrad_lite", "pytorch": "torch"}[framework])
        return WORKLOADS[workload](library, device)
    module = importlib.import_module({"numpy": "benchmarks.by_hand", "jax": "benchmarks.in_jax"}[framework])
    if workload not in module.WORKLOADS:
        return None
    return module.WORKLOADS[workload]()


def main() -> None:
    framework, workload, device = sys.argv[1:]
    step = step_of(framework, workload, device)
    if step is None:
        print("null", flush=True)
        return
    losses = [step() for _ in range(20)]  # warm up, and show that the loss falls
    print(json.dumps(losses), flush=True)
    for line in sys.stdin:
        times = []
        end = time.perf_counter() + float(line)
        while (start := time.perf_counter()) < end:
            step()
            times.append(time.perf_counter() - start)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
