"""The matrix products of an operation and of its gradients, and what they take alone.

A step cannot be faster than its products, so their share says how much of it is left to gain. They are timed in NumPy,
each repeated with its operands in the caches, and the best time counts: within a step they take longer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Product = tuple[int, int, int, int]  # batch, m, k, n: so many times (m, k) @ (k, n)
Both = tuple[list[Product], list[Product]]  # forward, and backward


def products(name: str, arguments: Any, result: Any, parents: Any) -> Both:
    """The products of an operation; of other operations than those in OF, none. `parents`: the inputs with a gradient."""
    if name not in OF:
        return [], []
    with_input = bool(parents) and parents[0].shape == arguments[0].shape  # the first argument has a gradient
    return OF[name](arguments, result, with_input)


def dense(batch: int, m: int, k: int, n: int, left: bool = True, right: bool = True) -> Both:
    """One product and the two of its gradients, where the left and the right operand have one."""
    return [(batch, m, k, n)], [(batch, m, n, k)] * left + [(batch, k, m, n)] * right


def linear(arguments: Any, result: Any, with_input: bool) -> Both:
    outputs, inputs = arguments[1].shape
    return dense(1, math.prod(arguments[0].shape[:-1]), inputs, outputs, with_input)


def convolution(arguments: Any, result: Any, with_input: bool) -> Both:
    outputs, *window = arguments[1].shape  # inputs and size
    groups = arguments[4]
    return dense(groups, result.size // outputs, math.prod(window), outputs // groups, with_input)


def attention(arguments: Any, result: Any, with_input: bool) -> Both:
    (*lead, queries, width), keys, outputs = arguments[0].shape, arguments[1].shape[-2], arguments[2].shape[-1]
    scores, sums = dense(math.prod(lead), queries, width, keys), dense(math.prod(lead), queries, keys, outputs)
    return scores[0] + sums[0], scores[1] + sums[1]


def recurrent(weight: int) -> Callable[[Any, Any, bool], Both]:
    """Of a layer whose argument number `weight` is that of the input, and the next that of the state."""

    def of(arguments: Any, result: Any, with_input: bool) -> Both:
        (rows, inputs), (gates, width) = arguments[0].shape, arguments[weight + 1].shape
        sizes = arguments[-2]
        forward, backward = dense(1, rows, inputs, gates, with_input)
        forward = forward + [(1, n, width, gates) for n in sizes]
        return forward, [*backward, *((1, n, gates, width) for n in sizes), (1, gates, rows, width)]

    return of


OF = {"linear": linear, "convolution": convolution, "attention": attention, "lstm": recurrent(3), "gru": recurrent(2)}


def flops(product: Product) -> int:
    return 2 * math.prod(product)


def alone(product: Product, seconds: float = 0.05) -> float:
    """The best time of a product, in seconds."""
    batch, m, k, n = product
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((batch, m, k), dtype=np.float32), draw.standard_normal((batch, k, n), dtype=np.float32)
    out = np.empty((batch, m, n), np.float32)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(x, y, out=out)
        times.append(time.perf_counter() - start)
    return min(times)
