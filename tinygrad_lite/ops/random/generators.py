"""Generators, seeds, and the default random streams of devices."""

from __future__ import annotations

import contextlib
import operator
import os
import threading
from collections.abc import Iterator
from typing import Any

from tinygrad_lite.arrays import Array, Device, default_device, uint8
from tinygrad_lite.arrays.devices import with_index
from tinygrad_lite.arrays.errors import BadType, Refusal
from tinygrad_lite.arrays.gpu import in_use
from tinygrad_lite.arrays.randomness import Source
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = ["Generator", "default_generator", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


class Generator:
    """A separate random stream: `rand(3, generator=Generator().manual_seed(0))`."""

    def __init__(self, device: Any = "cpu"):
        self._source = Source(device, 67280421310721)

    @property
    def device(self) -> Device:
        return self._source.device

    def manual_seed(self, seed: int) -> Generator:
        """Restart the stream from `seed`."""
        self._source.reseed(operator.index(seed) % 2**64)
        return self

    def seed(self) -> int:
        """Restart the stream from a seed drawn from the system's randomness, and return it."""
        return self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1).initial_seed()

    def initial_seed(self) -> int:
        """The seed from which the stream started."""
        return self._source.seed

    def get_state(self) -> AnyTensor:
        """The state of the stream, as a byte tensor."""
        return traced(self._source.state())

    def set_state(self, new_state: Tensor) -> Generator:
        """Resume from `new_state`."""
        if not isinstance(new_state, Traced) or new_state.array.dtype != uint8:
            raise BadType(function="set_state", expected="a uint8 Tensor, as get_state() gives")
        self._source.restore(new_state.array)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, pickled or not, continues from the same state independently."""
        return _generator_from, (str(self.device), self._source.state())


def _generator_from(device: str, state: Array) -> Generator:
    generator = Generator(device)
    generator._source.restore(state)
    return generator


class _Streams(threading.local):
    """The default streams of the running thread: the program's, or those of a loader's worker."""

    cpu = Source("cpu", int.from_bytes(os.urandom(8), "little") >> 1)
    on_gpu: dict[Device, Generator] = {}  # noqa: RUF012  # of the program; a worker has a dict of its own
    asked = 0  # how often this thread has requested a stream


_streams = _Streams()


class _DefaultGenerator(Generator):
    """The generator of the running thread's default stream."""

    def __init__(self) -> None:
        """Has no stream of its own."""

    @property
    def _source(self) -> Source:  # type: ignore[override]
        return _streams.cpu


default_generator: Generator = _DefaultGenerator()


def use_own_streams(seed: int) -> None:
    """Give the running thread its own streams from here on, seeded from `seed`."""
    _streams.cpu = Source("cpu", seed % 2**64)
    _streams.on_gpu = {}


def manual_seed(seed: int) -> Generator:
    """Restart the streams of all devices from `seed`.

    >>> import tinygrad_lite as tg
    >>> a = (tg.manual_seed(1), tg.rand(2))[1]
    >>> b = (tg.manual_seed(1), tg.rand(2))[1]
    >>> a.tolist() == b.tolist()
    True
    """
    for generator in _streams.on_gpu.values():  # the same objects, which programs refer to
        generator.manual_seed(seed)
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Restart all streams from a seed drawn from the system's randomness, and return it."""
    manual_seed(seed := default_generator.seed())
    return seed


def initial_seed() -> int:
    """The seed from which the CPU's stream started."""
    return default_generator.initial_seed()


def get_rng_state() -> AnyTensor:
    """The state of the CPU's stream, as a byte tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Restore the CPU's stream to `new_state`."""
    default_generator.set_state(new_state)


def draws() -> int:
    """How often the running thread has drawn random numbers; if this grows, it has drawn in between."""
    return _streams.asked


def generators() -> list[Generator]:
    """The default generators of all devices (no GPU's before its first use)."""
    return [default_generator, *(on_gpu(Device("cuda", i)) for i in range(in_use()))]


def on_gpu(device: Device) -> Generator:
    """The default generator of a GPU."""
    device = with_index(device)
    if device not in _streams.on_gpu:
        _streams.on_gpu[device] = Generator(device).manual_seed(default_generator.initial_seed())
    return _streams.on_gpu[device]


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """Restore the streams of all devices after the block.

    >>> with fork_rng():
    ...     _ = manual_seed(1)
    """
    before = [(generator, generator.get_state()) for generator in generators()] if enabled else []
    try:
        yield
    finally:
        for generator, state in before:
            generator.set_state(state)


def source(generator: Generator | None = None, device: Any = None) -> Source:
    """The generator to draw numbers for `device` from."""
    _streams.asked += 1
    if generator is not None:
        if not isinstance(generator, Generator):
            came = f"{type(generator).__module__}.{type(generator).__name__}"
            raise BadType(function="generator", expected="a tinygrad_lite.Generator", got=f"a {came}")
        if device is not None and Device(device).type != generator.device.type:
            raise Refusal(f"a generator on {generator.device} cannot draw for {device}")
        return generator._source
    device = default_device() if device is None else Device(device)
    if device is None or device.type == "cpu":
        return _streams.cpu
    return on_gpu(device)._source
