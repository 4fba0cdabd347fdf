"""What `explain()` tells about a compiled function."""

from __future__ import annotations

import functools
import math
import statistics
import time
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import CPU
from tinygrad_lite.arrays.gpu import in_words
from tinygrad_lite.compiler.program import PRODUCTS, Program, Variable, last_uses


class Report:
    """Printing it shows the report on the newest program; `programs` is the number of programs, `reasons` says why each was
    made, `refusal` why there is none."""

    def __init__(self, name: str, programs: list[Any], reasons: list[str], refusal: str):
        self.name, self.programs, self.reasons, self.refusal = name, len(programs), list(reasons), refusal
        self.ready = programs[0] if programs else None

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.programs} program{'' if self.programs == 1 else 's'}"]
        lines += [f"  program {i}: made because {reason}" for i, reason in enumerate(self.reasons, 1)]
        if self.refusal:
            lines.append(f"  {self.refusal}")
        return "\n".join(lines if self.ready is None else [*lines, *self._of_program()])

    def _of_program(self) -> list[str]:
        ready: Any = self.ready
        plan, program = ready.plan, ready.program
        lines = [f"  {name:<30}{count:>8} calls" for name, count in ready.counts]
        lines.append(f"  {'in a run':<30}{len(plan.actions):>8} calls, and {len(plan.before)} on numbers before")
        eager, flops, moved = eager_bytes(ready.captured.program), products(program), traffic(program)
        lines.append(f"  {'memory of intermediate values':<30}{in_words(plan.bytes):>12}, one by one at their peak {in_words(eager)}")
        on_cpu = ready.captured.device == CPU
        if not on_cpu:
            lines.append(f"  {f'on {ready.captured.device}':<30}{plan.form}")
        by_products = f", {1e6 * flops / flops_per_second():.3g} us at this machine's speed" if on_cpu else ""
        by_traffic = f", {1e6 * moved / bytes_per_second():.3g} us" if on_cpu else ""
        lines.append(f"  {'matrix products':<30}{flops / 1e6:>8.3g} Mflop{by_products}")
        lines.append(f"  {'reads and writes of the rest':<30}{in_words(moved):>12}{by_traffic}")
        if ready.times:
            until = "" if on_cpu else ", each until the GPU has its work"
            median = statistics.median(ready.times)
            lines.append(f"  {'measured':<30}{1e6 * median:>8.3g} us, the median of {len(ready.times)} runs{until}")
        return lines


def _bytes(variable: Variable) -> int:
    return math.prod(variable.shape) * variable.dtype.itemsize if not variable.is_number and variable.memory >= 0 else 0


def eager_bytes(program: Program) -> int:
    """The largest sum of intermediate values that are alive at one time if each gets memory of its own."""
    outside = {variable.memory for variable in (*program.inputs, *program.captured)}
    calls = list(program.parts())
    ends = last_uses(calls, program.outputs)
    alive: dict[int, int] = {}
    now = peak = 0
    for i, call in enumerate(calls):
        for variable in call.made:
            if variable.memory not in alive and variable.memory not in outside:
                alive[variable.memory] = _bytes(variable)
                now += alive[variable.memory]
        peak = max(peak, now)
        now -= sum(alive.pop(memory, 0) for memory in ends.get(i, ()))
    return peak


def products(program: Program) -> int:
    """The floating-point operations of the matrix products."""
    total = 0
    for part in program.parts():
        if part.function in PRODUCTS and part.made:
            first = part.variables()[0]
            total += 2 * math.prod(part.made[0].shape) * (first.shape[-1] if first.shape else 1)
    return total


def traffic(program: Program) -> int:
    """The bytes that all other calls read and write, each array once."""
    total = 0
    for part in program.parts():
        memory = {variable.memory for variable in part.variables()}
        if part.function not in PRODUCTS and not (part.made and part.made[0].memory in memory):
            total += sum(_bytes(variable) for variable in {*part.variables(), *part.made})
    return total


def _seconds(function: Any) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@functools.cache
def flops_per_second() -> float:
    """Of float32 products, as fast as this machine makes them."""
    a = np.ones((512, 512), np.float32)
    return 2 * 512**3 / _seconds(lambda: a @ a)


@functools.cache
def bytes_per_second() -> float:
    """Of a sum of arrays that do not fit into the cache."""
    a = np.ones(1 << 23, np.float32)
    out = np.empty_like(a)
    return 3 * a.nbytes / _seconds(lambda: np.add(a, a, out=out))
