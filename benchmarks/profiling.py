"""Where an eager step's time goes, by operation: `python -m benchmarks --profile gpt`.

An observer of the tape notes the time of each event: an operation was recorded, a rule's gradient has arrived. The
time between two events counts for the operation of the second, Python around it included, so the parts add up to the
step. The optimizer's step is one entry. What is printed is the mean of the faster half of the steps.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import Counter
from typing import Any

import tinygrad_lite as tg
from benchmarks.frameworks import processor
from benchmarks.products import Product, alone, flops, products
from benchmarks.programs import MODELS
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer

WORDS = {
    "linear": "linear layers (product and bias)",
    "convolution": "convolutions (products and windows)",
    "attention": "attention (products and softmax)",
    "lstm": "LSTM (products and gates)",
    "normalize": "layer normalization",
    "rows": "embeddings",
    "max_pool": "max pooling",
    "window_sums": "average pooling",
    "cross_entropy": "cross-entropy",
    "mse": "mean squared error",
    "add": "additions",
    "reshape": "reshaping",
    "permute": "transposing",
    "split": "splitting",
    "stack": "stacking",
}
Key = tuple[str, str]  # part of the step, and what is done


class Watch(Observer):
    """What one step did: time and calls by part and operation, and the products."""

    def __init__(self) -> None:
        self.times: Counter[Any] = Counter()
        self.calls: Counter[Key] = Counter()
        self.products: dict[str, Counter[Product]] = {"forward": Counter(), "backward": Counter()}
        self.sender: Any = None
        self.last = time.perf_counter()

    def lap(self, part: str, name: str, called: bool = True) -> None:
        now = time.perf_counter()
        self.times[part, name] += now - self.last
        self.calls[part, name] += called
        self.last = time.perf_counter()  # what the bookkeeping takes is not counted

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        name = node.plan.name
        self.lap("forward", name)
        for part, found in zip(("forward", "backward"), products(name, arguments, result, node.parents)):
            self.products[part].update(found)
        self.last = time.perf_counter()

    def arrived(self, node: Any, gradient: Any, sender: Any, part: Any) -> None:
        self.lap("backward", sender.plan.name, sender is not self.sender)
        self.sender = sender

    def finished(self, found: Any) -> None:
        self.lap("backward", "handing the gradients over")


def observed(loss_of: Any, optimizer: Any) -> Watch:
    """Run one step under observation: what `trained` in programs.py does, line by line."""
    watch = Watch()
    observe(watch)
    try:
        optimizer.zero_grad()
        watch.lap("update", "zero_grad")
        loss = loss_of()
        watch.lap("forward", "after the last operation")
        loss.backward()
        watch.lap("backward", "after the last gradient")
        optimizer.step()
        watch.lap("update", f"{type(optimizer).__name__}.step")
        loss.item()
        watch.lap("update", "reading the loss")
    finally:
        observe_no_more(watch)
    return watch


def unobserved(loss_of: Any, optimizer: Any) -> float:
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = loss_of()
    loss.backward()
    optimizer.step()
    loss.item()
    return time.perf_counter() - start


def profile(workload: str, device: str, seconds: float) -> tuple[list[Watch], float]:
    """The faster half of the observed steps, and the median step without observation. The two kinds take turns."""
    model = MODELS[workload](tg, device)
    for _ in range(5):
        unobserved(*model)
    watches, plain = [], []
    end = time.perf_counter() + 2 * seconds
    while len(watches) < 4 or time.perf_counter() < end:
        watches.append(observed(*model))
        plain.append(unobserved(*model))
    watches.sort(key=lambda watch: watch.times.total())
    return watches[: len(watches) // 2], statistics.median(plain)


def text(title: str, watches: list[Watch], plain: float) -> str:
    times: Counter[Any] = Counter()
    for watch in watches:
        times.update({key: seconds / len(watches) for key, seconds in watch.times.items()})
    calls, step = watches[0].calls, times.total()
    lines = [f"{title}: a step of {milliseconds(step)}, {milliseconds(plain)} when not observed"]
    for part in ("forward", "backward", "update"):
        entries = {name: seconds for (of, name), seconds in times.items() if of == part}
        lines.append(line(part, None, sum(entries.values()), step))
        for name, seconds in sorted(entries.items(), key=lambda entry: -entry[1]):
            lines.append(line("  " + WORDS.get(name, name.replace("_", " ")), calls[part, name], seconds, step))
    return "\n".join([*lines, shares(watches[0], step)])


def line(words: str, calls: int | None, seconds: float, step: float) -> str:
    return f"{words:44}{'' if calls is None else f'{calls} x':>8}{milliseconds(seconds):>14}{seconds / step:8.1%}"


def shares(watch: Watch, step: float) -> str:
    """The products of a step: what they take alone, at best."""
    each = {product: alone(product) for product in watch.products["forward"] + watch.products["backward"]}
    lines = []
    for part, found in watch.products.items():
        seconds = sum(count * each[product] for product, count in found.items())
        lines.append(line(f"products alone, {part}", found.total(), seconds, step))
    every = watch.products["forward"] + watch.products["backward"]
    total, work = (sum(count * of(product) for product, count in every.items()) for of in (each.__getitem__, flops))
    rate = f" ({work / 1e9:.2f} GFLOP, {work / 1e9 / total:.0f} GFLOP/s)" if total else ""
    return "\n".join([*lines, line("products alone", every.total(), total, step) + rate])


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3f} ms" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def main() -> None:
    workload, device, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    form = "with compiled loops" if os.environ.get("TINYGRAD_LITE_FAST") == "1" else "NumPy alone"
    print(text(f"{workload}, {form}, {processor()}", *profile(workload, device, seconds)), flush=True)


if __name__ == "__main__":
    main()
