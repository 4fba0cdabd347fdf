"""Random streams on a device."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array, Device, as_array, cupy_or_explain, namespace_of, on_device
from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.arrays.memory import in_order


def _leave_alone() -> None:
    """Refuse to read or set the state of a stream while a program is traced."""
    if (trace := tracing.get()) is not None:
        trace.refuse("it reads or sets the state of random numbers")


class Source:
    """A random stream: NumPy's generator on the CPU, CuPy's on a GPU."""

    def __init__(self, device: Any, seed: int):
        self.device = Device(device)
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        _leave_alone()
        self.seed = seed
        self._start(seed)

    def _start(self, seed: int) -> None:
        self._from = seed
        self.__dict__.pop("generator", None)

    @property
    def stream(self) -> Any:
        """The generator; one that notes what is drawn while a program is traced."""
        trace = tracing.get()
        return self.generator if trace is None else trace.stream(self)

    @functools.cached_property
    def generator(self) -> Any:
        """The library's generator, created at the first draw because importing NumPy's takes 40 ms."""
        if self.device.type == "cpu":
            # A million float32 in [0, 1): SFC64 5.3 ms, PCG64 7.6 ms, Philox 8.8 ms.
            return np.random.Generator(np.random.SFC64(self._from))
        with on_device(self.device):
            return cupy_or_explain().random.default_rng(self._from)

    def uniform(self, shape: tuple[int, ...], dtype: np.dtype) -> Array:
        """Numbers in [0, 1)."""
        with on_device(self.device):
            if dtype == np.float16:  # rounding to 11 bits would sometimes give 1.0
                return (self.stream.integers(0, 2048, shape) / 2048).astype(dtype)
            return self.stream.random(shape, dtype)

    def coins(self, shape: tuple[int, ...], p: float) -> Array:
        """Bools that are True with probability `p`."""
        with on_device(self.device):
            if self.device.type != "cpu":
                return self.stream.random(shape, np.float32) < p
            # Two from each 64-bit draw: 1.3 ms for 524288, from uniform numbers 2.5 ms.
            count = math.prod(shape)
            bits = self.stream.integers(0, 2**64, -(-count // 2), np.uint64).view(np.uint32)[:count]
            return (bits < round(p * 2**32)).reshape(shape)

    def normal(self, shape: tuple[int, ...], dtype: np.dtype) -> Array:
        """Numbers of mean 0 and standard deviation 1."""
        with on_device(self.device):
            if dtype == np.float16:
                return self.stream.standard_normal(shape, np.float32).astype(dtype)
            return self.stream.standard_normal(shape, dtype)

    def exponential(self, shape: tuple[int, ...], dtype: np.dtype) -> Array:
        """Numbers of mean 1 with the density exp(-x)."""
        with on_device(self.device):
            wide = np.dtype(np.float32) if dtype == np.float16 else dtype
            return self.stream.standard_exponential(shape, wide).astype(dtype, copy=False)

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Array:
        """Integers from low to high - 1."""
        with on_device(self.device):
            return self.stream.integers(low, high, shape)

    def choices(self, weights: Array, count: int, replacement: bool) -> Array:
        """`count` places in each row, with probabilities proportional to `weights`.

        Without replacement those with the smallest exponential variate / weight are taken (Efraimidis and
        Spirakis 2006).
        """
        xp = namespace_of(weights)
        if not replacement:
            keys = self.exponential(weights.shape, weights.dtype) / weights
            return in_order(xp.argsort(xp.where(weights > 0, keys, np.inf), axis=-1)[..., :count])
        ends = xp.cumsum(weights.astype(np.float64), axis=-1)
        at = self.uniform((*weights.shape[:-1], count), np.dtype(np.float64)) * ends[..., -1:]
        rows = zip(ends.reshape(-1, ends.shape[-1]), at.reshape(-1, count))
        return xp.stack([xp.searchsorted(end, a, side="right") for end, a in rows]).reshape(at.shape)

    def permutation(self, count: int) -> Array:
        """0 to count - 1 in random order."""
        with on_device(self.device):
            if self.device.type == "cpu":
                return self.stream.permutation(count)
            return self.stream.random(count).argsort()

    def poisson(self, rate: Array) -> Array:
        """Counts with the given means."""
        with on_device(self.device):
            return as_array(self.stream.poisson(rate))

    def state(self) -> np.ndarray:
        """The complete state of the stream, as bytes.

        CuPy does not reveal the state of its streams. So on a GPU the stream restarts from a seed derived from the last
        one, and that seed is the state.
        """
        _leave_alone()
        numbers = [self.seed % 2**64]
        if self.device.type == "cuda":
            if "generator" in self.__dict__:
                self._start(int(np.random.SeedSequence([self._from, 1]).generate_state(1, np.uint64)[0]))
            numbers.append(self._from % 2**64)
        else:
            state = self.generator.bit_generator.state
            numbers += [*state["state"]["state"].tolist(), state["has_uint32"], state["uinteger"]]
        return np.array(numbers, np.uint64).view(np.uint8)

    def restore(self, state: np.ndarray) -> None:
        """Resume from `state`."""
        seed, *numbers = np.ascontiguousarray(state).view(np.uint64).tolist()
        self.reseed(seed)
        if self.device.type == "cuda":
            self._start(int(numbers[0]))
        else:
            self.generator.bit_generator.state = {
                "bit_generator": "SFC64", "state": {"state": np.array(numbers[:4], np.uint64)},
                "has_uint32": int(numbers[4]), "uinteger": int(numbers[5]),
            }  # fmt: skip
